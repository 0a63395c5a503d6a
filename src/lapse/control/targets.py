"""Add a target: how lapse reaches a resource. Its DSN arrives here sealed or as a reference, never in the clear."""

from __future__ import annotations

from lapse.control.context import Control
from lapse.control.guards import refuse_locked_actor
from lapse.domain.access import TargetCheck
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import InvalidInput
from lapse.domain.targets import Target
from lapse.ledger.entry import Entry
from lapse.ports import Transaction


async def add_target(control: Control, actor: Actor, resource: str, dsn_ref: str) -> Target:
    """Set (or replace) the target of a known resource. `dsn_ref` is `env:…`, `file:…` or `sealed:…`."""
    actor.require(Scope.ADMIN)
    if not dsn_ref.startswith(("env:", "file:", "sealed:")):
        raise InvalidInput("the DSN must be sealed or a reference", hint="use --dsn-env, --dsn-file or --dsn")

    async def work(tx: Transaction) -> Target:
        await refuse_locked_actor(tx, actor)
        known = (await tx.catalog()).resource(resource)
        target = Target(
            resource=resource,
            connector=known.connector,
            dsn_ref=dsn_ref,
            added_at=control.now(),
            added_by=actor.name,
        )
        await tx.put_target(target)
        shown_ref = "sealed" if dsn_ref.startswith("sealed:") else dsn_ref
        entry = Entry(
            type="target.set",
            at=target.added_at,
            actor=actor.name,
            subject=f"resource:{resource}",
            after={"connector": known.connector, "dsn_ref": shown_ref},
        )
        await tx.append([entry])
        return target

    return await control.store.write(work)


async def check_target(control: Control, actor: Actor, resource: str) -> TargetCheck:
    """Ask the target whether lapse has the rights that the resource's entitlements need."""
    actor.require(Scope.ADMIN, Scope.AUDIT)
    catalog = await control.store.read(lambda reader: reader.catalog())
    natives = [entitlement.native for entitlement in catalog.resource(resource).entitlements]
    connector = await control.store.read(lambda reader: control.connector_for(reader, resource))
    return await connector.check(natives)
