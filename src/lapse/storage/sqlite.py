"""The SQLite backend: a pool of readers on snapshots, and one writer with group commit.

The file is in WAL mode with `synchronous=FULL`: an acknowledged change is on the disk before its caller hears of it.
Opened by `opening`; used by `store` and `ledger` as a `Backend`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite

from lapse.domain.errors import Unavailable
from lapse.storage.failures import translated
from lapse.storage.groupcommit import GroupCommitter
from lapse.storage.lease import file_lease
from lapse.storage.links import Link, SqliteLink, Unit

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""

READERS = 4

PRAGMAS = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 4000",
)


class WriterSession:
    """The connection that writes; a `groupcommit.Session`."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver
        self.link: Link = SqliteLink(driver)

    @property
    def in_transaction(self) -> bool:
        """Whether SQLite still has the transaction that was begun."""
        return self._driver.in_transaction

    async def run(self, sql: str) -> None:
        """Run a statement that controls the transaction."""
        with translated():
            await self._driver.execute(sql)

    async def close(self) -> None:
        """Close; what is not committed is rolled back."""
        await self._driver.close()


class SqliteBackend:
    """One database file. `attempts` and `pause` say how conflicts are retried: here nobody is in between."""

    attempts = 5
    pause = 0.0
    queues_entries = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers = ReaderPool(path)
        self._writer = GroupCommitter(self._connect_writer)

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Run `work` on one snapshot."""
        async with self._readers.snapshot() as driver:
            unit = Unit(SqliteLink(driver))
            try:
                return await work(unit)
            finally:
                unit.end()

    async def write(self, work: Callable[[Unit], Awaitable[T]], *, alone: bool = False) -> T:  # noqa: ARG002  it always is
        """Run `work` in a transaction and commit it durably, together with others that arrive now."""
        return await self._writer.run(work)

    async def write_ledger(self, work: Callable[[Unit], Awaitable[T]]) -> T:
        """As `write`; there is one writer."""
        return await self._writer.run(work)

    def lease(self) -> AbstractAsyncContextManager[bool]:
        """The right to be the sequencer, among all processes on this file."""
        return file_lease(self._path.with_name(self._path.name + ".sequencer"))

    async def close(self) -> None:
        """Finish what is being written and close all connections."""
        await self._writer.close()
        await self._readers.close()

    async def _connect_writer(self) -> WriterSession:
        with translated():
            return WriterSession(await _open(self._path))


async def _open(path: Path, *pragmas: str) -> aiosqlite.Connection:
    driver = aiosqlite.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    # A process that fails without closing its store must end, not wait for this thread.
    driver._thread.daemon = True  # noqa: SLF001  there is no public way
    await driver
    try:
        for pragma in (*PRAGMAS, *pragmas):
            await driver.execute(pragma)
    except BaseException:
        await driver.close()
        raise
    return driver


class ReaderPool:
    """A few connections that only read, opened when they are first needed; who finds none free waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: list[aiosqlite.Connection] = []
        self._places = asyncio.Semaphore(READERS)
        self._closed = False

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[aiosqlite.Connection]:
        """A connection inside a transaction that sees one state of the database."""
        async with self._places:
            if self._closed:
                raise Unavailable("the store is closed")
            with translated():
                driver = self._free.pop() if self._free else await _open(self._path, "PRAGMA query_only = ON")
            try:
                with translated():
                    await driver.execute("BEGIN")
                yield driver
            finally:
                await asyncio.shield(self._take_back(driver))

    async def close(self) -> None:
        """Close what is free; what is in use is closed when it comes back."""
        self._closed = True
        while self._free:
            await self._free.pop().close()

    async def _take_back(self, driver: aiosqlite.Connection) -> None:
        try:
            await driver.rollback()
        except sqlite3.Error:
            await driver.close()
            return
        if self._closed:
            await driver.close()
        else:
            self._free.append(driver)


# At level DEBUG the driver would log every statement with its values.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


def prepare_file(connection: sqlite3.Connection) -> None:
    """What must be said to a new file before anything is in it: larger pages hold documents better."""
    connection.execute("PRAGMA page_size = 8192")
    for pragma in PRAGMAS:
        connection.execute(pragma)
