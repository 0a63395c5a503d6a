"""The first page: what I hold now, what waits for me, what I asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from lapse.control import grants
from lapse.control.inbox import Waiting, waiting_for
from lapse.domain.actors import Scope
from lapse.domain.errors import Refused
from lapse.domain.grants import ENDING, LIVE, Grant, GrantState
from lapse.domain.requests import Request, RequestState
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit
from lapse.ports import Page, Reader

PAGES = Pages()
_MOST = 50
_SHOWN = LIVE | ENDING | {GrantState.SCHEDULED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """What concerns one person now: grants that are there or to come, and requests that are not decided."""

    active: Sequence[Grant]
    to_come: Sequence[Grant]
    pending: Sequence[Request]


@PAGES.get("/")
async def home_page(visit: Visit) -> Response:
    """Everything at a glance; the part alone for htmx, which asks again when something ends."""
    mine, waiting = await _mine(visit), await _waiting(visit)
    return page(visit, "home_part" if visit.by_htmx else "home", mine=mine, waiting=waiting)


@PAGES.post("/grants/{grant_id}/release", Scope.REQUEST)
async def release(visit: Visit) -> Response:
    """End an own grant early."""
    await grants.release(visit.control, visit.actor, visit.path("grant_id"))
    return await home_page(visit) if visit.by_htmx else RedirectResponse("/", 303)


async def _mine(visit: Visit) -> Mine:
    name = visit.actor.name

    async def work(reader: Reader) -> Mine:
        live = await reader.grants(Page(limit=_MOST), states=_SHOWN, beneficiary=name)
        pending = await reader.requests(Page(limit=_MOST), states=[RequestState.PENDING], requester=name)
        begun = [one for one in live if one.state is not GrantState.SCHEDULED]
        return Mine(
            active=sorted(begun, key=lambda one: (one.ends_at is None, one.ends_at or one.created_at)),
            to_come=[one for one in live if one.state is GrantState.SCHEDULED],
            pending=pending,
        )

    return await visit.app.store.read(work)


async def _waiting(visit: Visit) -> Sequence[Waiting]:
    if Scope.APPROVE not in visit.actor.scopes:
        return ()
    try:
        return await waiting_for(visit.control, visit.actor)
    except Refused:
        return ()  # somebody whom the catalog does not know decides on nothing
