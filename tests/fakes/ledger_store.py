"""An in-memory `ports.LedgerStore` for tests of the sequencer and the verifier, with faults and with hands in it.

It keeps what a database would: entries by id, places by sequence number, tiles, checkpoints. `commits` counts the
batches that took effect. Tests reach into `bodies`, `places`, `stored_tiles` and `checkpoints` to tamper.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from lapse.domain.errors import Conflict, Unavailable
from lapse.ledger.canonical import decode
from lapse.ledger.tiles import TileId, edge
from lapse.ports import NextBatch, Page


class MemoryLedgerStore:
    """`fail_next(CALL, applied=…)` makes a call raise `Unavailable`, with or without its effect."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.places: dict[int, int] = {}
        self.stored_tiles: dict[tuple[int, int], bytes] = {}
        self.checkpoints: dict[int, bytes] = {}
        self.commits = 0
        self.leased = False
        self.before_commit = None
        self._faults: dict[str, bool] = {}

    def append(self, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            self.bodies[len(self.bodies) + 1] = body

    def fail_next(self, call: str, *, applied: bool = False) -> None:
        self._faults[call] = applied

    async def next_batch(self, limit: int) -> NextBatch:
        self._fault("next_batch")
        size = len(self.places)
        return NextBatch(size, self._waiting(limit), self.checkpoints.get(size), self._stored(edge(size)))

    async def pending(self, limit: int) -> Sequence[tuple[int, bytes]]:
        self._fault("pending")
        return self._waiting(limit)

    async def commit_batch(
        self, expected_size: int, ids: Sequence[int], tiles: Mapping[TileId, bytes], checkpoint: bytes
    ) -> None:
        if self.before_commit is not None:
            interrupt, self.before_commit = self.before_commit, None
            await interrupt()
        fault = self._faults.pop("commit_batch", None)
        if fault is False:
            raise Unavailable("the store does not answer")
        if expected_size != len(self.places):
            raise Conflict(f"the ledger has {len(self.places)} entries, not {expected_size}")
        if set(ids) & set(self.places.values()):
            raise Conflict("an entry has its place already")
        self.places |= dict(enumerate(ids, expected_size))
        self.stored_tiles |= tiles
        self.checkpoints[len(self.places)] = checkpoint
        self.commits += 1
        if fault is True:
            raise Unavailable("the answer of the store was lost")

    async def size(self) -> int:
        self._fault("size")
        return len(self.places)

    async def entries(self, start: int, end: int) -> Sequence[tuple[int, bytes]]:
        self._fault("entries")
        rows = [(seq, self.bodies.get(self.places[seq])) for seq in sorted(self.places) if start <= seq < end]
        return [(seq, body) for seq, body in rows if body is not None]

    async def entries_of(self, start: int, end: int, types: Collection[str]) -> Sequence[tuple[str, bytes]]:
        rows = [(decode(body).type, body) for _, body in await self.entries(start, end)]
        return [(kind, body) for kind, body in rows if kind in types]

    async def find(
        self, *, subject: str | None = None, type_prefix: str | None = None, page: Page
    ) -> Sequence[tuple[int, bytes]]:
        rows = [(seq, self.bodies[self.places[seq]]) for seq in sorted(self.places, reverse=page.newest_first)]
        entries = ((seq, body, decode(body)) for seq, body in rows)
        return [
            (seq, body)
            for seq, body, entry in entries
            if subject in {None, entry.subject} and entry.type.startswith(type_prefix or "")
        ][: page.limit]

    async def tiles(self, places: Iterable[TileId]) -> Mapping[TileId, bytes]:
        self._fault("tiles")
        return self._stored(places)

    async def checkpoint(self, size: int | None = None) -> bytes | None:
        self._fault("checkpoint")
        return self.checkpoints.get(max(self.checkpoints, default=0) if size is None else size)

    @asynccontextmanager
    async def sequencer_lease(self) -> AsyncIterator[bool]:
        self._fault("lease")
        mine = not self.leased
        self.leased = True
        try:
            yield mine
        finally:
            self.leased = self.leased and not mine

    def _waiting(self, limit: int) -> list[tuple[int, bytes]]:
        placed = set(self.places.values())
        return [(key, body) for key, body in self.bodies.items() if key not in placed][:limit]

    def _stored(self, places: Iterable[TileId]) -> dict[TileId, bytes]:
        return {place: self.stored_tiles[place] for place in places if place in self.stored_tiles}

    def _fault(self, call: str) -> None:
        if self._faults.pop(call, None) is not None:
            raise Unavailable("the store does not answer")
