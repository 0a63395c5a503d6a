"""The ledger's tables: `ports.LedgerStore` over a backend. Used by the sequencer and by the verifier.

Entries are only ever added, by writers. On PostgreSQL a trigger queues each for the sequencer in the same transaction,
so that one that commits late is still found. On SQLite there is one writer and ids grow with time, so what is beyond
the last that is known is new; it is queued when the next batch is placed.

The sequencer's batch says which entry has which place. Places are kept as runs (`first_seq`, `first_id`, `length`),
because entries that follow each other in the table nearly always do so in the tree: one row for a batch, and on SQLite
one for the whole ledger. The body is written once and never touched again.

On SQLite what this process wrote last is not read back to be placed: see `recent`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from lapse.domain.errors import Conflict, Corrupt, InvalidInput
from lapse.ledger.tiles import TileId, edge
from lapse.ports import NextBatch, Page
from lapse.storage import ledger_queries as sql
from lapse.storage.links import Link, Unit
from lapse.storage.recent import RecentEntries

if TYPE_CHECKING:
    from lapse.storage.store import Backend

WINDOW = 8192
"""How many entries are looked through at a time where no index helps."""


@dataclass(frozen=True, slots=True)
class Run:
    """Entries `first_id … first_id + length - 1` have the places from `first_seq` on."""

    first_seq: int
    first_id: int
    length: int

    @property
    def end_seq(self) -> int:
        """The place after the last."""
        return self.first_seq + self.length

    @property
    def end_id(self) -> int:
        """The id after the last."""
        return self.first_id + self.length

    def cut(self, start: int, end: int) -> Run:
        """The part with `start <= seq < end`; its length may be 0."""
        first = max(start, self.first_seq)
        length = max(0, min(end, self.end_seq) - first)
        return Run(first, self.first_id + first - self.first_seq, length)


class SqlLedgerStore:
    """What the sequencer and the verifier need."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._recent = RecentEntries()

    def keep(self, appended: Iterable[tuple[int, Sequence[bytes]]]) -> None:
        """These entries have just been committed, each run of them under the ids from its first on."""
        for first_id, bodies in appended:
            self._recent.keep(first_id, bodies)

    async def next_batch(self, limit: int) -> NextBatch:
        """At most `limit` entries without a place, and the tree as it stands, in one snapshot."""

        async def work(link: Link) -> NextBatch:
            size, note, waiting = await self._state(link, limit)
            if not waiting:
                return NextBatch(size, waiting)
            return NextBatch(size, waiting, note, await _tiles(link, edge(size)))

        return await self._backend.read(work)

    async def pending(self, limit: int) -> Sequence[tuple[int, bytes]]:
        """Entries that have no place yet, by id."""
        return await self._backend.read(lambda link: self._waiting(link, limit))

    async def commit_batch(
        self, expected_size: int, ids: Sequence[int], tiles: Mapping[TileId, bytes], checkpoint: bytes
    ) -> None:
        """Give the entries `ids` the next places, and store changed hash tiles and the checkpoint, in one transaction.

        Raises:
            Conflict: the tree no longer has `expected_size` entries (another sequencer was faster), or one of `ids`
                has its place already.
        """
        runs = runs_of(expected_size, ids)
        new_size = expected_size + len(ids)
        new_tiles = [(level, position, hashes) for (level, position), hashes in tiles.items()]

        async def work(unit: Unit) -> None:
            if not await unit.change(sql.GROW, expected=expected_size, new_size=new_size):
                raise unit.fail(Conflict(f"the ledger no longer has {expected_size} entries"))
            if self._backend.queues_entries or not await _follows(unit, runs):
                for run in runs:
                    await _take(unit, run)
            for run in runs:
                await _place(unit, run)
            await unit.change_many(sql.PUT_TILES, new_tiles)
            await unit.change_many(sql.PUT_CHECKPOINT, [(new_size, checkpoint)])

        await self._backend.write_ledger(work)

    async def size(self) -> int:
        """How many entries have a place."""
        size, _ = await self._backend.read(_head)
        return size

    async def entries(self, start: int, end: int) -> Sequence[tuple[int, bytes]]:
        """(seq, canonical bytes) for start <= seq < end, in order; gaps show as missing rows."""

        async def work(link: Link) -> list[tuple[int, bytes]]:
            found: list[tuple[int, bytes]] = []
            for run in await _runs(link, start, end):
                found += _with_places(run, await _bodies(link, run))
            return found

        return await self._backend.read(work)

    async def entries_of(self, start: int, end: int, types: Collection[str]) -> Sequence[tuple[str, bytes]]:
        """(type, canonical bytes) of the entries of these types with start <= seq < end, in order."""

        async def work(link: Link) -> list[tuple[str, bytes]]:
            found: list[tuple[str, bytes]] = []
            for run in await _runs(link, start, end):
                ids = {"first_id": run.first_id, "end_id": run.end_id}
                found += await link.rows(sql.TYPES_AND_BODIES, **ids, types=list(types))
            return found

        return await self._backend.read(work)

    async def find(
        self, *, subject: str | None = None, type_prefix: str | None = None, page: Page
    ) -> Sequence[tuple[int, bytes]]:
        """Sequenced entries about `subject`, newest first; `page.after` is a place in the tree.

        By subject an index answers. By type alone the newest entries are looked through until the page is full.
        """
        after = _place_after(page)
        if subject is None:
            return await self._backend.read(lambda link: _look_through(link, type_prefix or "", page, after))
        rows = await self._backend.read(
            lambda link: link.rows(
                sql.about(newest_first=page.newest_first),
                subject=subject,
                prefix=type_prefix or "",
                prefix_length=len(type_prefix or ""),
                after=after,
                limit=page.limit,
            )
        )
        return [(seq, body) for seq, body in rows]

    async def tiles(self, places: Iterable[TileId]) -> Mapping[TileId, bytes]:
        """The stored ones of these hash tiles, in one snapshot."""
        return await self._backend.read(lambda link: _tiles(link, places))

    async def checkpoint(self, size: int | None = None) -> bytes | None:
        """The signed note for `size` entries, or the newest."""
        if size is None:
            rows = await self._backend.read(lambda link: link.rows(sql.NEWEST_CHECKPOINT))
        else:
            rows = await self._backend.read(lambda link: link.rows(sql.CHECKPOINT, size=size))
        return rows[0][0] if rows else None

    def sequencer_lease(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to be the one sequencer; yields False if another process holds it."""
        return self._backend.lease()

    async def _state(self, link: Link, limit: int) -> tuple[int, bytes | None, Sequence[tuple[int, bytes]]]:
        """The size, the note for it, and what waits; on SQLite without reading what was written last."""
        if self._backend.queues_entries:
            return *await _head(link), await self._waiting(link, limit)
        size, note, known, last, queued = _only(await link.rows(sql.STATE))
        recent = [] if queued else self._recent.behind(known, last, limit)
        return size, note, recent or await self._waiting(link, limit)

    async def _waiting(self, link: Link, limit: int) -> Sequence[tuple[int, bytes]]:
        queued = await link.bodies(sql.QUEUED, limit=limit)
        if self._backend.queues_entries or len(queued) == limit:
            return queued
        return [*queued, *await link.bodies(sql.UNSEEN, limit=limit - len(queued))]


def runs_of(size: int, ids: Sequence[int]) -> list[Run]:
    """The places from `size` on for `ids`, in this order, as runs."""
    if ids and ids == list(range(ids[0], ids[0] + len(ids))):
        return [Run(size, ids[0], len(ids))]
    breaks = [at for at in range(1, len(ids)) if ids[at] != ids[at - 1] + 1]
    starts, ends = [0, *breaks], [*breaks, len(ids)]
    return [Run(size + i, ids[i], j - i) for i, j in zip(starts, ends, strict=True) if j > i]


async def _head(link: Link) -> tuple[int, bytes | None]:
    """How many entries have a place, and the note that is signed for them."""
    size, note = _only(await link.rows(sql.HEAD))
    return size, note


def _only(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    if not rows:
        raise Corrupt("the ledger has lost its size", hint="restore the database from a backup")
    return rows[0]


async def _tiles(link: Link, places: Iterable[TileId]) -> dict[TileId, bytes]:
    rows = await link.rows(sql.TILES, places=msgspec.json.encode(sorted(places)).decode())
    return {(level, position): hashes for level, position, hashes in rows}


async def _follows(unit: Unit, runs: Sequence[Run]) -> bool:
    """On SQLite: whether this is the next run of entries, which need not go through the queue. If not, they do."""
    ((known, last),) = await unit.rows(sql.KNOWN)
    if len(runs) == 1 and runs[0].first_id == known + 1 and runs[0].end_id <= last + 1:
        return True
    await unit.change(sql.QUEUE_UNSEEN)
    return False


async def _take(unit: Unit, run: Run) -> None:
    """Take the entries of `run` out of the queue."""
    taken = await unit.change(sql.TAKE, first_id=run.first_id, end_id=run.end_id)
    if taken != run.length:
        raise unit.fail(Conflict("some of these entries have a place already, or do not exist"))


async def _place(unit: Unit, run: Run) -> None:
    """Note the places of `run`, behind the run before if it fits."""
    if not await unit.change(sql.LENGTHEN, seq=run.first_seq, first_id=run.first_id, more=run.length):
        await unit.change_many(sql.ADD_RUN, [(run.first_seq, run.first_id, run.length)])


async def _runs(link: Link, start: int, end: int) -> list[Run]:
    rows = await link.rows(sql.RUNS, start=start, end=end)
    return [run for row in rows if (run := Run(*row).cut(start, end)).length]


async def _bodies(link: Link, run: Run, prefix: str = "") -> Sequence[tuple[int, bytes]]:
    ids = {"first_id": run.first_id, "end_id": run.end_id}
    if not prefix:
        return await link.bodies(sql.BODIES, **ids)
    return await link.bodies(sql.BODIES_OF_TYPE, **ids, prefix=prefix, prefix_length=len(prefix))


def _with_places(run: Run, rows: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    offset = run.first_seq - run.first_id
    return [(key + offset, body) for key, body in rows]


def _place_after(page: Page) -> int:
    """The place that bounds the page, exclusive."""
    if page.after is None:
        return 2**62 if page.newest_first else -1
    try:
        return int(page.after)
    except ValueError:
        raise InvalidInput("the page does not begin at a place in the ledger") from None


async def _look_through(link: Link, prefix: str, page: Page, after: int) -> list[tuple[int, bytes]]:
    size, _ = await _head(link)
    found: list[tuple[int, bytes]] = []
    for start, end in _windows(size, after, newest_first=page.newest_first):
        here: list[tuple[int, bytes]] = []
        for run in await _runs(link, start, end):
            here += _with_places(run, await _bodies(link, run, prefix))
        found += reversed(here) if page.newest_first else here
        if len(found) >= page.limit:
            break
    return found[: page.limit]


def _windows(size: int, after: int, *, newest_first: bool) -> Iterator[tuple[int, int]]:
    if newest_first:
        for end in range(min(size, after), 0, -WINDOW):
            yield max(0, end - WINDOW), end
    else:
        for start in range(after + 1, size, WINDOW):
            yield start, min(size, start + WINDOW)
