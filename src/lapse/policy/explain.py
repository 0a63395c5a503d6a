"""An evaluation in lines of text, for `lapse policy explain` and wherever a person reads the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lapse.domain.durations import human_duration
from lapse.domain.terms import Stage, Terms
from lapse.policy.results import Evaluation, RuleResult, Status

_MARKS = {Status.SATISFIED: "+", Status.UNSATISFIED: "-", Status.FAILED: "!", Status.NOT_APPLICABLE: " "}


def explain_lines(evaluation: Evaluation, *, everything: bool = False) -> tuple[str, ...]:
    """The answer, its terms, and each rule with its checks: `+` satisfied, `-` not, `!` failed.

    Rules that are not about the question are only counted, unless `everything` is asked for.
    """
    return tuple(_lines(evaluation, everything=everything))


def _lines(evaluation: Evaluation, *, everything: bool) -> Iterator[str]:
    yield f"{'allowed' if evaluation.allowed else 'denied'}: {evaluation.reason}"
    if evaluation.hint:
        yield f"try: {evaluation.hint}"
    if evaluation.terms is not None:
        yield from _terms(evaluation.terms)
    for check in evaluation.basics:
        if check.status is not Status.SATISFIED:
            yield f"{_MARKS[check.status]} {check.detail}"
    yield from _rules("offer", evaluation.offers, evaluation, everything=everything)
    yield from _rules("limit", evaluation.limits, evaluation, everything=everything)
    yield f"policy {evaluation.policy_version}"


def _terms(terms: Terms) -> Iterator[str]:
    yield f"  longest: {human_duration(terms.max_duration)}, with extensions {human_duration(terms.max_total)}"
    for number, stage in enumerate(terms.stages, start=1):
        yield f"  approval {number} ({stage.name}): {_who(stage)}"
    if len(terms.stages) > 1:
        yield "  approvals: in any order" if terms.in_parallel else "  approvals: one after the other"
    if terms.post_review is not None:
        reviewers = ", ".join(terms.post_review.reviewers)
        yield f"  afterwards: reviewed within {human_duration(terms.post_review.within)} by one of {reviewers}"
    if terms.purpose:
        yield f"  purpose: {terms.purpose}"
    if terms.stages:
        yield f"  waits for approval: {human_duration(terms.pending_timeout)}"


def _who(stage: Stage) -> str:
    many = "all" if stage.everyone else str(stage.quorum)
    words = f"{many} of {', '.join(stage.approvers)}"
    if stage.excluded:
        words += f", but not {', '.join(stage.excluded)}"
    for step in stage.escalations:
        words += f"; after {human_duration(step.after)} also {', '.join(step.approvers)}"
    return words


def _rules(kind: str, rules: Iterable[RuleResult], evaluation: Evaluation, *, everything: bool) -> Iterator[str]:
    hidden = 0
    for rule in rules:
        if rule.status is Status.NOT_APPLICABLE and not everything:
            hidden += 1
            continue
        chosen = " (chosen)" if kind == "offer" and rule.name == evaluation.chosen else ""
        words = rule.status.replace("_", " ")
        yield f"{_MARKS[rule.status]} {kind} `{rule.name}`: {words}{chosen}  {rule.file}:{rule.line}"
        for check in rule.checks:
            yield f"    {_MARKS[check.status]} {check.detail}"
    if hidden:
        yield f"  {hidden} {kind}{'s' if hidden > 1 else ''} about something else"
