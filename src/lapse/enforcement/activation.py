"""Bring scheduled grants to life on one resource: look, record, apply, read back, record.

What was there before, and the deadline, are on record before the target is touched; so a crash anywhere in between
leaves a grant that the next start either completes or removes, on the same deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lapse.domain.access import Applied, Assignment, Failed
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant, GrantState
from lapse.enforcement.backoff import next_attempt
from lapse.enforcement.parts import Parts, assignment_of, holding_of, transition
from lapse.ports import Connector

GIVE_UP_AFTER = 5
"""Attempts after which an activation that certainly left nothing on the target fails for good."""


async def activate_batch(parts: Parts, resource: str, due: Sequence[Grant]) -> None:
    """Activate all of `due`, which are scheduled and past their start, or activating already."""
    catalog = await parts.store.read(lambda reader: reader.catalog())
    allowed = await _stop_what_may_not_start(parts, [g for g in due if g.state is GrantState.SCHEDULED], catalog)
    try:
        begun = await _begin(parts, resource, allowed, catalog)
    except LapseError as error:
        await _postpone(parts, allowed, error.message)
        begun = []
    parts.on_step("activate.begun")
    again = [grant for grant in due if grant.state is GrantState.ACTIVATING]
    await _apply(parts, resource, [*begun, *again], catalog)


async def _stop_what_may_not_start(parts: Parts, scheduled: Sequence[Grant], catalog: Catalog) -> list[Grant]:
    """A lock, a leaver, or a window that passed while the target was away: such a grant ends unused."""
    locks = await parts.store.read(lambda reader: reader.locks())
    now = parts.clock.now()

    def reason(grant: Grant) -> EndReason | None:
        names = catalog.humans_behind(grant.beneficiary) | {grant.beneficiary}
        principal = catalog.principals.get(grant.beneficiary)
        if any(lock.covers(principals=names, entitlement=grant.entitlement) for lock in locks):
            return EndReason.LOCKED
        if principal is None or not principal.active:
            return EndReason.POLICY_CHANGED
        return EndReason.ELAPSED if grant.starts_at + grant.duration <= now else None

    def stop(grant: Grant) -> Grant | None:
        why = reason(grant)
        return grant.cancelled(why, at=now) if why and grant.state is GrantState.SCHEDULED else None

    stopped = {grant.id for grant in await transition(parts, [g for g in scheduled if reason(g)], stop)}
    return [grant for grant in scheduled if grant.id not in stopped]


async def _begin(parts: Parts, resource: str, scheduled: Sequence[Grant], catalog: Catalog) -> list[Grant]:
    """Record what is there, and fix the deadline, before anything is applied."""
    if not scheduled:
        return []
    connector = parts.connector(resource)
    parents = await _parents(parts, scheduled)
    planned = [_planned(parts, grant, connector, catalog, parents) for grant in scheduled]
    before = {b.grant_id: b for b in await connector.look([assignment_of(g, catalog) for g in planned])}
    explained = await _explained(parts, resource, planned, catalog)
    parts.on_step("activate.looked")
    begun = {}
    for grant in planned:
        own = explained.get(holding_of(grant, catalog))
        held = own.held_before if own is not None else before[grant.id].held
        begun[grant.id] = (grant.account, bool(held), grant.ends_at)

    def begin(grant: Grant) -> Grant | None:
        account, held, ends_at = begun[grant.id]
        if grant.state is not GrantState.SCHEDULED or ends_at is None:
            return None
        return grant.begun(account=account, held_before=held, ends_at=ends_at)

    return await transition(parts, scheduled, begin)


async def _parents(parts: Parts, grants: Sequence[Grant]) -> dict[str, Grant]:
    wanted = {grant.extends for grant in grants if grant.extends}
    return {name: await parts.store.read(lambda reader, n=name: reader.grant(n)) for name in wanted}  # type: ignore[misc]


def _planned(parts: Parts, grant: Grant, connector: Connector, catalog: Catalog, parents: Mapping[str, Grant]) -> Grant:
    """The grant with the account and deadline it would have; an extension continues its parent's."""
    parent = parents.get(grant.extends or "")
    if parent is not None and parent.ends_at is not None:
        return replace(grant, account=parent.account, ends_at=parent.ends_at + grant.duration)
    entitlement = catalog.entitlement(grant.entitlement)
    login = catalog.principal(grant.beneficiary).account_on(entitlement.resource)
    account = connector.account_for(entitlement.native, login, grant.id)
    return replace(grant, account=account, ends_at=parts.clock.now() + grant.duration)


async def _explained(
    parts: Parts, resource: str, planned: Sequence[Grant], catalog: Catalog
) -> dict[tuple[str, tuple[tuple[str, str], ...]], Grant]:
    """Holdings that other grants of ours put (or are taking) there: they are not standing access."""
    accounts = {grant.account for grant in planned}
    others = await parts.store.read(lambda reader: reader.grants_of_accounts(resource, accounts))
    return {holding_of(other, catalog): other for other in others if other.state in LIVE | ENDING}


async def _apply(parts: Parts, resource: str, begun: Sequence[Grant], catalog: Catalog) -> None:
    if not begun:
        return
    assignments = [assignment_of(grant, catalog) for grant in begun]
    outcomes = await _outcomes(parts, resource, assignments)
    parts.on_step("activate.applied")
    await transition(parts, begun, lambda grant: _settled(parts, grant, outcomes))
    parts.on_step("activate.recorded")


async def _outcomes(parts: Parts, resource: str, assignments: Sequence[Assignment]) -> dict[str, Applied | Failed]:
    try:
        return {outcome.grant_id: outcome for outcome in await parts.connector(resource).apply(assignments)}
    except LapseError as error:
        return {a.grant_id: Failed(grant_id=a.grant_id, error=error.message) for a in assignments}


def _settled(parts: Parts, grant: Grant, outcomes: Mapping[str, Applied | Failed]) -> Grant | None:
    if grant.state is not GrantState.ACTIVATING:
        return None
    outcome = outcomes.get(grant.id) or Failed(grant_id=grant.id, error="the target gave no outcome")
    if isinstance(outcome, Applied):
        return grant.confirmed(at=outcome.confirmed_at)
    now = parts.clock.now()
    if not outcome.maybe_applied and grant.attempts + 1 >= GIVE_UP_AFTER:
        return grant.failed(at=now, error=outcome.error)
    return grant.postponed(error=outcome.error, next_attempt_at=_before_deadline(grant, now))


async def _postpone(parts: Parts, scheduled: Sequence[Grant], error: str) -> None:
    def later(grant: Grant) -> Grant | None:
        if grant.state is not GrantState.SCHEDULED:
            return None
        return grant.postponed(error=error, next_attempt_at=next_attempt(parts.clock.now(), grant.attempts))

    for grant in await transition(parts, scheduled, later):
        parts.on_trouble(grant.id, f"access could not be given yet: {error}")


def _before_deadline(grant: Grant, now: datetime) -> datetime:
    """The next attempt, and never later than the deadline, at which the grant must be looked at anyway."""
    attempt = next_attempt(now, grant.attempts)
    return min(attempt, grant.ends_at) if grant.ends_at is not None else attempt
