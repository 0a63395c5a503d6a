"""What rules look at of the past: which of these looks follow from which, and a past for which they are as wanted.

To the solver a look is a mere yes or no. `lemmas` tells it what holds between them, so that a stricter budget is never
met where a laxer one is not; `pasts` makes up histories for a question, of which the evaluator is the judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

from lapse.policy.proof.asked import AskedModel, seconds
from lapse.policy.proof.logic import Formula, implies
from lapse.policy.proof.rules import RulesModel
from lapse.policy.rules import Budget, JustificationNeed, Limit, Needs, Offer, Quota, Rate
from lapse.policy.values import Ask, History, PastGrant, PastRequest

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_MOST_GAPS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One look at the past: what is needed, by whom where that matters, and the formula that says it is met."""

    needs: Budget | timedelta | Quota | Rate | int | None
    holds: Formula
    offer: str = ""

    def implies(self, other: Look) -> bool:
        """Whether `other` is met wherever this one is."""
        one, two = self.needs, other.needs
        if isinstance(one, Budget) and isinstance(two, Budget):
            return one.most <= two.most and one.per >= two.per
        if isinstance(one, Rate) and isinstance(two, Rate):
            return self.offer == other.offer and _rarer(one, two)
        if isinstance(one, Quota) and isinstance(two, Quota):
            fewer = two.pending is None or (one.pending is not None and one.pending <= two.pending)
            return fewer and (two.rate is None or (one.rate is not None and _rarer(one.rate, two.rate)))
        if isinstance(one, timedelta) and isinstance(two, timedelta):
            return one >= two
        return isinstance(one, int) and isinstance(two, int) and one >= two


def _rarer(one: Rate, other: Rate) -> bool:
    return one.most <= other.most and one.per >= other.per


def looks(asked: AskedModel, models: Iterable[RulesModel]) -> tuple[Look, ...]:
    """Every look of these rules. To be called once all of them are formulas."""
    found: dict[object, Look] = {}
    for rules in models:
        every: tuple[Offer | Limit, ...] = (*rules.policy.offers, *rules.policy.limits)
        for rule in every:
            for look in _of(rule, rules, asked):
                found.setdefault((look.needs, type(look.needs), look.offer), look)
    return tuple(found.values())


def _of(rule: Offer | Limit, rules: RulesModel, asked: AskedModel) -> Iterator[Look]:
    needs = rule.needs
    if needs.budget is not None:
        yield Look(needs.budget, rules.met(Needs(budget=needs.budget)))
    if needs.cooldown is not None:
        yield Look(needs.cooldown, rules.met(Needs(cooldown=needs.cooldown)))
    if needs.quota is not None:
        yield Look(needs.quota, rules.met(Needs(quota=needs.quota)))
    last = needs.justification.unlike_last if needs.justification is not None else 0
    if last:
        yield from _named(asked, f"needs {Needs(justification=JustificationNeed(unlike_last=last))}", last)
    if isinstance(rule, Offer) and rule.auto_rate is not None:
        yield from _named(asked, f"rate {rule.auto_rate} of {rule.name}", rule.auto_rate, rule.name)
    if isinstance(rule, Offer) and rule.post_review is not None:
        yield from _named(asked, "reviewed", None)


def _named(asked: AskedModel, name: str, needs: Rate | int | None, offer: str = "") -> Iterator[Look]:
    if name in asked.looks:
        yield Look(needs, asked.looks[name].holds, offer)


def lemmas(asked: AskedModel, found: Iterable[Look]) -> Iterator[Formula]:
    """What holds of these looks, whatever the past is."""
    found = tuple(found)
    for one, other in permutations(found, 2):
        if one.implies(other):
            yield implies(one.holds, other.holds)
    for look in found:
        if isinstance(look.needs, Budget) and look.needs.most < look.needs.per:
            yield implies(look.holds, asked.duration <= seconds(look.needs.most))


def pasts(ask: Ask, wanted: Mapping[Look, bool]) -> Iterator[Ask]:
    """`ask` with nothing before it, and then with histories that may be as wanted; the caller looks if they are."""
    empty = History(since=BEGINNING)
    yield replace(ask, history=empty)
    broken = [look for look, met in wanted.items() if not met]
    if not broken:
        return
    for gap in _gaps(wanted):
        yield replace(ask, history=_broken(empty, ask, broken, gap))
        if len(broken) > 1:
            for look in broken:
                yield replace(ask, history=_broken(empty, ask, [look], gap))


def _gaps(wanted: Iterable[Look]) -> list[timedelta]:
    """How long before what is asked for the rest may lie: at each side of what rules tell apart."""
    spans: set[timedelta] = set()
    for look in wanted:
        needs = look.needs
        if isinstance(needs, Budget):
            spans |= {needs.per, max(needs.per - needs.most, _MINUTE)}
        elif isinstance(needs, timedelta):
            spans.add(needs)
        elif isinstance(needs, Rate):
            spans.add(needs.per)
        elif isinstance(needs, Quota) and needs.rate is not None:
            spans.add(needs.rate.per)
    edges = {_MINUTE, *(span - _SECOND for span in spans if span > _MINUTE), *(span + _SECOND for span in spans)}
    return sorted(edges)[:_MOST_GAPS]


def _broken(history: History, ask: Ask, looks_: Iterable[Look], gap: timedelta) -> History:
    for look in looks_:
        history = _without(history, ask, look, gap)
    return history


def _without(history: History, ask: Ask, look: Look, gap: timedelta) -> History:
    """`history` with what this look forbids."""
    needs = look.needs
    if isinstance(needs, Budget):
        length = max(needs.most - min(ask.duration, needs.per) + _SECOND, _SECOND)
        return _held(history, ask, length, gap)
    if isinstance(needs, timedelta):
        return _held(history, ask, _MINUTE, min(gap, needs - _SECOND))
    if isinstance(needs, Rate):
        return _asked_before(history, ask, needs.most, look.offer, gap)
    if isinstance(needs, Quota):
        if needs.rate is not None:
            history = _asked_before(history, ask, needs.rate.most, "", gap)
        return replace(history, pending=max(history.pending, needs.pending or 0))
    if isinstance(needs, int):
        others = tuple(f"something else, the {n}. time" for n in range(1, needs))
        return replace(history, justifications=(*others, ask.justification))
    return replace(history, overdue_reviews=("aft_1",))


def _held(history: History, ask: Ask, length: timedelta, gap: timedelta) -> History:
    end = ask.begins_at - gap
    grant = PastGrant(entitlement=ask.entitlement.name, begins_at=end - length, ends_at=end)
    return replace(history, grants=(*history.grants, grant))


def _asked_before(history: History, ask: Ask, count: int, offer: str, gap: timedelta) -> History:
    made = PastRequest(at=ask.at - gap, offer=offer or "another", automatic=bool(offer))
    return replace(history, requests=(*history.requests, *[made] * count))
