"""What must not start although it is scheduled: the last look before a target is touched. Called by `activation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lapse.domain.catalog import Catalog
from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.enforcement.parts import Parts, transition


async def parents_of(parts: Parts, grants: Sequence[Grant]) -> dict[str, Grant]:
    """By id, the grants that any of `grants` extends."""
    wanted = {grant.extends for grant in grants if grant.extends}
    return {name: await parts.store.read(lambda reader, n=name: reader.grant(n)) for name in wanted}  # type: ignore[misc]


def latest_end(grant: Grant, parent: Grant | None) -> datetime:
    """When `grant` is over even if it starts late; an extension runs on from the end of what it extends."""
    if parent is not None and parent.ends_at is not None:
        return parent.ends_at + grant.duration
    return grant.starts_at + grant.duration


async def stop_what_may_not_start(
    parts: Parts, scheduled: Sequence[Grant], catalog: Catalog, parents: Mapping[str, Grant]
) -> list[Grant]:
    """End unused what a lock, a leaver, a window that passed or the end of its parent forbids; returns the rest."""
    locks = await parts.store.read(lambda reader: reader.locks())
    now = parts.clock.now()

    def reason(grant: Grant) -> EndReason | None:
        names = catalog.humans_behind(grant.beneficiary) | {grant.beneficiary}
        parent = parents.get(grant.extends or "")
        if any(lock.covers(principals=names, entitlement=grant.entitlement) for lock in locks):
            return EndReason.LOCKED
        if not catalog.may_hold(grant.beneficiary):
            return EndReason.POLICY_CHANGED
        if parent is not None and parent.end_reason not in {None, EndReason.ELAPSED}:
            return parent.end_reason
        return EndReason.ELAPSED if latest_end(grant, parent) <= now else None

    def stop(grant: Grant) -> Grant | None:
        why = reason(grant)
        return grant.cancelled(why, at=now) if why and grant.state is GrantState.SCHEDULED else None

    barred = [grant for grant in scheduled if reason(grant)]
    await transition(parts, barred, stop)
    names = {grant.id for grant in barred}
    return [grant for grant in scheduled if grant.id not in names]
