"""The red button: lock a principal, a resource, an entitlement or everything; unlock by another person.

What is live ends for good. What is scheduled waits: it begins late once nothing locks it, or lapses at its own end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.grants import end_grants
from lapse.control.guards import refuse_locked_actor
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import LIVE, EndReason, Grant, GrantState
from lapse.domain.locks import Lock, LockKind, covering_lock
from lapse.domain.names import check_text
from lapse.domain.requests import Request, RequestState
from lapse.ledger.entry import changed, created
from lapse.ports import Page, Reader, Transaction

_STOPPABLE = LIVE | {GrantState.SCHEDULED}
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a lock does: the grants that end, those that wait, and the pending requests that nobody can approve."""

    ends: tuple[Grant, ...]
    waits: tuple[Grant, ...]
    stops: tuple[Request, ...] = ()


async def preview_lock(control: Control, actor: Actor, kind: LockKind, target: str) -> Effect:
    """What a lock would do now; nothing is changed."""
    actor.require(Scope.ADMIN)

    async def work(reader: Reader) -> Effect:
        catalog = await reader.catalog()
        _check_target(kind, target, catalog)
        wanted = Lock(id="", kind=kind, target=target, reason="", created_by=actor.name, created_at=control.now())
        effect = _effect(await _covered(reader, wanted, catalog))
        return replace(effect, stops=tuple(await _stopped(reader, wanted, catalog)))

    return await control.store.read(work)


async def lock(control: Control, actor: Actor, kind: LockKind, target: str, reason: str) -> tuple[Lock, Effect]:
    """Put a lock in force; what it covers ends or waits from the same transaction on. Returns both."""
    actor.require(Scope.ADMIN)
    reason = check_text(reason, what="reason")
    if not reason:
        raise InvalidInput("a lock needs a reason", hint="say in a few words what happened")

    async def work(tx: Transaction) -> tuple[Lock, Effect]:
        now, catalog = control.now(), await tx.catalog()
        _check_target(kind, target, catalog)
        new = Lock(
            id=control.new_id("loc"),
            kind=kind,
            target=target,
            reason=reason,
            created_by=actor.name,
            created_at=now,
            persons=tuple(sorted(catalog.humans_behind(actor.name))),
        )
        await tx.add_lock(new)
        await tx.append([created("lock.added", new, new.id, at=now, actor=actor.name)])
        effect = _effect(await _covered(tx, new, catalog))
        ended = await end_grants(tx, effect.ends, EndReason.LOCKED, at=now, actor=actor.name, why=new.id)
        waiting = [(grant, new.id) for grant in effect.waits if not grant.suspended_by]
        await _suspend(tx, waiting, at=now, actor=actor.name)
        return new, Effect(ends=tuple(ended), waits=effect.waits)

    result = await control.store.write(work)
    control.wake()
    return result


async def unlock(control: Control, actor: Actor, lock_id: str) -> tuple[Lock, list[Grant]]:
    """Remove a lock, as another person than the one who set it; what waited under it alone goes on.

    Ended grants stay ended: such access is asked for anew.

    Raises:
        Refused: the actor is no active person of the catalog, set the lock under whatever name or stands behind who
            did, or is locked; or the lock is removed already.
    """
    actor.require(Scope.ADMIN)

    async def work(tx: Transaction) -> tuple[Lock, list[Grant]]:
        found, catalog, now = await tx.lock(lock_id), await tx.catalog(), control.now()
        in_force = await tx.locks()
        _refuse_own(found, actor, catalog)
        await refuse_locked_actor(tx, actor)
        if found.removed_at is not None:
            raise Refused(f"lock {lock_id} is removed already")
        removed = replace(found, removed_by=actor.name, removed_at=now, version=found.version + 1)
        await tx.save_lock(removed)
        await tx.append([changed("lock.removed", found, removed, lock_id, at=now, actor=actor.name)])
        others = [one for one in in_force if one.id != lock_id]
        waiting = [grant for grant in await _stoppable(tx, found) if grant.suspended_by == lock_id]
        under = [(grant, _still(others, catalog, grant)) for grant in waiting]
        return removed, await _suspend(tx, under, at=now, actor=actor.name)

    removed, moved = await control.store.write(work)
    control.wake()
    return removed, [grant for grant in moved if not grant.suspended_by]


def _effect(covered: Iterable[Grant]) -> Effect:
    """An extension ends with what it extends: that is live, or was."""
    found = list(covered)
    waits = [grant for grant in found if grant.state is GrantState.SCHEDULED and grant.extends is None]
    names = {grant.id for grant in waits}
    return Effect(ends=tuple(grant for grant in found if grant.id not in names), waits=tuple(waits))


async def _suspend(tx: Transaction, under: Sequence[tuple[Grant, str]], *, at: datetime, actor: str) -> list[Grant]:
    """Each grant waits under the lock named with it; with none it waits for its start alone."""
    pairs = [(before, before.suspended(by)) for before, by in under]
    await tx.save_grants([after for _, after in pairs])
    entries = [
        changed(
            "grant.suspended" if after.suspended_by else "grant.resumed", before, after, after.id, at=at, actor=actor
        )
        for before, after in pairs
    ]
    await tx.append([replace(e, policy_version=after.policy_version) for e, (_, after) in zip(entries, pairs)])  # noqa: B905  as long by construction
    return [after for _, after in pairs]


def _still(locks: Iterable[Lock], catalog: Catalog, grant: Grant) -> str:
    found = covering_lock(locks, catalog, [grant.beneficiary], grant.entitlement)
    return found.id if found is not None else ""


async def _covered(reader: Reader, lock: Lock, catalog: Catalog) -> list[Grant]:
    """The grants that are scheduled or live and that `lock` stops."""
    found = await _stoppable(reader, lock)
    return [grant for grant in found if covering_lock([lock], catalog, [grant.beneficiary], grant.entitlement)]


async def _stoppable(reader: Reader, lock: Lock) -> list[Grant]:
    """Grants that are scheduled or live where `lock` could matter; read in pages."""
    where = {str(lock.kind): lock.target} if lock.kind in {LockKind.RESOURCE, LockKind.ENTITLEMENT} else {}
    found: list[Grant] = []
    after: str | None = None
    while True:
        page = Page(limit=_PAGE, after=after, newest_first=False)
        rows = await reader.grants(page, states=_STOPPABLE, **where)
        found += rows
        if len(rows) < _PAGE:
            return found
        after = rows[-1].id


async def _stopped(reader: Reader, lock: Lock, catalog: Catalog) -> list[Request]:
    found: list[Request] = []
    after: str | None = None
    while True:
        page = Page(limit=_PAGE, after=after, newest_first=False)
        rows = await reader.requests(page, states=[RequestState.PENDING])
        found += [r for r in rows if covering_lock([lock], catalog, [r.requester, r.beneficiary], r.entitlement)]
        if len(rows) < _PAGE:
            return found
        after = rows[-1].id


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
    """Undo takes another human, and one who is known to be one."""
    person = catalog.person_of(actor.name)
    theirs = catalog.humans_behind(found.created_by) | set(found.persons)
    if actor.name == found.created_by or person in theirs:
        raise Refused(f"`{actor.name}` set lock {found.id}", hint="another administrator must remove it")
    if person is None:
        raise Refused(
            f"`{actor.name}` is no active person of the catalog, and a lock is removed by a second person",
            hint="act with a token of an administrator whom the catalog knows",
        )
