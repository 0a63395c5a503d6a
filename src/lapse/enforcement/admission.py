"""What must not start although it is scheduled: the last look before a target is touched. Called by `activation`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.domain.locks import Lock, covering_lock
from lapse.enforcement.parts import Parts, transition

_A_MOMENT = timedelta(seconds=1)


async def parents_of(parts: Parts, grants: Sequence[Grant]) -> dict[str, Grant]:
    """By id, the grants that any of `grants` extends."""
    wanted = {grant.extends for grant in grants if grant.extends}
    return {name: await parts.store.read(lambda reader, n=name: reader.grant(n)) for name in wanted}  # type: ignore[misc]


def latest_end(grant: Grant, parent: Grant | None) -> datetime:
    """When `grant` is over even if it starts late; an extension runs on from the end of what it extends."""
    if parent is not None and parent.ends_at is not None:
        return parent.ends_at + grant.duration
    return grant.lapses_at


async def not_alone(parts: Parts, scheduled: Sequence[Grant], catalog: Catalog) -> set[str]:
    """Those of `scheduled` that would touch other grants of the same person and entitlement if they began now.

    How long a person holds something at a stretch was looked at for the time that was planned. One that is alone may
    begin late and have all of its time; one that is not would make the stretch longer than anybody agreed to.
    """
    now, alone = parts.clock.now(), [grant for grant in scheduled if grant.extends is None]
    names = {grant.id: catalog.names_of(grant.beneficiary) for grant in alone}
    others: defaultdict[tuple[str, str], list[Grant]] = defaultdict(list)
    for entitlement in {grant.entitlement for grant in alone}:
        people = frozenset[str]().union(*(names[grant.id] for grant in alone if grant.entitlement == entitlement))
        held = await parts.store.read(lambda r, e=entitlement, p=people: r.grants_held(p, e, now - _A_MOMENT))  # type: ignore[misc]
        for other in held:
            others[other.beneficiary, entitlement].append(other)
    return {
        grant.id
        for grant in alone
        if any(
            _touches(other, now, now + grant.duration)
            for name in names[grant.id]
            for other in others[name, grant.entitlement]
            if other.id != grant.id
        )
    }


def _touches(other: Grant, start: datetime, end: datetime) -> bool:
    begins, ends = other.activated_at or other.starts_at, other.ended_at or other.ends_at or other.lapses_at
    return begins <= end and ends >= start and (other.activated_at is not None or other.ended_at is None)


async def stop_what_may_not_start(
    parts: Parts, scheduled: Sequence[Grant], catalog: Catalog, parents: Mapping[str, Grant]
) -> list[Grant]:
    """Hold back what a lock stops, and end unused what can no longer begin; returns the rest.

    That is what a leaver was to get, what has passed, and what extends something that was ended.
    """
    locks = await parts.store.read(lambda reader: reader.locks())
    now = parts.clock.now()
    locked = {grant.id: lock for grant in scheduled if (lock := _lock_on(grant, locks, catalog)) is not None}

    def over(grant: Grant) -> EndReason | None:
        parent = parents.get(grant.extends or "")
        if not catalog.may_hold(grant.beneficiary):
            return EndReason.POLICY_CHANGED
        if parent is not None and parent.end_reason not in {None, EndReason.ELAPSED}:
            return parent.end_reason
        if latest_end(grant, parent) <= now or (parent is not None and grant.id in locked):
            return EndReason.LOCKED if grant.id in locked or grant.suspended_by else EndReason.ELAPSED
        return None

    def stop(grant: Grant) -> Grant | None:
        if grant.state is not GrantState.SCHEDULED:
            return None
        why = over(grant)
        if why is not None:
            return grant.cancelled(why, at=now)
        return grant.suspended(locked[grant.id].id) if grant.id in locked else None

    barred = [grant for grant in scheduled if grant.id in locked or over(grant) is not None]
    await transition(parts, barred, stop)
    names = {grant.id for grant in barred}
    return [grant for grant in scheduled if grant.id not in names]


def _lock_on(grant: Grant, locks: Iterable[Lock], catalog: Catalog) -> Lock | None:
    return covering_lock(locks, catalog, [grant.beneficiary], grant.entitlement)
