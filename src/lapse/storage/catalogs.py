"""The catalog in the store: one row per object and one version number, so that it is read only when it changed.

Who reads the catalog gets the same value again as long as the version stands. Replacing it writes the differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import bindparam, delete, literal_column, update

from lapse.domain.catalog import Catalog, CatalogChange, Change, plan_catalog
from lapse.domain.errors import Corrupt
from lapse.storage import queries
from lapse.storage.documents import Documents
from lapse.storage.links import Link
from lapse.storage.schema import catalog_objects, catalog_version
from lapse.storage.shelves import GROUPS, PRINCIPALS, RESOURCES
from lapse.storage.statements import Query, bulk_upsert

_DOCUMENTS: Mapping[str, Documents[Any]] = {"principal": PRINCIPALS, "group": GROUPS, "resource": RESOURCES}

Row: TypeAlias = tuple[str, str, Any]
"""Kind, name and document of one object."""

_PUT = bulk_upsert(catalog_objects)
_REMOVE = Query(
    delete(catalog_objects).where(
        catalog_objects.c.kind == bindparam("kind"), catalog_objects.c.name == bindparam("name")
    )
)
_NEXT_VERSION = Query(update(catalog_version).values(version=catalog_version.c.version + literal_column("1")))


class CatalogCache:
    """The newest committed catalog that a reader has seen, shared by all readers of one store."""

    def __init__(self) -> None:
        self._known: tuple[int, Catalog] | None = None

    async def current(self, link: Link) -> Catalog:
        """The catalog as `link` sees it. The link must see committed data only."""
        seen = await self.seen_by(link)
        self.learn(*seen)
        return seen[1]

    async def seen_by(self, link: Link) -> tuple[int, Catalog]:
        """The catalog as `link` sees it, with its version; it is not learnt, since it may never be committed."""
        version = await _version(link)
        if self._known is not None and self._known[0] == version:
            return self._known
        return version, await load(link)

    def learn(self, version: int, catalog: Catalog) -> None:
        """`catalog` is committed."""
        if self._known is None or self._known[0] < version:
            self._known = (version, catalog)


async def load(link: Link) -> Catalog:
    """Read the whole catalog."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in _DOCUMENTS}
    for kind, name, document in await link.rows(queries.CATALOG):
        if kind not in found:
            raise Corrupt(f"the stored catalog has an object of unknown kind `{kind}`")
        found[kind][name] = _DOCUMENTS[kind].decode(document)
    return _catalog(found)


async def replace(link: Link, current: Catalog, wanted: Catalog) -> Catalog:
    """Write what differs between the two; the catalog as it is stored now (`current` itself if nothing differs)."""
    plan = plan_catalog(current, wanted)
    if not plan:
        return current
    rows = [_row(change, wanted) for change in plan if change.change is not Change.REMOVE]
    await link.change(_NEXT_VERSION)
    for change in plan:
        if change.change is Change.REMOVE:
            await link.change(_REMOVE, kind=change.kind, name=change.name)
    await link.change_many(_PUT, rows)
    return _stored(current, plan, rows)


def _stored(current: Catalog, plan: Iterable[CatalogChange], rows: Iterable[Row]) -> Catalog:
    """What loading it again would give, at the cost of what changed."""
    found = {kind: dict(things) for kind, things in _things(current).items()}
    for change in plan:
        found[change.kind].pop(change.name, None)
    for kind, name, document in rows:
        found[kind][name] = _DOCUMENTS[kind].decode(document)
    return _catalog(found)


def _row(change: CatalogChange, wanted: Catalog) -> Row:
    things = _things(wanted)[change.kind]
    return (change.kind, change.name, _DOCUMENTS[change.kind].encode(things[change.name]))


def _things(catalog: Catalog) -> dict[str, Mapping[str, Any]]:
    return {"principal": catalog.principals, "group": catalog.groups, "resource": catalog.resources}


def _catalog(found: Mapping[str, Mapping[str, Any]]) -> Catalog:
    return Catalog(
        principals=_sorted(found["principal"]),
        groups=_sorted(found["group"]),
        resources=_sorted(found["resource"]),
    )


def _sorted(things: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(things.items()))


async def _version(link: Link) -> int:
    rows = await link.rows(queries.CATALOG_VERSION)
    if not rows:
        raise Corrupt("the database has lost its catalog version", hint="restore it from a backup")
    return int(rows[0][0])
