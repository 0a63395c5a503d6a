"""Bring scheduled grants to life on one resource: look, record, apply, read back, record.

What was there before, and the deadline, are on record before the target is touched; so a crash anywhere in between
leaves a grant that the next start either completes or removes, on the same deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lapse.domain.access import Applied, Failed
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.grants import Grant, GrantState
from lapse.enforcement.admission import latest_end, not_alone, parents_of, stop_what_may_not_start
from lapse.enforcement.backoff import next_attempt
from lapse.enforcement.before import gone_since, held_before
from lapse.enforcement.parts import Parts, assignment_of, latest_ends, transition
from lapse.ports import Connector

GIVE_UP_AFTER = 5
"""Attempts after which an activation that certainly left nothing on the target fails for good."""


async def activate_batch(parts: Parts, resource: str, due: Sequence[Grant]) -> None:
    """Activate all of `due`, which are scheduled and past their start, or activating already."""
    catalog = await parts.store.read(lambda reader: reader.catalog())
    scheduled = [grant for grant in due if grant.state is GrantState.SCHEDULED]
    parents = await parents_of(parts, scheduled)
    allowed = await stop_what_may_not_start(parts, scheduled, catalog, parents)
    planned = await _plan(parts, resource, allowed, catalog, parents)
    ready = [grant for grant in allowed if grant.id in planned]
    try:
        begun = await _begin(parts, resource, ready, planned, catalog)
    except LapseError as error:
        await _postpone(parts, ready, error.message)
        begun = []
    parts.on_step("activate.begun")
    again = [grant for grant in due if grant.state is GrantState.ACTIVATING]
    await _apply(parts, resource, [*begun, *again], catalog)


async def _plan(
    parts: Parts, resource: str, scheduled: Sequence[Grant], catalog: Catalog, parents: Mapping[str, Grant]
) -> dict[str, Grant]:
    """The grants with the account and deadline they would have; one that cannot be planned waits alone."""
    planned = {}
    crowded = await not_alone(parts, scheduled, catalog)
    for grant in scheduled:
        try:
            plan = _planned(parts, grant, parts.connector(resource), catalog, parents)
        except LapseError as error:
            await _postpone(parts, [grant], error.message)
            continue
        if plan.ends_at is not None and grant.id in crowded:
            plan = replace(plan, ends_at=min(plan.ends_at, grant.lapses_at))
        if plan.ends_at is not None and plan.ends_at > parts.clock.now():
            planned[grant.id] = plan  # else it is over by now, and ended by the next look
    return planned


def _planned(parts: Parts, grant: Grant, connector: Connector, catalog: Catalog, parents: Mapping[str, Grant]) -> Grant:
    """An extension continues its parent's account and deadline; nothing begins so late that it ends after `ends_by`."""
    parent = parents.get(grant.extends or "")
    if parent is not None and parent.ends_at is not None:
        return replace(grant, account=parent.account, ends_at=latest_end(grant, parent))
    entitlement = catalog.entitlement(grant.entitlement)
    login = catalog.principal(grant.beneficiary).account_on(entitlement.resource)
    account = connector.account_for(entitlement.native, login, grant.id)
    ends_at = parts.clock.now() + grant.duration
    return replace(grant, account=account, ends_at=min(ends_at, grant.ends_by or ends_at))


async def _begin(
    parts: Parts, resource: str, ready: Sequence[Grant], planned: Mapping[str, Grant], catalog: Catalog
) -> list[Grant]:
    """Record what is there, and fix the deadline, before anything is applied."""
    if not ready:
        return []
    held = await held_before(parts, resource, [planned[grant.id] for grant in ready], catalog)
    parts.on_step("activate.looked")

    def begin(grant: Grant) -> Grant | None:
        plan = planned[grant.id]
        if grant.state is not GrantState.SCHEDULED or grant.suspended_by or plan.ends_at is None:
            return None
        return grant.begun(account=plan.account, held_before=held[grant.id], ends_at=plan.ends_at)

    return await transition(parts, ready, begin)


async def _apply(parts: Parts, resource: str, begun: Sequence[Grant], catalog: Catalog) -> None:
    if not begun:
        return
    outcomes = await _outcomes(parts, resource, begun, catalog)
    parts.on_step("activate.applied")
    await transition(parts, begun, lambda grant: _settled(parts, grant, outcomes))
    parts.on_step("activate.recorded")


async def _outcomes(
    parts: Parts, resource: str, begun: Sequence[Grant], catalog: Catalog
) -> dict[str, Applied | Failed]:
    ends = await latest_ends(parts, resource, begun)
    assignments = [replace(assignment_of(grant, catalog), ends_at=ends[grant.account]) for grant in begun]
    try:
        gone = await gone_since(parts, resource, begun, assignments)
        applied = await parts.connector(resource).apply([a for a in assignments if a.grant_id not in gone])
    except LapseError as error:
        return {a.grant_id: Failed(grant_id=a.grant_id, error=error.message) for a in assignments}
    return {**gone, **{outcome.grant_id: outcome for outcome in applied}}


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
