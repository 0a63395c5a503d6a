"""Read a whole target, compare, record, and (where the resource says so) remove what nobody granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lapse.domain.access import Assignment, Failed, Observation, Removed
from lapse.domain.catalog import Catalog
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant, GrantState
from lapse.domain.resources import OnDrift
from lapse.domain.targets import Drift, DriftKind, TargetRead, UseSighting
from lapse.enforcement.drift import DriftPlan, plan_drift
from lapse.enforcement.parts import ACTOR, Parts, transition
from lapse.ledger.entry import changed, created
from lapse.ports import Page, Reader, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One read of one target and what it means; `removed` are outcomes of removals that the resource asks for."""

    observation: Observation
    plan: DriftPlan
    to_remove: tuple[Drift, ...]
    removed: tuple[Removed | Failed, ...] = ()


async def plan_resource(parts: Parts, resource: str) -> Reconciliation:
    """Read the target and say what `reconcile_resource` would do; changes nothing."""
    started = parts.clock.now()
    earlier = await parts.store.read(lambda reader: _unfinished(reader, resource))
    observation = replace(await parts.connector(resource).observe(), observed_at=started)

    async def work(reader: Reader) -> DriftPlan:
        catalog = await reader.catalog()
        reads = await reader.target_reads(resource)
        return plan_drift(
            observation,
            catalog.resource(resource).entitlements,
            _at_any_time(earlier, await _unfinished(reader, resource)),
            await reader.drifts(resource=resource),
            first_read=not any(read.memberships_complete for read in reads),
        )

    plan = await parts.store.read(work)
    return Reconciliation(observation=observation, plan=plan, to_remove=await _to_remove(parts, resource, plan.found))


def _at_any_time(earlier: Sequence[Grant], later: Sequence[Grant]) -> list[Grant]:
    """The grants that were unfinished at any time of the read; one that ended meanwhile explains what was seen."""
    now = {grant.id for grant in later}
    return [*later, *(replace(grant, state=GrantState.REVOKING) for grant in earlier if grant.id not in now)]


async def reconcile_resource(parts: Parts, resource: str) -> Reconciliation:
    """Read, record drift and use, end grants whose access is gone, and remove what the resource wants removed."""
    result = await plan_resource(parts, resource)
    parts.on_step("reconcile.observed")
    await _record(parts, resource, result)
    await _end_missing(parts, result.plan.missing)
    for drift in result.plan.new:
        parts.on_trouble(resource, f"`{drift.account}` holds `{drift.role}`: {drift.kind.replace('_', ' ')}")
    # Asked again, since a grant may have begun meanwhile.
    unknown = await _to_remove(parts, resource, result.to_remove)
    if not unknown:
        return result
    catalog = await parts.store.read(lambda reader: reader.catalog())
    outcomes = await parts.connector(resource).remove(_assignments(resource, unknown, catalog, result))
    await _record_removals(parts, unknown, outcomes)
    return replace(result, to_remove=unknown, removed=tuple(outcomes))


async def _to_remove(parts: Parts, resource: str, found: Sequence[Drift]) -> tuple[Drift, ...]:
    """Unknown access that the resource wants removed, and that no grant needs at this moment."""
    unknown = [drift for drift in found if drift.kind is DriftKind.UNKNOWN_ACCESS]

    async def work(reader: Reader) -> tuple[Drift, ...]:
        described = (await reader.catalog()).resource(resource)
        if described.on_drift is not OnDrift.REMOVE or not unknown:
            return ()
        roles = {e.name: e.native.get("role", "") for e in described.entitlements}
        grants = await reader.grants_of_accounts(resource, {drift.account for drift in unknown})
        needed = {(grant.account, roles.get(grant.entitlement, "")) for grant in grants}
        return tuple(drift for drift in unknown if (drift.account, drift.role) not in needed)

    return await parts.store.read(work)


async def _record(parts: Parts, resource: str, result: Reconciliation) -> None:
    observation, plan = result.observation, result.plan
    read = TargetRead(
        id=parts.new_id("trd"),
        resource=resource,
        started_at=observation.observed_at,
        finished_at=parts.clock.now(),
        complete=observation.complete,
        accounts=len(observation.accounts),
        memberships=len(observation.memberships),
        gaps=observation.gaps,
        memberships_complete=observation.memberships_complete,
    )

    async def work(tx: Transaction) -> None:
        await tx.add_target_read(read)
        await tx.put_drifts([*plan.found, *plan.cleared])
        await tx.put_sightings(await _sightings(tx, observation))
        await tx.append([created("target.read", read, f"resource:{resource}", at=read.finished_at, actor=ACTOR)])
        await tx.append(
            [
                created(f"drift.{what}", drift, drift.id, at=read.finished_at, actor=ACTOR)
                for what, drifts in (("found", plan.new), ("cleared", plan.cleared))
                for drift in drifts
            ]
        )

    await parts.store.write(work)


async def _end_missing(parts: Parts, missing: Sequence[Grant]) -> None:
    """Somebody took the access away on the target. It is not given again; the grant ends, and that is recorded."""

    def end(grant: Grant) -> Grant | None:
        return grant.ending(EndReason.DRIFT) if grant.state in LIVE else None

    await transition(parts, missing, end)


async def _record_removals(parts: Parts, drifts: Sequence[Drift], outcomes: Sequence[Removed | Failed]) -> None:
    done = {outcome.grant_id: outcome for outcome in outcomes if isinstance(outcome, Removed)}
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            parts.on_trouble(outcome.grant_id, f"unknown access could not be removed: {outcome.error}")

    async def work(tx: Transaction) -> None:
        at = parts.clock.now()
        pairs = [(d, replace(d, cleared_at=done[d.id].refused_at)) for d in drifts if d.id in done]
        await tx.put_drifts([after for _, after in pairs])
        await tx.append([changed("drift.removed", was, after, was.id, at=at, actor=ACTOR) for was, after in pairs])

    await parts.store.write(work)


async def _unfinished(reader: Reader, resource: str) -> list[Grant]:
    found: list[Grant] = []
    page = await reader.grants(Page(limit=1000, newest_first=False), states=LIVE | ENDING, resource=resource)
    while page:
        found += page
        later = Page(limit=1000, after=page[-1].id, newest_first=False)
        page = await reader.grants(later, states=LIVE | ENDING, resource=resource)
    return found


async def _sightings(reader: Reader, observation: Observation) -> list[UseSighting]:
    """Accounts with a session right now are in use; that says nothing about accounts without one."""
    active = {a.name: a for a in observation.accounts if a.sessions and a.name != observation.own_account}
    grants = await reader.grants_of_accounts(observation.resource, active) if active else []
    holder = {grant.account: grant.id for grant in grants if grant.state in LIVE}
    return [
        UseSighting(
            id=f"{observation.resource}:{name}:{int(observation.observed_at.timestamp() * 1e6)}",
            resource=observation.resource,
            account=name,
            grant_id=holder.get(name),
            started_at=account.last_activity or observation.observed_at,
            seen_at=observation.observed_at,
            source="sessions on the target",
        )
        for name, account in active.items()
    ]


def _assignments(resource: str, drifts: Sequence[Drift], catalog: Catalog, result: Reconciliation) -> list[Assignment]:
    natives = {e.native.get("role", ""): e.native for e in catalog.resource(resource).entitlements}
    return [
        Assignment(
            grant_id=drift.id,
            account=drift.account,
            native={**natives[drift.role], "mode": "membership"},
            ends_at=result.observation.observed_at,
        )
        for drift in drifts
    ]
