"""Plan and apply the catalog. Who is no longer active loses live grants in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lapse.control.context import Control
from lapse.control.grants import end_grants
from lapse.control.guards import refuse_locked_actor
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog, CatalogChange, Change, plan_catalog
from lapse.domain.data import Json, to_data
from lapse.domain.data import changes as differing
from lapse.domain.errors import Refused
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant, GrantState
from lapse.ledger.entry import Entry
from lapse.ports import Page, Reader, Transaction

_UNFINISHED = LIVE | ENDING | {GrantState.SCHEDULED}


async def plan(control: Control, actor: Actor, wanted: Catalog) -> tuple[CatalogChange, ...]:
    """What applying `wanted` would change."""
    actor.require(Scope.ADMIN, Scope.AUDIT)
    current = await control.store.read(lambda reader: reader.catalog())
    return plan_catalog(current, wanted)


async def apply(control: Control, actor: Actor, wanted: Catalog) -> tuple[CatalogChange, ...]:
    """Make `wanted` the catalog, atomically; returns what changed (nothing, the second time).

    Raises:
        Refused: an entitlement that would go is still granted, or waiting to be removed from its target.
    """
    actor.require(Scope.ADMIN)

    async def work(tx: Transaction) -> tuple[CatalogChange, ...]:
        await refuse_locked_actor(tx, actor)
        current, now = await tx.catalog(), control.now()
        steps = plan_catalog(current, wanted)
        if not steps:
            return ()
        unfinished = await unfinished_grants(tx)
        _refuse_orphans(unfinished, current, wanted)
        await tx.replace_catalog(wanted)
        await tx.append([_entry(control, actor, step, current, wanted) for step in steps])
        leavers = [g for g in unfinished if not wanted.may_hold(g.beneficiary)]
        await end_grants(
            tx,
            leavers,
            EndReason.POLICY_CHANGED,
            at=now,
            actor=actor.name,
            why="no longer an active principal",
        )
        return steps

    steps = await control.store.write(work)
    control.wake()
    return steps


async def unfinished_grants(reader: Reader) -> list[Grant]:
    """Every grant that is scheduled, live or ending; read in pages."""
    found: list[Grant] = []
    page: Sequence[Grant] = await reader.grants(Page(limit=1000, newest_first=False), states=_UNFINISHED)
    while page:
        found += page
        page = await reader.grants(Page(limit=1000, after=page[-1].id, newest_first=False), states=_UNFINISHED)
    return found


def _refuse_orphans(unfinished: Sequence[Grant], current: Catalog, wanted: Catalog) -> None:
    """What is granted must stay described as it is, or it could not be taken away again."""
    after = {e.name: (e.native, wanted.resources[e.resource].connector) for e in wanted.entitlements()}
    before = {e.name: (e.native, current.resources[e.resource].connector) for e in current.entitlements()}
    for grant in unfinished:
        if before.get(grant.entitlement) != after.get(grant.entitlement):
            raise Refused(
                f"`{grant.entitlement}` is granted ({grant.id}) and would be removed or map to something else",
                hint="revoke the grant first, or keep the entitlement until it ended",
            )


def _entry(control: Control, actor: Actor, step: CatalogChange, current: Catalog, wanted: Catalog) -> Entry:
    before, after = _things(current, step.kind).get(step.name), _things(wanted, step.kind).get(step.name)
    was, now = differing(before, after) if step.change is Change.CHANGE else (_data(before), _data(after))
    return Entry(
        type=f"catalog.{step.kind}.{step.change}",
        at=control.now(),
        actor=actor.name,
        subject=f"{step.kind}:{step.name}",
        before=was,
        after=now,
    )


def _things(catalog: Catalog, kind: str) -> Mapping[str, object]:
    return {"principal": catalog.principals, "group": catalog.groups, "resource": catalog.resources}[kind]


def _data(thing: object | None) -> dict[str, Json] | None:
    data = to_data(thing)
    return data if isinstance(data, dict) else None
