"""A link runs compiled statements on one driver connection, inside a transaction that somebody else ends.

SQLAlchemy writes the SQL and keeps the pools; statements run on the driver itself, because its asyncio adapters take
four times as long for each. Errors come out as `LapseError`s. `Unit` is the end of a link that one piece of work
holds: it stops working when the work is done, so that a forgotten reference cannot reach another transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import aiosqlite
import psycopg

from lapse.domain.errors import LapseError
from lapse.storage.failures import translated
from lapse.storage.statements import Bulk, Query, Row

T = TypeVar("T")
_Values: TypeAlias = "list[Any]"

Appended: TypeAlias = tuple[int, _Values]
"""The id of the first of some rows whose ids follow each other, and the values of all in one list."""


class Link(Protocol):
    """Runs statements. Raises what `failures` says."""

    async def rows(self, query: Query, /, **values: object) -> Sequence[tuple[Any, ...]]:
        """All rows of a select."""
        ...

    async def documents(self, query: Query, /, **values: object) -> tuple[int, str]:
        """What a select of documents (column `doc`) gives, in its order: how many, and all as one JSON array."""
        ...

    async def bodies(self, query: Query, /, **values: object) -> Sequence[tuple[int, bytes]]:
        """What a select of ledger entries (columns `id`, `body`) gives, ordered by id."""
        ...

    async def change(self, query: Query, /, **values: object) -> int:
        """Run a statement that changes rows; how many it changed."""
        ...

    async def change_many(self, bulk: Bulk, rows: Iterable[Row]) -> int:
        """Run a statement for all `rows`, which may be made while it runs; how many rows of the table it changed."""
        ...

    async def append(self, bulk: Bulk, rows: Iterable[Row]) -> Sequence[Appended]:
        """As `change_many`, for an insert; where the rows went, if the database tells without being asked."""
        ...


class SqliteLink:
    """On one aiosqlite connection: each call is one hop to its thread."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver

    async def rows(self, query: Query, /, **values: object) -> Sequence[tuple[Any, ...]]:
        """All rows of a select."""
        compiled = query.on("sqlite")
        with translated():
            return await self._driver.execute_fetchall(compiled.sql, compiled.positional(values))  # type: ignore[return-value]

    async def documents(self, query: Query, /, **values: object) -> tuple[int, str]:
        """What a select of documents gives, as one row: see `statements.Bulk.marks` for why."""
        compiled = query.on("sqlite")
        with translated():
            rows = await self._driver.execute_fetchall(compiled.as_array, compiled.positional(values))
        count, documents = next(iter(rows))
        return count, documents

    async def bodies(self, query: Query, /, **values: object) -> Sequence[tuple[int, bytes]]:
        """What a select of ledger entries gives, as one row of lines if it can be: canonical JSON has no newline."""
        compiled = query.on("sqlite")
        with translated():
            rows = await self._driver.execute_fetchall(compiled.as_lines, compiled.positional(values))
        count, first, last, lines = next(iter(rows))
        if not count:
            return []
        bodies = lines.split(b"\n")
        if len(bodies) == count == last - first + 1:
            return list(zip(range(first, last + 1), bodies, strict=True))
        return await self.rows(query, **values)

    async def change(self, query: Query, /, **values: object) -> int:
        """Run a statement that changes rows; how many it changed."""
        compiled = query.on("sqlite")
        with translated():
            return (await self._driver.execute(compiled.sql, compiled.positional(values))).rowcount

    async def change_many(self, bulk: Bulk, rows: Iterable[Row]) -> int:
        """Run a statement for all `rows`; how many rows of the table it changed."""
        return sum(await self._run(bulk, rows, lambda cursor, _: cursor.rowcount))

    async def append(self, bulk: Bulk, rows: Iterable[Row]) -> Sequence[Appended]:
        """As `change_many`; where the rows of each statement went."""
        return await self._run(bulk, rows, _where)

    async def _run(self, bulk: Bulk, rows: Iterable[Row], outcome: Callable[[aiosqlite.Cursor, _Values], T]) -> list[T]:
        async def execute(sql: str, values: _Values) -> T:
            return outcome(await self._driver.execute(sql, values), values)

        outcomes: list[T] = []
        running: asyncio.Task[T] | None = None
        with translated():
            try:
                for sql, values in bulk.marks(rows):
                    if running is not None:
                        outcomes.append(await running)
                    running = asyncio.create_task(execute(sql, values))
                    await asyncio.sleep(0)  # so that it runs while the next rows are made
            finally:
                if running is not None:
                    outcomes.append(await running)
        return outcomes


