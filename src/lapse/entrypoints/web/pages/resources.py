"""Resources: what is protected, what can be asked for there, who holds it now, and how its target is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from lapse.control.visibility import SEES_ALL, parties_of
from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound
from lapse.domain.grants import ENDING, LIVE, Grant
from lapse.domain.resources import Resource
from lapse.domain.targets import Drift
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit
from lapse.ports import Page, Reader

PAGES = Pages()
_A_PAGE = 50
_MOST_HOLDERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A page of resources; `total` is how many there are of what was looked for, `following` where the next begins."""

    shown: Sequence[Resource]
    total: int
    following: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One resource as its visitor may see it: who holds it now, what is there that no grant explains."""

    resource: Resource
    holders: Sequence[Grant]
    drifts: Sequence[Drift]
    has_target: bool
    sees_all: bool


@PAGES.get("/resources")
async def resources_page(visit: Visit) -> Response:
    """All of them, by name; `q` looks in names, titles, owners and tags."""
    query = visit.request.query_params
    wanted, start = query.get("q", "")[:100], _number(query.get("from", ""))
    catalog = await visit.app.store.read(lambda reader: reader.catalog())
    template = "resources_part" if visit.by_htmx else "resources"
    return page(visit, template, found=_slice(catalog, wanted, start), q=wanted)


@PAGES.get("/resources/{name}")
async def resource_page(visit: Visit) -> Response:
    """One of them. Who may only ask sees no holders but themselves."""
    seen = await visit.app.store.read(lambda reader: _seen(reader, visit))
    return page(visit, "resource", seen=seen, one=seen.resource)


def _slice(catalog: Catalog, wanted: str, start: int) -> Slice:
    words = wanted.casefold().split()
    found = [one for one in catalog.resources.values() if all(word in _text(one) for word in words)]
    shown = sorted(found, key=lambda one: one.name)[start : start + _A_PAGE]
    end = start + len(shown)
    return Slice(shown=shown, total=len(found), following=end if end < len(found) else None)


def _text(one: Resource) -> str:
    tags = [f"{name}={value}" for name, value in one.tags.items()]
    roles = [entitlement.role for entitlement in one.entitlements]
    return " ".join([one.name, one.title, one.owner, one.connector, *tags, *roles]).casefold()


async def _seen(reader: Reader, visit: Visit) -> Seen:
    catalog = await reader.catalog()
    resource = catalog.resource(visit.path("name"))
    owner = bool(resource.owner) and visit.actor.name in parties_of(catalog, resource.owner)
    sees_all = owner or bool(visit.actor.scopes & SEES_ALL)
    held = Page(limit=_MOST_HOLDERS)
    mine = None if sees_all else visit.actor.name
    return Seen(
        resource=resource,
        holders=await reader.grants(held, states=LIVE | ENDING, resource=resource.name, beneficiary=mine),
        drifts=await reader.drifts(resource=resource.name) if sees_all else (),
        has_target=await _has_target(reader, resource.name),
        sees_all=sees_all,
    )


async def _has_target(reader: Reader, resource: str) -> bool:
    try:
        await reader.target(resource)
    except NotFound:
        return False
    return True


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0
