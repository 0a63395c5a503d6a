"""The red button: lock a principal, a resource, an entitlement or everything; unlock by another person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.grants import end_grants
from lapse.control.guards import covering_lock
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import LIVE, EndReason, Grant, GrantState
from lapse.domain.locks import Lock, LockKind
from lapse.domain.names import check_text
from lapse.ledger.entry import changed, created
from lapse.ports import Page, Reader, Transaction

_STOPPABLE = LIVE | {GrantState.SCHEDULED}


async def lock(control: Control, actor: Actor, kind: LockKind, target: str, reason: str) -> tuple[Lock, list[Grant]]:
    """Put a lock in force and start the end of every grant it covers, in one transaction; returns both."""
    actor.require(Scope.ADMIN)
    reason = check_text(reason, what="reason")
    if not reason:
        raise InvalidInput("a lock needs a reason", hint="say in a few words what happened")

    async def work(tx: Transaction) -> tuple[Lock, list[Grant]]:
        now, catalog = control.now(), await tx.catalog()
        _check_target(kind, target, catalog)
        new = Lock(
            id=control.new_id("loc"),
            kind=kind,
            target=target,
            reason=reason,
            created_by=actor.name,
            created_at=now,
        )
        await tx.add_lock(new)
        await tx.append([created("lock.added", new, new.id, at=now, actor=actor.name)])
        covered = await covered_grants(tx, new, catalog)
        return new, await end_grants(tx, covered, EndReason.LOCKED, at=now, actor=actor.name, why=new.id)

    result = await control.store.write(work)
    control.wake()
    return result


async def unlock(control: Control, actor: Actor, lock_id: str) -> Lock:
    """Remove a lock; not by the person who set it. Ended grants stay ended: access is asked for anew."""
    actor.require(Scope.ADMIN)

    async def work(tx: Transaction) -> Lock:
        found, catalog, now = await tx.lock(lock_id), await tx.catalog(), control.now()
        _refuse_own(found, actor, catalog)
        if found.removed_at is not None:
            raise Refused(f"lock {lock_id} is removed already")
        removed = _removed(found, actor, now)
        await tx.save_lock(removed)
        await tx.append([changed("lock.removed", found, removed, lock_id, at=now, actor=actor.name)])
        return removed

    return await control.store.write(work)


async def covered_grants(reader: Reader, lock: Lock, catalog: Catalog) -> list[Grant]:
    """The grants that are scheduled or live and that `lock` stops; read in pages."""
    covered: list[Grant] = []
    after: str | None = None
    while True:
        page = await reader.grants(Page(limit=1000, after=after, newest_first=False), states=_STOPPABLE)
        covered += [g for g in page if covering_lock([lock], catalog, [g.beneficiary], g.entitlement)]
        if len(page) < 1000:  # noqa: PLR2004  the page size above
            return covered
        after = page[-1].id


def _check_target(kind: LockKind, target: str, catalog: Catalog) -> None:
    match kind:
        case LockKind.PRINCIPAL:
            catalog.principal(target)
        case LockKind.RESOURCE:
            catalog.resource(target)
        case LockKind.ENTITLEMENT:
            catalog.entitlement(target)
        case LockKind.EVERYTHING:
            if target:
                raise InvalidInput("a lock on everything has no target")


def _refuse_own(found: Lock, actor: Actor, catalog: Catalog) -> None:
    """Undo takes another person: same name or same human is refused."""
    mine = catalog.person_of(actor.name) or actor.name
    theirs = catalog.person_of(found.created_by) or found.created_by
    if mine == theirs:
        raise Refused(f"`{actor.name}` set lock {found.id}", hint="another administrator must remove it")


def _removed(found: Lock, actor: Actor, now: datetime) -> Lock:
    return replace(found, removed_by=actor.name, removed_at=now, version=found.version + 1)
