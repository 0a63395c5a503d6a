"""Locks: the red button."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from lapse.control import locks
from lapse.domain.grants import Grant
from lapse.domain.locks import Lock, LockKind
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes

ROUTES = Routes("locks")


class LockPreviewBody(Body, frozen=True, kw_only=True):
    """What to stop. A lock on `everything` names no target."""

    kind: LockKind
    target: str = ""


class NewLockBody(LockPreviewBody, frozen=True, kw_only=True):
    """What to stop, and why. A lock on `everything` names no target."""

    reason: str


class LockQuery(Query, frozen=True, kw_only=True):
    """`all`: those that were removed too."""

    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPreview:
    """What a lock would do: grants that end, grants that wait for their start, requests that nobody could approve."""

    ends: tuple[Grant, ...]
    waits: tuple[Grant, ...]
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The lock, the grants whose end it started, and those that wait while it is in force."""

    lock: Lock
    grants: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked(Lock):
    """The lock that was removed; `resumed` are the grants that waited and may begin now."""

    resumed: tuple[str, ...] = ()


@ROUTES.post("/api/v1/locks/preview", LockPreview, body=LockPreviewBody)
async def preview_lock(call: Call) -> LockPreview:
    """What a lock would end and hold back now. Nothing is changed."""
    effect = await locks.preview_lock(call.control, call.actor, call.body.kind, call.body.target)
    return LockPreview(ends=effect.ends, waits=effect.waits, requests=tuple(one.id for one in effect.stops))


@ROUTES.post("/api/v1/locks", Locked, body=NewLockBody, status=201)
async def add_lock(call: Call) -> Locked:
    """Stop a principal, a resource, an entitlement or everything.

    Live grants end, scheduled ones wait, new requests and approvals are refused.
    """
    lock, effect = await locks.lock(call.control, call.actor, call.body.kind, call.body.target, call.body.reason)
    return Locked(lock=lock, grants=_ids(effect.ends), waiting=_ids(effect.waits))


@ROUTES.get("/api/v1/locks", Listing[Lock], query=LockQuery)
async def list_locks(call: Call) -> Listing[Lock]:
    """Locks in force. Everybody may see them: they explain refusals."""
    return Listing(await call.app.store.read(lambda reader: reader.locks(in_force=not call.query.all)))


@ROUTES.get("/api/v1/locks/{lock_id}", Lock)
async def show_lock(call: Call) -> Lock:
    """One lock."""
    return await call.app.store.read(lambda reader: reader.lock(call.path["lock_id"]))


@ROUTES.post("/api/v1/locks/{lock_id}/remove", Unlocked)
async def remove_lock(call: Call) -> Unlocked:
    """Take a lock off, by another person than the one who set it. Ended grants stay ended."""
    lock, resumed = await locks.unlock(call.control, call.actor, call.path["lock_id"])
    known = {field.name: getattr(lock, field.name) for field in fields(Lock)}
    return Unlocked(**known, resumed=_ids(resumed))


def _ids(grants: Iterable[Grant]) -> tuple[str, ...]:
    return tuple(grant.id for grant in grants)
