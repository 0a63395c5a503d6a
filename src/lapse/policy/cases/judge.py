"""Put the questions of cases to a policy, and compare the answers with what is expected. Pure.

A case that cannot be put (a name that leads nowhere) is a mistake in the file, never a case that failed or passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lapse.domain.catalog import Catalog
from lapse.domain.durations import human_duration
from lapse.domain.errors import LapseError
from lapse.domain.terms import Stage, Terms
from lapse.policy.asks import ask_for
from lapse.policy.cases.company import Builder
from lapse.policy.cases.coverage import RuleCoverage, coverage
from lapse.policy.cases.values import Asked, Case, CaseFile, Expected, ExpectedStage, Moment, Past
from lapse.policy.evaluator import evaluate, stage_words
from lapse.policy.frequency import contiguous
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.results import Evaluation
from lapse.policy.rules import Policy
from lapse.policy.stages import ALL
from lapse.policy.values import Ask, History, PastGrant, PastRequest, TicketFacts

WEDNESDAY = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""When questions are asked if nothing says when."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as expected; `what` is the key in the file, at `line`."""

    what: str
    expected: str
    actual: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How one case came out."""

    name: str
    file: str
    line: int
    differences: tuple[Difference, ...]
    evaluation: Evaluation

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """All cases, and which rules they looked at."""

    __test__ = False

    policy_version: str
    cases: tuple[CaseResult, ...]
    rules: tuple[RuleCoverage, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """Those that are not as expected."""
        return tuple(case for case in self.cases if not case.passed)

    @property
    def percent(self) -> int:
        """How many of a hundred rules were looked at by any case, rounded down."""
        looked_at = sum(1 for rule in self.rules if rule.looked_at)
        return 100 * looked_at // len(self.rules) if self.rules else 100


def run_cases(policy: Policy, files: Sequence[CaseFile], catalogs: Mapping[str, Catalog]) -> TestReport:
    """Every case of `files`; `catalogs` has the catalog of each case file that names one.

    Raises:
        PolicyErrors: a case speaks of what is not known, or of what cannot be.
    """
    problems: list[Problem] = []
    results: list[CaseResult] = []
    for file in files:
        builder = Builder(file.file, catalogs.get(file.file, Catalog()))
        builder.add_file(file)
        for case in file.cases:
            inner = Builder(file.file, builder.catalog)
            ask = _ask(inner, file, case)
            problems += inner.problems
            if ask is not None and not inner.problems:
                results.append(_judged(policy, file, case, ask))
            problems += _unknown_rules(policy, file, case)
        problems += builder.problems
    if problems:
        raise PolicyErrors(problems)
    return TestReport(
        policy_version=policy.version,
        cases=tuple(results),
        rules=coverage(policy, [result.evaluation for result in results]),
    )


def _ask(builder: Builder, file: CaseFile, case: Case) -> Ask | None:
    asked = case.asked
    requester, beneficiary, entitlement = builder.asked(asked)
    if builder.problems:
        return None
    at = (asked.at or file.at or Moment(at=WEDNESDAY)).seen_from(WEDNESDAY)
    try:
        ask = ask_for(
            builder.catalog,
            requester=requester,
            beneficiary=beneficiary,
            entitlement=entitlement,
            duration=asked.duration,
            at=at,
            is_extension=asked.extension,
            break_glass=asked.break_glass,
            justification=asked.justification,
            ticket=asked.ticket.ticket if asked.ticket else None,
            ticket_facts=TicketFacts(status=asked.ticket.status) if asked.ticket else None,
            starts_at=asked.starts_at.seen_from(at) if asked.starts_at else None,
            context=asked.context,
        )
        return _with_past(ask, asked)
    except (LapseError, OverflowError) as error:
        message = error.message if isinstance(error, LapseError) else "its times are too far away"
        builder.report(case.place, f"the question cannot be asked: {message}", getattr(error, "hint", ""))
        return None


def _with_past(ask: Ask, asked: Asked) -> Ask:
    """The question with its history, and the contiguous time that follows from it."""
    history = _history(asked.past, ask)
    if history is None:
        return ask
    same = [grant for grant in history.grants if grant.entitlement == ask.entitlement.name]
    return replace(ask, history=history, total_duration=max(ask.total_duration, contiguous(ask, same)))


def _history(past: Past, ask: Ask) -> History | None:
    if not past.known:
        return None
    return History(
        since=_BEGINNING,
        grants=tuple(
            PastGrant(
                entitlement=held.entitlement or ask.entitlement.name,
                begins_at=held.begins.seen_from(ask.at),
                ends_at=held.ends.seen_from(ask.at),
            )
            for held in past.held
        ),
        requests=tuple(
            PastRequest(at=made.at.seen_from(ask.at), offer=made.offer, automatic=made.automatic)
            for made in past.requests
        ),
        justifications=past.justifications,
        pending=past.pending,
        overdue_reviews=tuple(f"review-{number}" for number in range(1, past.overdue_reviews + 1)),
    )


def _judged(policy: Policy, file: CaseFile, case: Case, ask: Ask) -> CaseResult:
    evaluation = evaluate(policy, ask)
    return CaseResult(
        name=case.name,
        file=file.file,
        line=case.place.line,
        differences=tuple(_differences(case.expected, evaluation)),
        evaluation=evaluation,
    )


def _differences(expected: Expected, found: Evaluation) -> Iterator[Difference]:
    if expected.denied is not None:
        yield from _of_denial(expected, found)
    elif found.terms is None:
        wanted = f"allowed by `{expected.offer}`" if expected.offer else "allowed"
        what = next(iter(expected.places), "expect")
        yield _difference(expected, what, wanted, f"denied: {found.reason}")
    else:
        yield from _of_terms(expected, found.terms)


def _of_denial(expected: Expected, found: Evaluation) -> Iterator[Difference]:
    reason = expected.denied or ""
    if found.terms is not None:
        yield _difference(expected, "denied", f"denied: {reason}" if reason else "denied", f"allowed: {found.reason}")
        return
    if reason not in found.reason:
        yield _difference(expected, "denied", f"a reason with {reason!r}", found.reason)
    if expected.hint is not None and expected.hint not in found.hint:
        yield _difference(expected, "hint", f"a hint with {expected.hint!r}", found.hint or "no hint")
    standing = _in_the_way(found)
    if expected.by and set(expected.by) != set(standing):
        yield _difference(expected, "by", _listed(expected.by), _listed(standing) or "no rule")


def _in_the_way(found: Evaluation) -> list[str]:
    """The limits that deny; where none does, the offers that are about it and do not fit."""
    limits = [limit.name for limit in found.limits if limit.open_checks]
    return limits or [offer.name for offer in found.offers if offer.open_checks]


def _of_terms(expected: Expected, terms: Terms) -> Iterator[Difference]:
    for what, actual in (
        ("offer", terms.offer),
        ("automatic", terms.automatic),
        ("break_glass", terms.break_glass),
        ("max_duration", terms.max_duration),
        ("max_total", terms.max_total),
        ("pending_timeout", terms.pending_timeout),
    ):
        wanted = getattr(expected, what)
        if wanted is not None and wanted != actual:
            yield _difference(expected, what, _shown(wanted), _shown(actual))
    if expected.approvals is not None and not _same_stages(expected.approvals, terms.stages):
        yield _difference(
            expected, "approvals", _stages(expected.approvals), "; ".join(map(stage_words, terms.stages)) or "none"
        )


def _same_stages(expected: Sequence[ExpectedStage], stages: Sequence[Stage]) -> bool:
    return len(expected) == len(stages) and all(map(_same_stage, expected, stages))


def _same_stage(expected: ExpectedStage, stage: Stage) -> bool:
    quorum = ALL if stage.everyone else stage.quorum
    return (
        expected.name in {None, stage.name}
        and expected.quorum in {None, quorum}
        and (not expected.approvers or set(expected.approvers) == set(stage.approvers))
    )


def _stages(expected: Sequence[ExpectedStage]) -> str:
    words = []
    for stage in expected:
        who = f" of {_listed(stage.approvers)}" if stage.approvers else ""
        name = f" ({stage.name})" if stage.name else ""
        words.append(f"{'any number' if stage.quorum is None else stage.quorum}{who}{name}")
    return "; ".join(words) or "none"


def _unknown_rules(policy: Policy, file: CaseFile, case: Case) -> Iterator[Problem]:
    """A case that expects a rule the policy does not have is a mistake, and would be one with `denied` for ever."""
    from lapse.policy.problems import nearest

    offers = [offer.name for offer in policy.offers]
    rules = [*offers, *(limit.name for limit in policy.limits)]
    names = [("offer", case.expected.offer, offers), *(("by", name, rules) for name in case.expected.by)]
    for what, name, known in names:
        if name is not None and name not in known:
            place = case.expected.places[what]
            kind = "offer" if what == "offer" else "rule"
            message = f"the policy has no {kind} `{name}`"
            yield Problem(
                file=file.file, line=place.line, column=place.column, message=message, hint=nearest(name, known)
            )


def _difference(expected: Expected, what: str, wanted: str, actual: str) -> Difference:
    place = expected.places.get(what, expected.place)
    return Difference(what=what, expected=wanted, actual=actual, line=place.line)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: object) -> str:
    from datetime import timedelta

    if isinstance(value, bool):
        return str(value).lower()
    return human_duration(value) if isinstance(value, timedelta) else f"`{value}`"
