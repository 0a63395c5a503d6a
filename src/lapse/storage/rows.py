"""Reads rows of documents over a link: one, those with given columns, a page. The base of the readers."""

from __future__ import annotations

from typing import TypeVar

from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.ports import Page
from lapse.storage import queries
from lapse.storage.documents import Documents
from lapse.storage.links import Link
from lapse.storage.shelves import Shelf
from lapse.storage.statements import Query

T = TypeVar("T")


class RowReader:
    """The link is inside a transaction that began before the first call."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def _one(self, shelf: Shelf[T], key: str) -> T:
        found = await self._many(shelf.documents, queries.by_key(shelf.table), key=key)
        if not found:
            raise missing(shelf.what, key)
        return found[0]

    async def _where(self, shelf: Shelf[T], **filters: str | None) -> list[T]:
        given = {name: value for name, value in filters.items() if value is not None}
        return await self._many(shelf.documents, queries.everything(shelf.table, *sorted(given)), **given)

    async def _page(
        self,
        shelf: Shelf[T],
        page: Page,
        filters: dict[str, str | None],
        states: list[str],
        *,
        unfinished: bool,
    ) -> list[T]:
        given: dict[str, object] = {name: value for name, value in filters.items() if value is not None}
        if states:
            given["states"] = states
        query = queries.listing(
            shelf.table,
            frozenset(given),
            unfinished=unfinished,
            after=page.after is not None,
            newest_first=page.newest_first,
        )
        if page.after is not None:
            given["after"] = page.after
        return await self._many(shelf.documents, query, limit=page.limit, **given)

    async def _many(self, documents: Documents[T], query: Query, **values: object) -> list[T]:
        return documents.decode_all(*await self._link.documents(query, **values))


_LISTED = {
    "request": "`lapse request list` shows them",
    "grant": "`lapse grant list` shows them",
    "session": "`lapse session list` shows them",
    "lock": "`lapse lock list` shows them",
    "policy proposal": "`lapse policy proposals` shows them",
    "review": "`lapse review list` shows them",
    "item": "`lapse review items` shows those of a review",
    "removal": "nothing was taken away for this item",
    "exception": "`lapse exception list` shows them",
    "review schedule": "`lapse review schedule list` shows them",
}


def missing(what: str, key: str) -> NotFound:
    """The error for what is not there."""
    return NotFound(f"there is no {what} `{shown(key)}`", hint=_LISTED.get(what, ""))
