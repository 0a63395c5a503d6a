"""The ledger's tables, as the sequencer and the verifier need them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from lapse.ledger.tiles import TileId
from lapse.ports.basics import Page


@dataclass(frozen=True, slots=True)
class NextBatch:
    """Entries that have no place in the tree yet, and the tree as it stands, all seen at one instant.

    `entries` are (id, canonical bytes), by id. If there are any, `checkpoint` is the stored note for `size` entries and
    `edge` the stored ones of the hash tiles that `ledger.tiles.edge(size)` names.
    """

    size: int
    entries: Sequence[tuple[int, bytes]]
    checkpoint: bytes | None = None
    edge: Mapping[TileId, bytes] = field(default_factory=dict)


class LedgerStore(Protocol):
    """What the sequencer and the verifier need."""

    async def next_batch(self, limit: int) -> NextBatch:
        """At most `limit` entries for `commit_batch`, and what they are appended to."""
        ...

    async def pending(self, limit: int) -> Sequence[tuple[int, bytes]]:
        """(id, canonical bytes) of entries that have no place yet, by id."""
        ...

    async def commit_batch(
        self, expected_size: int, ids: Sequence[int], tiles: Mapping[TileId, bytes], checkpoint: bytes
    ) -> None:
        """Give the entries `ids` the next places, and store changed hash tiles and the signed checkpoint, or nothing.

        Raises:
            Conflict: the tree no longer has `expected_size` entries (another sequencer was faster), or one of `ids`
                has its place already.
        """
        ...

    async def size(self) -> int: ...
    async def entries(self, start: int, end: int) -> Sequence[tuple[int, bytes]]:
        """(seq, canonical bytes) for start <= seq < end, in order; gaps show as missing rows."""
        ...

    async def entries_of(self, start: int, end: int, types: Collection[str]) -> Sequence[tuple[str, bytes]]:
        """(type, canonical bytes) of the entries of these types with start <= seq < end, in order."""
        ...

    async def find(
        self, *, subject: str | None = None, type_prefix: str | None = None, page: Page
    ) -> Sequence[tuple[int, bytes]]:
        """Sequenced entries about `subject`, newest first."""
        ...

    async def tiles(self, places: Iterable[TileId]) -> Mapping[TileId, bytes]:
        """The stored ones of these hash tiles, all seen at one instant."""
        ...

    async def checkpoint(self, size: int | None = None) -> bytes | None:
        """The signed note for `size` entries, or the newest."""
        ...

    def sequencer_lease(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to be the one sequencer; yields False if another process holds it."""
        ...
