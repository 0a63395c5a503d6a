"""Locks: the red button."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control import locks
from lapse.domain.actors import Scope
from lapse.domain.locks import Lock, LockKind
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes

ROUTES = Routes("locks")


class NewLockBody(Body, frozen=True, kw_only=True):
    """What to stop, and why. A lock on `everything` names no target."""

    kind: LockKind
    target: str = ""
    reason: str


class LockQuery(Query, frozen=True, kw_only=True):
    """`all`: those that were removed too."""

    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The lock, and the grants whose end it started."""

    lock: Lock
    grants: tuple[str, ...]


@ROUTES.post("/api/v1/locks", Locked, body=NewLockBody, status=201)
async def add_lock(call: Call) -> Locked:
    """Stop a principal, a resource, an entitlement or everything: live grants end, new ones are refused."""
    lock, ended = await locks.lock(call.control, call.actor, call.body.kind, call.body.target, call.body.reason)
    return Locked(lock=lock, grants=tuple(grant.id for grant in ended))


@ROUTES.get("/api/v1/locks", Listing[Lock], query=LockQuery)
async def list_locks(call: Call) -> Listing[Lock]:
    """Locks in force. Everybody may see them: they explain refusals."""
    return Listing(await call.app.store.read(lambda reader: reader.locks(in_force=not call.query.all)))


@ROUTES.get("/api/v1/locks/{lock_id}", Lock)
async def show_lock(call: Call) -> Lock:
    """One lock."""
    return await call.app.store.read(lambda reader: reader.lock(call.path["lock_id"]))


@ROUTES.post("/api/v1/locks/{lock_id}/remove", Lock)
async def remove_lock(call: Call) -> Lock:
    """Take a lock off, by another administrator than the one who set it. Ended grants stay ended."""
    call.actor.require(Scope.ADMIN)
    return await locks.unlock(call.control, call.actor, call.path["lock_id"])
