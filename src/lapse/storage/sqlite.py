"""The SQLite backend: a pool of readers on snapshots, and one writer with group commit.

The file is in WAL mode with `synchronous=FULL`: an acknowledged change is on the disk before its caller hears of it.
Opened by `opening`; used by `store` and `ledger` as a `Backend`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

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

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = _reading_engine(path)
        self._writer = GroupCommitter(self._connect_writer)

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Run `work` on one snapshot."""
        async with self._reader() as driver:
            unit = Unit(SqliteLink(driver))
            try:
                with translated():
                    await driver.execute("BEGIN")
                return await work(unit)
            finally:
                unit.end()
                await asyncio.shield(driver.rollback())

    async def write(self, work: Callable[[Unit], Awaitable[T]]) -> T:
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
        await self._engine.dispose()

    async def _connect_writer(self) -> WriterSession:
        with translated():
            driver = await aiosqlite.connect(self._path, isolation_level=None, timeout=BUSY_SECONDS)
            for pragma in PRAGMAS:
                await driver.execute(pragma)
        return WriterSession(driver)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        try:
            connection = await self._engine.connect().start()
        except SQLAlchemyError as error:
            with translated():
                raise getattr(error, "orig", None) or Unavailable("the store is too busy") from error
        try:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            yield driver
        finally:
            await connection.close()


def _reading_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        pool_size=READERS,
        max_overflow=0,
        pool_reset_on_return=None,
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, "PRAGMA query_only = ON"):
            cursor.execute(pragma)
        cursor.close()

    return engine


def prepare_file(connection: sqlite3.Connection) -> None:
    """What must be said to a new file before anything is in it: larger pages hold documents better."""
    connection.execute("PRAGMA page_size = 8192")
    for pragma in PRAGMAS:
        connection.execute(pragma)
