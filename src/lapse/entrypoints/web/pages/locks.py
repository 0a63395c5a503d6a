"""Locks, the red button: what is stopped and why, what a lock would cut before it is set, undo by another person."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from lapse.control.locks import Effect, lock, preview_lock, unlock
from lapse.domain.actors import Scope
from lapse.domain.errors import InvalidInput, LapseError
from lapse.domain.locks import LockKind
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit

PAGES = Pages()


@PAGES.get("/locks")
async def locks_page(visit: Visit) -> Response:
    """Those in force. Everybody may see them: they explain refusals."""
    return await _page(visit)


@PAGES.post("/locks/preview", Scope.ADMIN)
async def preview(visit: Visit) -> Response:
    """What a lock would do now, with the button that sets it. Nothing is changed."""
    try:
        kind, target = _wanted(visit)
        effect = await preview_lock(visit.control, visit.actor, kind, target)
    except LapseError as error:
        return await _page(visit, said=error.message, hint=error.hint)
    return await _page(visit, effect=effect, kind=kind, target=target)


@PAGES.post("/locks", Scope.ADMIN)
async def set_lock(visit: Visit) -> Response:
    """Set it."""
    try:
        kind, target = _wanted(visit)
        await lock(visit.control, visit.actor, kind, target, visit.form.get("reason", ""))
    except LapseError as error:
        return await _page(visit, said=error.message, hint=error.hint)
    return RedirectResponse("/locks", 303)


@PAGES.post("/locks/{lock_id}/remove", Scope.ADMIN)
async def remove_lock(visit: Visit) -> Response:
    """Remove it, as another person than who set it."""
    try:
        await unlock(visit.control, visit.actor, visit.path("lock_id"))
    except LapseError as error:
        return await _page(visit, said=error.message, hint=error.hint)
    return RedirectResponse("/locks", 303)


def _wanted(visit: Visit) -> tuple[LockKind, str]:
    kinds = {kind.value: kind for kind in LockKind}
    kind = kinds.get(visit.form.get("kind", ""))
    if kind is None:
        raise InvalidInput("it was not said what is to be stopped", hint="choose a person, a resource, a role or all")
    return kind, "" if kind is LockKind.EVERYTHING else visit.form.get("target", "").strip()


async def _page(
    visit: Visit,
    *,
    effect: Effect | None = None,
    kind: LockKind = LockKind.PRINCIPAL,
    target: str = "",
    said: str = "",
    hint: str = "",
) -> Response:
    in_force = await visit.app.store.read(lambda reader: reader.locks(in_force=True))
    catalog = await visit.app.store.read(lambda reader: reader.catalog())
    names = sorted([*catalog.principals, *catalog.resources])
    known = {"locks": in_force, "effect": effect, "kind": kind, "target": target, "said": said, "hint": hint}
    return page(visit, "locks", 422 if said else 200, names=names, kinds=list(LockKind), reason=_reason(visit), **known)


def _reason(visit: Visit) -> str:
    return visit.form.get("reason", "")