def _where(cursor: aiosqlite.Cursor, values: _Values) -> Appended:
    """The rows of one statement have ids that follow each other: nobody else writes meanwhile."""
    return (cursor.lastrowid or 0) - cursor.rowcount + 1, values


class PostgresLink:
    """On one psycopg connection."""

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._driver = driver

    async def rows(self, query: Query, /, **values: object) -> Sequence[tuple[Any, ...]]:
        """All rows of a select."""
        compiled = query.on("postgresql")
        with translated():
            cursor = await self._driver.execute(compiled.sql, compiled.named(values), binary=True)
            return await cursor.fetchall()

    async def documents(self, query: Query, /, **values: object) -> tuple[int, str]:
        """What a select of documents gives, as one JSON array."""
        rows = await self.rows(query, **values)
        return len(rows), f"[{','.join([document for (document,) in rows])}]"

    async def bodies(self, query: Query, /, **values: object) -> Sequence[tuple[int, bytes]]:
        """What a select of ledger entries gives."""
        return await self.rows(query, **values)

    async def change(self, query: Query, /, **values: object) -> int:
        """Run a statement that changes rows; how many it changed."""
        compiled = query.on("postgresql")
        with translated():
            return (await self._driver.execute(compiled.sql, compiled.named(values))).rowcount

    async def change_many(self, bulk: Bulk, rows: Iterable[Row]) -> int:
        """Run a statement for all `rows`; how many rows of the table it changed."""
        given = list(rows)
        if not given:
            return 0
        sql, arrays = bulk.arrays(given)
        with translated():
            return (await self._driver.execute(sql, arrays)).rowcount

    async def append(self, bulk: Bulk, rows: Iterable[Row]) -> Sequence[Appended]:
        """As `change_many`; where the rows went is not told."""
        await self.change_many(bulk, rows)
        return ()


class Unit:
    """A link for one piece of work. After one failed statement nothing of the work may be committed."""

    def __init__(self, link: Link) -> None:
        self._link: Link | None = link
        self.failure: LapseError | None = None

    def end(self) -> None:
        """From now on every call is a programming error."""
        self._link = None

    def fail(self, error: LapseError) -> LapseError:
        """Remember that this work cannot be committed; returns `error` to be raised."""
        self.failure = self.failure or error
        return error

    def check(self) -> None:
        """Raise what failed, if anything did: the work may have swallowed it."""
        if self.failure is not None:
            raise self.failure

    async def rows(self, query: Query, /, **values: object) -> Sequence[tuple[Any, ...]]:
        """All rows of a select."""
        return await self._open().rows(query, **values)

    async def documents(self, query: Query, /, **values: object) -> tuple[int, str]:
        """What a select of documents gives, as one JSON array."""
        return await self._open().documents(query, **values)

    async def bodies(self, query: Query, /, **values: object) -> Sequence[tuple[int, bytes]]:
        """What a select of ledger entries gives."""
        return await self._open().bodies(query, **values)

    async def change(self, query: Query, /, **values: object) -> int:
        """Run a statement that changes rows; how many it changed."""
        try:
            return await self._open().change(query, **values)
        except LapseError as error:
            raise self.fail(error) from error.__cause__

    async def change_many(self, bulk: Bulk, rows: Iterable[Row]) -> int:
        """Run a statement for all `rows`; how many rows of the table it changed."""
        try:
            return await self._open().change_many(bulk, rows)
        except LapseError as error:
            raise self.fail(error) from error.__cause__

    async def append(self, bulk: Bulk, rows: Iterable[Row]) -> Sequence[Appended]:
        """As `change_many`, for an insert; where the rows went, if the database tells."""
        try:
            return await self._open().append(bulk, rows)
        except LapseError as error:
            raise self.fail(error) from error.__cause__

    def _open(self) -> Link:
        if self._link is None:
            raise RuntimeError("this transaction is over")
        return self._link
