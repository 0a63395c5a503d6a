"""The PostgreSQL backend: every work has its own connection and a serializable transaction.

Serializable, because a work reads, decides and writes, and must be right as if it ran alone: what two approvers read
at the same instant makes one of them run again. The server finds such conflicts by index page, so that busy writers
also meet false ones; a work that was in conflict twice therefore runs alone. Writers share a gate (a table lock, taken
before their snapshot) that it closes. Reads run on one read-only snapshot. The ledger's own tables are written under a
row lock instead, so that the sequencer never conflicts with those who append.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lapse.domain.errors import Unavailable
from lapse.storage.failures import translated
from lapse.storage.links import Link, PostgresLink, Unit

T = TypeVar("T")

CONNECT_SECONDS = 10
CONNECTIONS = 16
SEQUENCER_LOCK = 0x6C61_7073_65
"""The advisory lock of the sequencer; advisory locks are per database."""

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BESIDE_OTHERS = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN ROW SHARE MODE"
_ALONE = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE alembic_version IN EXCLUSIVE MODE"
_WITH_LOCKS = "BEGIN ISOLATION LEVEL READ COMMITTED"

_SETTINGS = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=10s -c random_page_cost=1.1"


class PostgresBackend:
    """One database on a server. Conflicts are retried after a random pause that grows."""

    attempts = 8
    pause = 0.004
    queues_entries = True

    def __init__(self, url: URL) -> None:
        self._engine = _engine(url)

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Run `work` on one snapshot."""
        async with self._transaction(_SNAPSHOT) as unit:
            return await work(unit)

    async def write(self, work: Callable[[Unit], Awaitable[T]], *, alone: bool = False) -> T:
        """Run `work` in a transaction and commit it durably. `Conflict` means that nothing of it was applied.

        With `alone` it waits until no other writer is at work, and the others wait for it.
        """
        async with self._transaction(_ALONE if alone else _BESIDE_OTHERS) as unit:
            return await work(unit)

    async def write_ledger(self, work: Callable[[Unit], Awaitable[T]]) -> T:
        """As `write`, for work that takes its own locks."""
        async with self._transaction(_WITH_LOCKS) as unit:
            return await work(unit)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[bool]:
        """The right to be the sequencer, among all servers on this database; lost if the connection breaks."""
        async with self._connection() as driver:
            with translated():
                cursor = await driver.execute("SELECT pg_try_advisory_lock(%s)", (SEQUENCER_LOCK,))
                row = await cursor.fetchone()
            mine = bool(row and row[0])
            try:
                yield mine
            finally:
                await _give_back(driver, mine=mine)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[Unit]:
        async with self._connection() as driver:
            unit = Unit(PostgresLink(driver))
            try:
                with translated():
                    await driver.execute(begin)
                yield unit
                unit.check()
                with translated():
                    await driver.execute("COMMIT")
            except BaseException:
                await _roll_back(driver)
                raise
            finally:
                unit.end()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        try:
            connection = await self._engine.connect().start()
        except (SQLAlchemyError, OSError) as error:
            with translated():
                raise getattr(error, "orig", None) or Unavailable("the database server is too busy") from error
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            yield driver
        finally:
            if driver.closed:
                await connection.invalidate()
            await connection.close()


async def _roll_back(driver: psycopg.AsyncConnection[Any]) -> None:
    """Roll back whatever happened; a connection that cannot is closed, which does the same."""
    try:
        await asyncio.shield(driver.execute("ROLLBACK"))
    except (psycopg.Error, asyncio.CancelledError):
        await driver.close()


async def _give_back(driver: psycopg.AsyncConnection[Any], *, mine: bool) -> None:
    try:
        if mine:
            await driver.execute("SELECT pg_advisory_unlock(%s)", (SEQUENCER_LOCK,))
    except psycopg.Error:
        await driver.close()


def _engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+psycopg_async"),
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_pre_ping=True,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": _SETTINGS},
    )
