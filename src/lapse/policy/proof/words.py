"""Questions and answers that proofs show, in words. Called by `diff` and `findings`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lapse.domain.durations import human_duration
from lapse.domain.names import shown
from lapse.domain.terms import Terms
from lapse.policy.evaluator import stage_words
from lapse.policy.results import Evaluation
from lapse.policy.values import Ask, History, PrincipalFacts

_ATTRIBUTES = ("department", "title", "email", "manager", "sponsor", "owner")
_LONGEST = 120


def asked_words(ask: Ask) -> str:
    """The question as a sentence."""
    who, whom = who_words(ask.requester), "" if ask.for_self else f" for {who_words(ask.beneficiary)}"
    what = f"`{shown(ask.entitlement.name)}`" + _bracketed(_tags(ask))
    asks = "asks, in an emergency," if ask.break_glass else "asks"
    return f"{who} {asks}{whom} for {what}, {human_duration(ask.duration)}"


def lines_of(ask: Ask) -> tuple[str, ...]:
    """The question, and what else is so, a line each."""
    return (asked_words(ask), *_circumstances(ask))


def who_words(facts: PrincipalFacts) -> str:
    """A principal with what is known of it."""
    said = [facts.kind] if facts.kind != "person" else []
    if facts.person not in {"", facts.name}:
        said.append(f"an alias of `{shown(facts.person)}`")
    if facts.groups:
        said.append("in " + ", ".join(f"`{shown(group)}`" for group in facts.groups))
    behind = [f"`{shown(group)}`" for group in facts.human_groups if group not in facts.groups]
    if behind:
        said.append("whose people are in " + ", ".join(behind))
    said += [f"{name} `{shown(value)}`" for name in _ATTRIBUTES if (value := getattr(facts, name))]
    return f"`{shown(facts.name)}`" + _bracketed(said)


def answer_words(answer: Evaluation) -> str:
    """What a policy answers, in short."""
    if answer.terms is None:
        return f"denied: {answer.reason}"
    return f"allowed by `{answer.chosen}`: {terms_words(answer.terms)}"


def terms_words(terms: Terms) -> str:
    """What terms come to."""
    longest = f"at most {human_duration(terms.max_duration)}"
    if terms.max_total > terms.max_duration:
        longest += f" ({human_duration(terms.max_total)} with extensions)"
    return f"{longest}, {_approval_words(terms)}"


def _approval_words(terms: Terms) -> str:
    if terms.post_review is not None:
        return f"at once as break-glass, reviewed within {human_duration(terms.post_review.within)}"
    if not terms.stages:
        return "nobody decides"
    return "approved by " + (" and " if terms.in_parallel else ", then ").join(map(stage_words, terms.stages))


def detail_of(old: Evaluation, new: Evaluation) -> tuple[str, str]:
    """What was answered before, and what is now: with what differs, where the short words do not show it."""
    before, after = answer_words(old), answer_words(new)
    if old.terms is None or new.terms is None or before.partition(":")[2] != after.partition(":")[2]:
        return before, after
    return f"{before}; {_rest(old.terms, new.terms)}", f"{after}; {_rest(new.terms, old.terms)}"


def _rest(terms: Terms, other: Terms) -> str:
    """What short words do not show, where it differs from `other`."""
    parts = []
    if terms.pending_timeout != other.pending_timeout:
        parts.append(f"waits {human_duration(terms.pending_timeout)}")
    if terms.purpose != other.purpose:
        parts.append(f"for `{shown(terms.purpose)}`" if terms.purpose else "no purpose")
    if terms.post_review is not None and terms.post_review != other.post_review:
        parts.append(f"reviewed by {_listed(terms.post_review.reviewers)}")
    for stage, its in zip(terms.stages, other.stages, strict=False):
        if stage.excluded != its.excluded:
            parts.append(f"except {_listed(stage.excluded)}" if stage.excluded else "nobody excepted")
        if stage.escalations != its.escalations:
            steps = [f"{_listed(step.approvers)} after {human_duration(step.after)}" for step in stage.escalations]
            parts.append(f"then {', '.join(steps)} as well" if steps else "nobody else later")
        if stage.remind_after != its.remind_after:
            after = stage.remind_after
            parts.append(f"reminded after {human_duration(after)}" if after is not None else "nobody is reminded")
    return ", ".join(dict.fromkeys(parts)) or "in another order"


def _listed(parties: tuple[str, ...]) -> str:
    return ", ".join(f"`{party}`" for party in parties) or "nobody"


def _circumstances(ask: Ask) -> Iterator[str]:
    yield f"at {_moment(ask.at)}" + (f", from {_moment(ask.begins_at)}" if ask.begins_at > ask.at else "")
    if ask.total_duration > ask.duration:
        kind = "as an extension, " if ask.is_extension else ""
        yield f"{kind}{human_duration(ask.total_duration)} without a gap in all"
    if ask.justification:
        yield f'because "{shown(ask.justification, _LONGEST)}"'
    if ask.ticket is not None:
        status = f" ({ask.ticket_facts.status})" if ask.ticket_facts is not None else ""
        yield f"ticket `{shown(f'{ask.ticket.system}:{ask.ticket.number}')}`{status}"
    if ask.history is not None:
        yield from _before(ask, ask.history)


def _before(ask: Ask, history: History) -> Iterator[str]:
    for grant in history.grants:
        length, gap = grant.ends_at - grant.begins_at, ask.begins_at - grant.ends_at
        yield f"after {human_duration(length)} of it that ended {human_duration(gap)} before"
    if history.requests:
        yield f"after {len(history.requests)} request" + ("s" if len(history.requests) > 1 else "")
    if history.pending:
        yield f"with {history.pending} requests waiting"
    if history.justifications:
        yield "with the same words as before"
    if history.overdue_reviews:
        yield "with the review of an earlier break-glass overdue"


def _tags(ask: Ask) -> list[str]:
    """Tags of the resource, those of the entitlement that say something else, and the owner."""
    resource, entitlement = ask.resource.tags, ask.entitlement.tags
    parts = [f"`{shown(f'{key}={value}')}`" for key, value in sorted(resource.items())]
    parts += [f"the role `{shown(f'{key}={value}')}`" for key, value in sorted(entitlement.items())]
    return parts + ([f"owner `{shown(ask.resource.owner)}`"] if ask.resource.owner else [])


def _bracketed(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")
