"""What of a recorded question the needs of rules look at, besides who asks for what: read off the rules.

A feature turns a question into something small; where all features agree, every need comes out the same. Conditions
are in `outcomes`. Called by `memo`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial

import msgspec

from lapse.policy.calendars import Calendar
from lapse.policy.frequency import break_glass_check, budget_check, cooldown_check, made_within
from lapse.policy.justifications import is_boilerplate, repeats
from lapse.policy.recorded import LookedBack, RecordedAsk, decoded
from lapse.policy.results import Check, Status
from lapse.policy.rules import Limit, Needs, Offer, Quota, Rate
from lapse.policy.values import TicketStatus

Feature = Callable[[RecordedAsk], object]
Look = Callable[[LookedBack], object]

_YEARS = range(2000, 9000)


class _Looked(msgspec.Struct, frozen=True, gc=False):
    """The part of ticket facts that decides."""

    status: TicketStatus


def sane(asked: RecordedAsk) -> object:
    """Whether its times are usable."""
    starts = asked.starts_at
    return asked.at.year in _YEARS and (starts is None or starts.year in _YEARS)


def need_features(needs: Sequence[Needs]) -> Iterator[Feature]:
    """What the needs of rules look at, the past excepted."""
    lengths = sorted({length for one in needs for length in (one.max_duration, one.max_total) if length is not None})
    for windows in {one.windows: None for one in needs if one.windows}:
        yield partial(_room, Calendar(windows), lengths)
    yield from _justification_features(needs)
    if any(one.ticket is not None for one in needs):
        yield _ticket
        if any(one.ticket is not None and one.ticket.checked for one in needs):
            yield _ticket_status


def looks_back(rules: Iterable[Offer | Limit]) -> Iterator[Look]:
    """What the rules look at in the past, each as a function that gives the outcome alone."""
    for rule in rules:
        needs = rule.needs
        if needs.budget is not None:
            yield partial(_outcome, budget_check, needs.budget)
        if needs.cooldown is not None:
            yield partial(_outcome, cooldown_check, needs.cooldown)
        if needs.quota is not None:
            yield partial(_within_quota, needs.quota)
        if needs.justification is not None and needs.justification.unlike_last:
            yield partial(_repeated, needs.justification.unlike_last)
        if isinstance(rule, Offer) and rule.auto_rate is not None:
            yield partial(_within_rate, rule.auto_rate, rule.name)
        if isinstance(rule, Offer) and rule.post_review is not None:
            yield partial(_outcome, break_glass_check)


def _outcome(check: Callable[..., Check], *given: object) -> Status:
    return check(*given).status


def _within_quota(quota: Quota, ask: LookedBack) -> object:
    if ask.history is None:
        return None
    pending = quota.pending is None or ask.history.pending < quota.pending
    if quota.rate is None:
        return pending
    made = made_within(quota.rate, ask)
    return (pending, None) if made is None else (pending, made < quota.rate.most)


def _within_rate(rate: Rate, offer: str, ask: LookedBack) -> object:
    made = made_within(rate, ask, offer)
    return made is None or made < rate.most, made is None


def _repeated(last: int, ask: LookedBack) -> object:
    return ask.history and repeats(ask.justification.strip(), ask.history.justifications[:last])


def _room(calendar: Calendar, lengths: Sequence[timedelta], asked: RecordedAsk) -> object:
    """How long the windows stay open: all the time asked for, or (as far as it matters) how much of it."""
    room = calendar.room(asked.begins_at, asked.duration)
    if not isinstance(room, timedelta) or room == asked.duration or asked.total_duration != asked.duration:
        return room
    return bisect_right(lengths, room)


def _ticket(asked: RecordedAsk) -> object:
    ticket = asked.ticket
    return None if ticket is None else (ticket.system.strip().lower(), bool(ticket.number.strip()))


def _ticket_status(asked: RecordedAsk) -> object:
    return decoded(_Looked | None, asked.ticket_facts)


def _justification_features(needs: Sequence[Needs]) -> Iterator[Feature]:
    wanted = [one.justification for one in needs if one.justification is not None]
    lengths = sorted({one.min_length for one in wanted})
    if lengths:
        yield lambda asked: bisect_right(lengths, len(asked.justification.strip()))
    if any(one.real or one.unlike_last for one in wanted):
        yield lambda asked: bool(asked.justification.strip())
    if any(one.real for one in wanted):
        yield lambda asked: is_boilerplate(asked.justification)
