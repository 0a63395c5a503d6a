"""Connections to one PostgreSQL server: bounded in time, reused while healthy, and silent about their DSN.

Everything else of the connector goes through `Server`. Connections speak UTF-8, ISO dates and UTC, see only
`pg_catalog` (so nothing that a user of the target defined can stand in for a system function), and are closed after
any error, so that no half-read answer is ever taken for the next one's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import is_printable

T = TypeVar("T")
Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

GRACE_SECONDS = 1.0
TROUBLES = (psycopg.Error, psycopg.Warning, OSError, TimeoutError, UnicodeError)
"""What a target that is down, hangs or answers nonsense makes the driver raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that things may take, and how many connections may be open at once."""

    connect: float = 5.0
    statement: float = 30.0
    lock: float = 5.0
    dying_session: float = 15.0
    call: float = 60.0
    observe: float = 300.0
    connections: int = 6


class Server:
    """One server, reached as the DSN says. `resource` is its name in messages."""

    def __init__(self, resource: str, dsn: str, limits: Limits) -> None:
        self.resource = resource
        self.limits = limits
        self.parameters = _read_dsn(resource, dsn)
        self._password = str(self.parameters.get("password") or "")
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(limits.connections)
        # Work in another database is done while a connection is held, so it must not queue for the same places.
        self._side_places = asyncio.Semaphore(limits.connections)
        self._closed = False

    @asynccontextmanager
    async def connection(self, dbname: str | None = None) -> AsyncIterator[Connection]:
        """A connection in autocommit, to the DSN's database or to `dbname`.

        Raises:
            Unavailable: the server cannot be reached, refuses us, or fails while the connection is used.
        """
        async with self._places if dbname is None else self._side_places:
            try:
                connection = await self._take(dbname)
            except TROUBLES as error:
                raise self.unavailable(error) from None
            try:
                yield connection
            except BaseException:
                await connection.close()
                raise
            await self._give_back(connection, dbname)

    async def bounded(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """The result of `work`; `Unavailable` when it takes too long or the target fails it."""
        limit = self.limits.call if seconds is None else seconds
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=limit)
        finally:
            if not task.done():
                await _abandon(task)
        if not task.done() or task.cancelled():
            raise Unavailable(f"the target `{self.resource}` did not answer within {limit:g} s")
        try:
            return task.result()
        except TROUBLES as error:
            raise self.unavailable(error) from None

    def unavailable(self, error: BaseException) -> Unavailable:
        """The error to raise for a failure of the driver or the network."""
        return Unavailable(f"the target `{self.resource}` failed: {self.sentence(error)}")

    def sentence(self, error: BaseException) -> str:
        """What went wrong in one line, without the password."""
        text = ""
        if isinstance(error, psycopg.Error):
            text = error.diag.message_primary or ""
        text = text or str(error).strip().partition("\n")[0] or type(error).__name__
        if self._password:
            text = text.replace(self._password, "***")
        return "".join(c if is_printable(c) else " " for c in text)[:300]

    async def close(self) -> None:
        """Close what is idle; connections in use are closed when they are given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()

    async def _take(self, dbname: str | None) -> Connection:
        while dbname is None and self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("SELECT 1")
            except BaseException as error:
                await connection.close()
                if not isinstance(error, TROUBLES):
                    raise
            else:
                return connection
        return await self._open(dbname)

    async def _open(self, dbname: str | None) -> Connection:
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo("", **self._conninfo(dbname)), autocommit=True, prepare_threshold=None
        )
        try:
            await connection.execute(_settings(self.limits))
        except BaseException:
            await connection.close()
            raise
        return connection

    def _conninfo(self, dbname: str | None) -> dict[str, Any]:
        given = self.parameters | ({"dbname": dbname} if dbname else {})
        return given | {
            "connect_timeout": max(1, round(self.limits.connect)),
            "client_encoding": "utf8",
            "application_name": "lapse",
        }

    async def _give_back(self, connection: Connection, dbname: str | None) -> None:
        healthy = (
            not connection.closed
            and connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
            and dbname is None
            and not self._closed
        )
        if healthy:
            self._idle.append(connection)
        else:
            await connection.close()


_abandoned: set[asyncio.Task[Any]] = set()


async def _abandon(task: asyncio.Task[T] | asyncio.Future[T]) -> None:
    """Cancel, and do not wait for ever: the driver may be waiting for an answer that never comes."""
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE_SECONDS)
    if isinstance(task, asyncio.Task) and not task.done():
        _abandoned.add(task)
        task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()


def _read_dsn(resource: str, dsn: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(dsn))
    except (psycopg.Error, UnicodeError, ValueError):
        # The parser's own words repeat parts of the DSN, and so perhaps the password.
        raise InvalidInput(
            f"the DSN of `{resource}` cannot be read",
            hint="write it as `postgresql://user:password@host:5432/database`, special characters %-encoded",
        ) from None


def _settings(limits: Limits) -> sql.Composed:
    def milliseconds(seconds: float) -> sql.Literal:
        return sql.Literal(int(seconds * 1000))

    return sql.SQL(
        "SET search_path = pg_catalog, pg_temp; SET DateStyle = 'ISO'; SET TimeZone = 'UTC';"
        " SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {};"
        " SET client_min_messages = error; SET standard_conforming_strings = on; SET jit = off"
    ).format(milliseconds(limits.statement), milliseconds(limits.lock), milliseconds(limits.call))
