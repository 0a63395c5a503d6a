"""Group commit for a database with one writer: works that arrive together share one durable commit.

Each work runs alone, in its own savepoint, so that one that fails takes nothing with it. Callers learn that their
work succeeded only after the commit; if the commit fails, every one of them gets `Unavailable`. A lone work never
waits for companions. A caller that is cancelled before its work is done leaves nothing behind; later, as with any
answer that is lost, the work may stand. Used by the SQLite store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from lapse.domain.errors import LapseError, Unavailable
from lapse.storage.links import Link, Unit

T = TypeVar("T")

GROUP_SECONDS = 0.05
"""A group takes no more works once it is this old, so that the first caller is not kept waiting."""

WORK_SECONDS = 60.0
"""A work that takes longer is given up: everybody else is waiting for it."""


class Session(Protocol):
    """The one connection that writes."""

    @property
    def link(self) -> Link: ...  # noqa: D102  named after what it returns
    @property
    def in_transaction(self) -> bool: ...  # noqa: D102  named after what it returns
    async def run(self, sql: str) -> None:
        """Run a statement that controls the transaction. Raises `LapseError`."""
        ...

    async def close(self) -> None:
        """Give the connection up; an open transaction is rolled back."""
        ...


@dataclass(eq=False)
class _Job(Generic[T]):
    work: Callable[[Unit], Awaitable[T]]
    answer: asyncio.Future[T]
    context: Context = field(default_factory=copy_context)


class _Lost(Exception):  # noqa: N818  never leaves this module
    """The transaction of the whole group is gone."""

    def __init__(self, cause: LapseError) -> None:
        self.cause = cause


class GroupCommitter:
    """Runs works one after the other on a session that `connect` opens, and commits them in groups."""

    def __init__(self, connect: Callable[[], Awaitable[Session]]) -> None:
        self._connect = connect
        self._session: Session | None = None
        self._jobs: asyncio.Queue[_Job[Any]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, work: Callable[[Unit], Awaitable[T]]) -> T:
        """Run `work` and return its result when it is durable; its own errors come back to this caller alone."""
        if self._closed:
            raise Unavailable("the store is closed")
        if self._writer is None:
            self._writer = asyncio.create_task(self._serve(), name="lapse-store-writer")
        job: _Job[T] = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        return await job.answer

    async def close(self) -> None:
        """Finish the group that is running, refuse what waits, and let the connection go."""
        self._closed = True
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        while not self._jobs.empty():
            _refuse(self._jobs.get_nowait(), Unavailable("the store is closed"))
        await self._drop_session()

    async def _serve(self) -> None:
        while True:
            job = await self._jobs.get()
            group = asyncio.create_task(self._group(job))
            try:
                await asyncio.shield(group)
            except asyncio.CancelledError:
                await group
                raise

    async def _group(self, first: _Job[Any]) -> None:
        """Begin, run works as long as there are any, commit, answer."""
        done: list[tuple[_Job[Any], Any]] = []
        waiting: _Job[Any] | None = first
        try:
            session = await self._begin()
            until = asyncio.get_running_loop().time() + GROUP_SECONDS
            while waiting is not None:
                await self._attempt(session, waiting, done)
                late = asyncio.get_running_loop().time() >= until
                waiting = None if late or self._jobs.empty() else self._jobs.get_nowait()
            await self._commit(session, done)
        except Exception as error:  # noqa: BLE001  whatever went wrong, nobody may wait for ever
            await self._drop_session()
            for job in [waiting, *(job for job, _ in done)]:
                _refuse(job, error.cause if isinstance(error, _Lost) else error)
        else:
            for job, result in done:
                _resolve(job, result)

    async def _begin(self) -> Session:
        try:
            if self._session is None:
                self._session = await self._connect()
            await self._session.run("BEGIN IMMEDIATE")
        except LapseError as error:
            raise _Lost(error) from error
        return self._session

    async def _attempt(self, session: Session, job: _Job[Any], done: list[tuple[_Job[Any], Any]]) -> None:
        """Run one work. What it did stays in the transaction, or is undone and its caller told."""
        if job.answer.done():
            return
        alone = not done
        await _control(session, None if alone else "SAVEPOINT work")
        try:
            result = await _perform(session.link, job)
        except Exception as error:  # noqa: BLE001  whatever a work raises belongs to its caller
            await self._undo(session, error, alone=alone)
            _refuse(job, error)
        else:
            await _control(session, None if alone else "RELEASE work")
            done.append((job, result))

    async def _undo(self, session: Session, error: Exception, *, alone: bool) -> None:
        if not session.in_transaction:
            # A full disk or an I/O error makes SQLite roll back everything by itself.
            if not alone:
                raise _Lost(_as_unavailable(error))
            await _control(session, "BEGIN IMMEDIATE")
        elif alone:
            await _control(session, "ROLLBACK")
            await _control(session, "BEGIN IMMEDIATE")
        else:
            await _control(session, "ROLLBACK TO work")
            await _control(session, "RELEASE work")

    async def _commit(self, session: Session, done: list[tuple[_Job[Any], Any]]) -> None:
        await _control(session, "COMMIT" if done else "ROLLBACK")

    async def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _control(session: Session, sql: str | None) -> None:
    if sql is None:
        return
    try:
        await session.run(sql)
    except LapseError as error:
        raise _Lost(_as_unavailable(error)) from error


async def _perform(link: Link, job: _Job[T]) -> T:
    """Run the work in its caller's context; it ends when it is done, too slow, or its caller has gone."""
    unit = Unit(link)
    task = asyncio.create_task(_coroutine(job.work, unit), context=job.context)
    job.answer.add_done_callback(lambda _: task.cancel())
    try:
        await asyncio.wait({task}, timeout=WORK_SECONDS)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise Unavailable("a change took too long and was given up", hint="try again")
    finally:
        unit.end()
    if task.cancelled() or job.answer.done():
        raise Unavailable("a change was cancelled")
    result = task.result()
    unit.check()
    return result


async def _coroutine(work: Callable[[Unit], Awaitable[T]], unit: Unit) -> T:
    return await work(unit)


def _as_unavailable(error: Exception) -> LapseError:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(f"the change could not be stored: {error}")


def _refuse(job: _Job[Any] | None, error: Exception) -> None:
    if job is not None and not job.answer.done():
        job.answer.set_exception(error)


def _resolve(job: _Job[T], result: T) -> None:
    if not job.answer.done():
        job.answer.set_result(result)
