"""How much and how often: budgets, cool-downs, quotas and rates, over what the ask says of the past.

Without that, or where it does not reach back far enough, a check is `failed`: what nobody looked at may be anything.
Called by `checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lapse.domain.durations import human_duration
from lapse.domain.names import shown
from lapse.policy.results import Check, Status
from lapse.policy.rules import Budget, Quota, Rate
from lapse.policy.values import Ask, EntitlementFacts, History, PastGrant


class InTime(Protocol):
    """The part of an ask that is looked at here."""

    @property
    def at(self) -> datetime:
        """When it is asked."""
        ...

    @property
    def begins_at(self) -> datetime:
        """When the access would begin."""
        ...

    @property
    def duration(self) -> timedelta:
        """How long it would last."""
        ...

    @property
    def entitlement(self) -> EntitlementFacts:
        """What is asked for."""
        ...

    @property
    def break_glass(self) -> bool:
        """Whether it is an emergency."""
        ...

    @property
    def history(self) -> History | None:
        """What there was before, if somebody looked."""
        ...


Interval = tuple[datetime, datetime]
_SECOND = timedelta(seconds=1)


def contiguous(ask: Ask, grants: Iterable[PastGrant]) -> timedelta:
    """The length of the stretch without a gap that what is asked for would make with `grants` of the entitlement."""
    asked = (ask.begins_at, ask.begins_at + ask.duration)
    held = [(grant.begins_at, grant.ends_at) for grant in grants if grant.begins_at < grant.ends_at]
    return next(end - start for start, end in joined([*held, asked]) if start <= asked[0] and end >= asked[1])


def budget_check(budget: Budget, ask: InTime) -> Check:
    """Whether every stretch of `budget.per` holds at most `budget.most` of the entitlement, with what is asked."""
    words = (
        f"allows {human_duration(budget.most)} of `{shown(ask.entitlement.name)}` in any {human_duration(budget.per)}"
    )
    history = _reaching(ask, ask.begins_at - budget.per)
    if history is None:
        return _unknown("budget", words)
    most = _fullest(_held(ask, history), (ask.begins_at, ask.begins_at + ask.duration), budget.per)
    detail = f"{words} ({human_duration(_whole(most))} with this)"
    if most <= budget.most:
        return Check(name="budget", status=Status.SATISFIED, detail=detail)
    left = _whole_down(ask.duration - (most - budget.most))
    remedy = f"ask for {human_duration(left)} or less" if left >= _SECOND else ""
    at_most = left if left >= _SECOND else None
    return Check(name="budget", status=Status.UNSATISFIED, detail=detail, remedy=remedy, at_most=at_most)


def cooldown_check(cooldown: timedelta, ask: InTime) -> Check:
    """Whether the beneficiary is without the entitlement for `cooldown` before and after, or does not let go of it."""
    words = f"asks for {human_duration(cooldown)} without `{shown(ask.entitlement.name)}` in between"
    begin, end = ask.begins_at, ask.begins_at + ask.duration
    history = _reaching(ask, begin - cooldown)
    if history is None:
        return _unknown("cooldown", words)
    for start, over in joined(_held(ask, history)):
        if start <= end and over >= begin:
            continue  # it touches this one: together they are one stretch, which `max_total` bounds
        if timedelta(0) < begin - over < cooldown:
            free = _moment(over + cooldown)
            detail = f"{words} (the last ended {_moment(over)})"
            return Check(name="cooldown", status=Status.UNSATISFIED, detail=detail, remedy=f"start at {free} or later")
        if timedelta(0) < start - end < cooldown:
            detail = f"{words} (the next begins {_moment(start)})"
            return Check(name="cooldown", status=Status.UNSATISFIED, detail=detail)
    return Check(name="cooldown", status=Status.SATISFIED, detail=words)


def quota_checks(quota: Quota, ask: InTime) -> Iterator[Check]:
    """Whether the requester has asked often enough already."""
    if quota.rate is not None:
        rate, words = quota.rate, f"accepts {_times(quota.rate, 'request', 'of one requester ')}"
        made = made_within(rate, ask)
        yield _unknown("quota", words) if made is None else _counted("quota", words, made, rate.most)
    if quota.pending is not None:
        words = f"lets {quota.pending} requests of one requester wait at a time"
        if ask.history is None:
            yield _unknown("pending", words)
        else:
            yield _counted("pending", words, ask.history.pending, quota.pending)


def rate_check(rate: Rate, offer: str, ask: InTime) -> Check:
    """Whether `offer` may be approved automatically once more for this requester."""
    words = f"is approved automatically {_times(rate, 'time')} for one person"
    made = made_within(rate, ask, offer)
    return _unknown("auto_approve", words) if made is None else _counted("auto_approve", words, made, rate.most)


def made_within(rate: Rate, ask: InTime, automatic_by: str = "") -> int | None:
    """How many requests the requester made within `rate.per`, or had approved automatically by that offer.

    None where that is not known.
    """
    since = ask.at - rate.per
    history = _reaching(ask, since)
    if history is None:
        return None
    made = [request for request in history.requests if since < request.at <= ask.at]
    return sum(1 for r in made if r.automatic and r.offer == automatic_by) if automatic_by else len(made)


def break_glass_check(ask: InTime) -> Check:
    """Whether break-glass was asked for, and every earlier one has been looked at in time."""
    if not ask.break_glass:
        detail, remedy = "is for emergencies, and has to be asked for", "ask for break-glass if this is an emergency"
        return Check(name="break_glass", status=Status.UNSATISFIED, detail=detail, remedy=remedy)
    if ask.history is None:
        return _unknown("break_glass", "is for those whose earlier uses were all reviewed in time")
    overdue = ask.history.overdue_reviews
    if overdue:
        detail = f"is refused while the review of an earlier use is overdue ({', '.join(map(shown, overdue[:3]))})"
        return Check(name="break_glass", status=Status.UNSATISFIED, detail=detail)
    return Check(name="break_glass", status=Status.SATISFIED, detail="is for emergencies, as asked for")


def _reaching(ask: InTime, since: datetime) -> History | None:
    """The history, if it is complete from `since` on."""
    return ask.history if ask.history is not None and ask.history.since <= since else None


def _held(ask: InTime, history: History) -> list[Interval]:
    return [
        (grant.begins_at, grant.ends_at)
        for grant in history.grants
        if grant.entitlement == ask.entitlement.name and grant.begins_at < grant.ends_at
    ]


def joined(intervals: Sequence[Interval]) -> list[Interval]:
    """The union, as intervals that do not touch, in order."""
    union: list[Interval] = []
    for start, end in sorted(intervals):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


def _fullest(held: Sequence[Interval], asked: Interval, per: timedelta) -> timedelta:
    """The most time in any stretch of `per` that has a part of `asked` in it.

    What lies in a stretch grows and shrinks linearly as it moves, so the fullest begins or ends with an interval.
    """
    union = joined([*held, asked])
    starts = [start for start, _ in union] + [end - per for _, end in union]
    touching = [start for start in starts if start < asked[1] and start + per > asked[0]]
    return max(sum((_overlap(one, (start, start + per)) for one in union), timedelta(0)) for start in touching)


def _overlap(one: Interval, other: Interval) -> timedelta:
    return max(min(one[1], other[1]) - max(one[0], other[0]), timedelta(0))


def _moment(at: datetime) -> str:
    """RFC 3339 to the second, rounded up."""
    whole = at if at.microsecond == 0 else at.replace(microsecond=0) + _SECOND
    return whole.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(time: timedelta) -> timedelta:
    return -(-time // _SECOND) * _SECOND


def _whole_down(time: timedelta) -> timedelta:
    return time // _SECOND * _SECOND


def _times(rate: Rate, what: str, whose: str = "") -> str:
    return f"{rate.most} {what}{'' if rate.most == 1 else 's'} {whose}in any {human_duration(rate.per)}"


def _counted(name: str, words: str, made: int, most: int) -> Check:
    status = Status.SATISFIED if made < most else Status.UNSATISFIED
    return Check(name=name, status=status, detail=f"{words} ({made} so far)")


def _unknown(name: str, words: str) -> Check:
    return Check(name=name, status=Status.FAILED, detail=f"{words}, and what there was before is not known")
