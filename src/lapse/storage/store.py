"""`ports.Store` over a backend. Opened by `opening.open_store`; used by everything above."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from lapse.domain.errors import Conflict
from lapse.ports import Reader, Transaction
from lapse.storage.catalogs import CatalogCache
from lapse.storage.ledger import SqlLedgerStore
from lapse.storage.links import Link, Unit
from lapse.storage.reading import SqlReader
from lapse.storage.transaction import SqlTransaction

T = TypeVar("T")

_LONGEST_PAUSE = 0.2
_TRIES_BESIDE_OTHERS = 2


class Backend(Protocol):
    """What differs between the databases: connections, transactions and locks."""

    attempts: int
    pause: float
    queues_entries: bool

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T: ...  # noqa: D102  see the backends
    async def write(self, work: Callable[[Unit], Awaitable[T]], *, alone: bool = ...) -> T: ...  # noqa: D102  see the backends
    async def write_ledger(self, work: Callable[[Unit], Awaitable[T]]) -> T: ...  # noqa: D102  see the backends
    def lease(self) -> AbstractAsyncContextManager[bool]: ...  # noqa: D102  see the backends
    async def close(self) -> None: ...  # noqa: D102  see the backends


class SqlStore:
    """State and ledger in one database."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._catalogs = CatalogCache()
        self._ledger = SqlLedgerStore(backend)

    @property
    def ledger(self) -> SqlLedgerStore:
        """The ledger's tables."""
        return self._ledger

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` on one consistent view."""
        return await self._backend.read(lambda link: work(SqlReader(link, self._catalogs)))

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction and commit; on `Conflict` run it again, a few times."""
        backend = self._backend
        for attempt in range(backend.attempts - 1):
            try:
                return await self._once(work, alone=attempt >= _TRIES_BESIDE_OTHERS)
            except Conflict:
                await asyncio.sleep(min(_LONGEST_PAUSE, backend.pause * 2**attempt) * random.random())  # noqa: S311  jitter
        return await self._once(work, alone=True)

    async def close(self) -> None:
        """Finish what is being written and close all connections."""
        await self._backend.close()

    async def _once(self, work: Callable[[Transaction], Awaitable[T]], *, alone: bool) -> T:
        async def run(unit: Unit) -> tuple[T, SqlTransaction]:
            transaction = SqlTransaction(unit, self._catalogs)
            return await work(transaction), transaction

        result, committed = await self._backend.write(run, alone=alone)
        self._ledger.keep(committed.appended)
        if committed.catalog_seen is not None:
            self._catalogs.learn(*committed.catalog_seen)
        return result
