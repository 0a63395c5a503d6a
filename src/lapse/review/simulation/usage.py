"""What access is used for: sessions within a grant, what was done in them, and when nobody needs it any more.

A grant is always used while it is recorded whether it is, and seldom for little of its time only: that would be a
finding. Called by `granting` when access begins, and by the plants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lapse.domain.grants import Grant
from lapse.domain.principals import PrincipalKind
from lapse.review.simulation.areas import records_actions, rights_of
from lapse.review.simulation.chance import Stream, lognormal
from lapse.review.simulation.wishes import RIGHT, USED, Case, Use
from lapse.review.simulation.world import Habit, World

SESSION_MEDIAN, SESSION_SIGMA = 14 * 60.0, 1.1
"""Seconds that a session lasts."""

MORE_SESSIONS = 0.45
"""How likely there is one more session after each."""

RELEASED_SHARE = 0.35
"""How many give access back when they are done."""

SMALL_SHARE = 0.25
"""A grant whose last use comes within this share of its time was too long, as detector L12 counts."""

_MOST_SESSIONS = 6
_HABIT = 5
_BEFORE_END = timedelta(seconds=3)
_LATE_SHARES = (0.3, 0.97)
_EARLY_SHARES = (0.04, 0.2)
_SMALL_USES = 0.2
_RIGHTS_USED = 0.7


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was done, and to what; both None where the log does not say."""

    action: str | None
    thing: str | None


NOTHING = (Done(None, None),)


def use_grant(world: World, case: Case) -> datetime | None:
    """Write the sessions of a grant that has just begun; returns when its holder gives it back, if before its end."""
    grant, use = case.grant, case.twist.use or USED
    if grant is None or grant.activated_at is None or grant.ends_at is None or use.unused:
        return None
    stream = world.chance.stream("use")
    begins = max(grant.activated_at, world.now)
    length = (grant.ends_at - begins) / timedelta(seconds=1)
    share = _share(stream, world.habits[grant.beneficiary, grant.entitlement], use)
    last = begins + timedelta(seconds=max(1.0, length * share - 3))
    deeds = _deeds(world, stream, case)
    for number, (start, stop) in enumerate(_sessions(stream, begins, last)):
        write_session(world, grant, (start, stop), deeds if number == 0 else deeds[:1], use.by)
    _oddities(world, grant, use, deeds)
    odd = case.twist is not RIGHT
    released = stream.random() < RELEASED_SHARE and not odd and last + _BEFORE_END < grant.ends_at
    return last + _BEFORE_END if released else None


def write_session(world: World, grant: Grant, span: tuple[datetime, datetime], deeds: Sequence[Done], by: str) -> None:
    """One session as a whole, and as proof of use; what has not happened yet is not known."""
    start, stop = span
    if start >= world.size.end:
        return
    who = by or grant.beneficiary
    person = world.staff.persons.get(who)
    name = world.books.new_id("ses")
    world.last_use[grant.resource, grant.account] = max(
        min(stop, world.size.end), world.last_use.get((grant.resource, grant.account), start)
    )
    row = {
        "resource": grant.resource,
        "account": grant.account,
        "started_at": start,
        "ended_at": stop if stop < world.size.end else None,
        "grant_id": grant.id,
        "principal": who,
        "address": person.address if person else "10.9.0.1",
        "device": person.device if person else "server",
        "source": f"{world.catalog.resources[grant.resource].connector} log",
        "session_id": name,
    }
    world.books.add("sessions", row | {"protocol": _protocol(world, grant.resource), "end_reason": "closed"})
    world.books.add_all("usage", (row | {"action": deed.action, "object": deed.thing} for deed in deeds))


def write_use(world: World, resource: str, account: str, span: tuple[datetime, datetime]) -> None:
    """Use of a login that no grant is behind, such as a service's."""
    start, stop = span
    principal = world.catalog.account_owner(resource, account) or account
    world.last_use[resource, account] = max(stop, world.last_use.get((resource, account), stop))
    world.books.add(
        "usage",
        {
            "resource": resource,
            "account": account,
            "started_at": start,
            "ended_at": stop,
            "principal": principal if principal in world.catalog.principals else None,
            "source": f"{world.catalog.resources[resource].connector} log",
        },
    )


def _share(stream: Stream, habit: Habit, use: Use) -> float:
    """How much of the time passes until the last use ends. Little is seldom enough to be no habit."""
    if use.share is not None:
        share = use.share
    else:
        small = stream.random() < _SMALL_USES
        share = stream.uniform(*(_EARLY_SHARES if small else _LATE_SHARES))
        over = 2 * (habit.oversized + 1) > habit.grants + 1
        if small and (over or habit.oversized + 1 >= _HABIT):
            share = stream.uniform(*_LATE_SHARES)
    habit.grants += 1
    habit.oversized += share <= SMALL_SHARE
    return share


def _sessions(stream: Stream, begins: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """Sessions within the time; the last one ends at `last`."""
    whole = (last - begins) / timedelta(seconds=1)
    spans: list[tuple[datetime, datetime]] = []
    while True:
        length = min(whole, max(1.0, lognormal(stream, SESSION_MEDIAN, SESSION_SIGMA)))
        stop = last if not spans else begins + timedelta(seconds=stream.uniform(length, whole))
        spans.append((max(begins, stop - timedelta(seconds=length)), stop))
        if stream.random() >= MORE_SESSIONS or len(spans) >= _MOST_SESSIONS:
            return spans


def _deeds(world: World, stream: Stream, case: Case) -> Sequence[Done]:
    """What is done with a grant: most of what its role allows, where every action is recorded."""
    grant, use = case.grant, case.twist.use or USED
    if grant is None or not records_actions(grant.resource):
        return NOTHING
    rights = list(rights_of(grant.resource, grant.role))
    if not rights:
        return NOTHING
    kept = stream.sample(rights, k=max(1, round(len(rights) * _RIGHTS_USED)))
    deeds = [Done(action, thing) for action, thing in kept]
    if _declares(world, grant, use):
        _declare(world, grant, deeds)
    return [Done("COPY", "public.salaries"), *deeds] if use.off_purpose else deeds


def _declares(world: World, grant: Grant, use: Use) -> bool:
    agent = world.catalog.principals[grant.beneficiary].kind is PrincipalKind.AGENT
    return agent or use.purpose or use.off_purpose


def _declare(world: World, grant: Grant, deeds: Sequence[Done]) -> None:
    """The request had said what it was for: actions, and objects by pattern."""
    for action in sorted({str(deed.action) for deed in deeds}):
        world.books.add("purposes", {"request_id": grant.request_id, "kind": "action", "pattern": action})
    for thing in sorted({str(deed.thing) for deed in deeds}):
        world.books.add("purposes", {"request_id": grant.request_id, "kind": "object", "pattern": f"{thing}*"})


def _oddities(world: World, grant: Grant, use: Use, deeds: Sequence[Done]) -> None:
    """Use after the end, or beyond it."""
    end = grant.ends_at
    if end is not None and use.after_end is not None:
        begin = end + use.after_end
        write_session(world, grant, (begin, begin + timedelta(minutes=4)), deeds[:1], use.by)
    if end is not None and use.beyond_end is not None:
        write_session(world, grant, (end - timedelta(minutes=3), end + use.beyond_end), deeds[:1], use.by)


def _protocol(world: World, resource: str) -> str:
    connector = world.catalog.resources[resource].connector
    return {"openssh": "ssh", "aws": "https"}.get(connector, connector)
