"""Whether what the solver found really comes about: asked of the evaluator, with people who agree, step by step.

One request, or for the contiguous time a chain of requests, each of which continues the one before. The evaluator and
the counting of votes are the judges; nothing is a counter-example that they do not allow. Called by `decide`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.domain.terms import Terms
from lapse.policy.checks import Question, condition_check, entitlement_check, kind_check
from lapse.policy.evaluator import decide
from lapse.policy.patterns import may_be
from lapse.policy.proof.cases import Case
from lapse.policy.proof.consent import Electorate, count
from lapse.policy.proof.results import CounterExample, Step
from lapse.policy.results import Status
from lapse.policy.rules import Limit, Offer, Policy, Selector, Situation
from lapse.policy.values import Ask, PastGrant, PastRequest
from lapse.policy.windows import closes_at, is_open

MOST_STEPS = 400
"""Requests in one chain; a longer one is not looked for."""

_MOST_LENGTHS = 40
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Goal:
    """What must never be: access that `about` selects, and that comes about as `situation` says, under `policy`."""

    policy: Policy
    about: Selector
    situation: Situation


def replayed(goal: Goal, case: Case, electorate: Electorate) -> CounterExample | None:
    """`case` as a counter-example, if evaluator and votes agree that it is one."""
    if goal.situation.total_longer_than is not None:
        return _chain(goal, case, electorate, goal.situation.total_longer_than)
    step = _step(goal, case, electorate)
    if step is None or not _comes_about(goal.situation, [step]):
        return None
    return CounterExample(catalog=electorate.catalog, steps=(step,), total=case.duration)


def selected(about: Selector, ask: Ask) -> bool:
    """Whether `about` selects the question."""
    checks = [entitlement_check(about, ask), kind_check(about, ask)]
    if about.when is not None:
        checks.append(condition_check(about.when, Question(ask)))
    chosen = not about.to or may_be(ask.beneficiary, about.to)
    return chosen and all(check.status is Status.SATISFIED for check in checks)


def _step(goal: Goal, case: Case, electorate: Electorate) -> Step | None:
    """`case` as one request that is allowed, and that enough persons can agree to."""
    terms = _terms(goal, replace(case, catalog=electorate.catalog))
    if terms is None or not _suits(goal.situation, terms):
        return None
    consent = electorate.agree(case, terms)
    if consent is None:
        return None
    case = replace(case, catalog=consent.catalog)
    if _terms(goal, case) != terms or case.held_from > max(case.begins_at, _latest(case, terms)):
        return None
    return Step(
        ask=case.ask(),
        offer=terms.offer,
        held_from=case.held_from,
        persons=consent.persons,
        break_glass=terms.break_glass,
    )


def _terms(goal: Goal, case: Case) -> Terms | None:
    ask = case.ask()
    return decide(goal.policy, ask).terms if selected(goal.about, ask) else None


def _latest(case: Case, terms: Terms) -> datetime:
    """When the last vote can come: from then on the access would begin."""
    return case.at + terms.pending_timeout if terms.stages else case.begins_at


def _suits(situation: Situation, terms: Terms) -> bool:
    """Whether what must hold of every request of a chain holds of this."""
    automatic = situation.automatic is None or terms.automatic
    return automatic and (situation.break_glass is None or terms.break_glass)


def _comes_about(situation: Situation, steps: Sequence[Step]) -> bool:
    """Whether the steps together are what must never be; the total is looked at where they are made."""
    return _few(situation, steps) and any(_one_is(situation, step) for step in steps)


def _few(situation: Situation, steps: Sequence[Step]) -> bool:
    most = situation.fewer_persons_than
    return most is None or count(step.persons for step in steps) < most


def _one_is(situation: Situation, step: Step) -> bool:
    if situation.longer_than is not None and step.ask.duration <= situation.longer_than:
        return False
    if not situation.outside:
        return True
    windows, begin = situation.outside, step.held_from
    return not is_open(windows, begin) or closes_at(windows, begin, begin + step.ask.duration) is not None


def _chain(goal: Goal, last: Case, electorate: Electorate, longest: timedelta) -> CounterExample | None:
    """Requests that continue one another until they last longer than `longest`, like `last` but for the time."""
    case = replace(last, total=timedelta(0), is_extension=False)
    steps: list[Step] = []
    while case.total <= longest:
        tried = (_step(goal, one, electorate) for one in _continued(goal, case, longest))
        step = next((one for one in tried if one is not None and _few(goal.situation, [*steps, one])), None)
        if step is None or len(steps) >= MOST_STEPS:
            return None
        steps.append(step)
        electorate.remember(step.persons)
        case = _after(case, step)
    if not _comes_about(goal.situation, steps):
        return None
    return CounterExample(catalog=electorate.catalog, steps=tuple(steps), total=case.total)


def _continued(goal: Goal, case: Case, longest: timedelta) -> Iterator[Case]:
    """The request that comes next, the longest first."""
    for length in _lengths(goal, case.total, longest):
        longer = replace(case, duration=length, total=case.total + length)
        if case.justifications and case.justification:
            yield replace(longer, justification=f"{case.justification}, part {len(case.held) + 1}")
        yield longer


def _lengths(goal: Goal, total: timedelta, longest: timedelta) -> list[timedelta]:
    """Lengths worth trying: the longest that some rule allows, now or in all, and what would be enough."""
    rules: tuple[Offer | Limit, ...] = (*goal.policy.offers, *goal.policy.limits)
    bounds = {rule.needs.max_duration for rule in rules}
    bounds |= {rule.needs.max_total - total for rule in rules if rule.needs.max_total is not None}
    bounds |= {rule.needs.budget.most - total for rule in rules if rule.needs.budget is not None}
    bounds |= {longest - total + _SECOND, goal.situation.longer_than and goal.situation.longer_than + _SECOND}
    return sorted({bound for bound in bounds if bound and bound >= _SECOND}, reverse=True)[:_MOST_LENGTHS]


def _after(case: Case, step: Step) -> Case:
    """Halfway through what was granted, its continuation is asked for."""
    ends = step.held_from + step.ask.duration
    grant = PastGrant(entitlement=case.entitlement, begins_at=step.held_from, ends_at=ends)
    request = PastRequest(at=step.ask.at, offer=step.offer, automatic=not step.persons and not step.break_glass)
    return replace(
        case,
        total=case.total + step.ask.duration,
        at=step.held_from + step.ask.duration // 2 // _SECOND * _SECOND,
        begins_at=ends,
        held_from=ends,
        is_extension=True,
        held=(*case.held, grant),
        requests=(*case.requests, request),
        justifications=(step.ask.justification, *case.justifications),
    )
