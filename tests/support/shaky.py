"""A store whose writes fail when a test says so."""

from __future__ import annotations

from collections import deque

from lapse.domain.errors import Unavailable


class ShakyStore:
    """A store whose next writes fail as `fate` says: `lost` (it never happened), `unheard` (it did), `fine`."""

    def __init__(self, store):
        self._store = store
        self.ledger, self.read, self.close = store.ledger, store.read, store.close
        self.fate = deque()

    async def write(self, work):
        fate = self.fate.popleft() if self.fate else "fine"
        if fate == "lost":
            raise Unavailable("the disk under the database is full")
        result = await self._store.write(work)
        if fate == "unheard":
            raise Unavailable("the answer of the database was lost")
        return result
