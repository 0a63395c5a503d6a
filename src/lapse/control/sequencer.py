"""Gives recorded entries their place in the ledger's tree, in batches, and signs the checkpoint of each batch.

Guarantee: every committed entry is placed exactly once, whatever fails, restarts or runs at the same time; and no
checkpoint is signed that does not continue the last one. What is stored is checked against the signed root before
it is extended; where they differ nothing is sealed and `Corrupt` says so. Writers never wait for this. Run by the
server, and once at the end of a command that works on the store directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from lapse.domain.errors import Conflict, Corrupt, Unavailable
from lapse.ledger import tiles
from lapse.ledger.checkpoint import Checkpoint, key_of, open_checkpoint, seal
from lapse.ledger.merkle import EMPTY_ROOT, check_consistency, consistency_path, leaf_hash
from lapse.ledger.tiles import TileId
from lapse.ports import Clock, LedgerStore, NextBatch, Signer

BATCH, SLICE = 4096, 512
"""How many entries get their place together, and how many are hashed in one go."""

POLL = timedelta(seconds=1)
ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=500), timedelta(seconds=30)

_RESTORE = "stop lapse, find out who changed the store, and restore the ledger's tables from a backup"


class Sequencer:
    """The one that appends to the tree. Several may run: a lease lets one work, the store refuses the others.

    One object may be called by several tasks at once.
    """

    def __init__(
        self, ledger: LedgerStore, signer: Signer, clock: Clock, *, batch: int = BATCH, poll: timedelta = POLL
    ) -> None:
        """`poll` is how often to look for entries of other processes, and whether the lease is free."""
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._batch = batch
        self._poll = poll
        self._keys = [key_of(signer)]
        self._last: Checkpoint | None = None
        self._sealed: tuple[bytes, Mapping[TileId, bytes | None]] | None = None
        self._placing = asyncio.Lock()

    async def run(self, stop: asyncio.Event, wake: asyncio.Event | None = None) -> None:
        """Place entries until `stop`. `wake` says that there are new ones; they are found without it too, later.

        Raises:
            Corrupt: what is stored is not what was sealed; nothing more was sealed.
        """
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                async with self._ledger.sequencer_lease() as mine:
                    if mine:
                        await self._work(stop, wake or asyncio.Event())
                pause = FIRST_PAUSE
                await self._rest(self._poll, stop)
            except (Conflict, Unavailable):
                await self._rest(pause, stop)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def run_once(self) -> int:
        """Place all that is pending now; how many that were. 0 as well if another process has the lease.

        Raises:
            Corrupt: what is stored is not what was sealed.
            Conflict, Unavailable: the store did not let us; trying again is useful.
        """
        total = 0
        async with self._ledger.sequencer_lease() as mine:
            while mine and (placed := await self.sequence_once()):
                total += placed
        return total

    async def sequence_once(self) -> int:
        """Place one batch of pending entries; how many they were.

        Raises:
            Corrupt: what is stored is not what was sealed.
            Conflict: another sequencer was faster each time.
            Unavailable: the store does not answer. The batch may have been placed all the same: the next call
                reads anew, and places nothing twice.
        """
        # What `_last` is compared with must be younger: one of several callers at a time reads, places and remembers.
        async with self._placing:
            for _ in range(ATTEMPTS - 1):
                with suppress(Conflict):
                    return await self._place_batch()
            return await self._place_batch()

    async def _work(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        while not stop.is_set():
            wake.clear()
            if not await self.sequence_once():
                await self._rest(self._poll, stop, wake)

    async def _place_batch(self) -> int:
        # Size and entries are of one instant: were the entries older, a batch that another sequencer placed in
        # between would be placed again after it, at a size that the store accepts.
        batch = await self._ledger.next_batch(self._batch)
        if not batch.entries:
            return 0
        head = self._head(batch)
        await self._refuse_other_history(head)
        await self._extend(head, batch)
        return len(batch.entries)

    async def _extend(self, head: Checkpoint, batch: NextBatch) -> None:
        size, changed = head.size, dict[TileId, bytes]()
        tree = tiles.overlay(changed, _reader(batch.edge))
        for start in range(0, len(batch.entries), SLICE):
            hashes = [leaf_hash(body) for _, body in batch.entries[start : start + SLICE]]
            changed |= tiles.extend(size, hashes, tree)
            size += len(hashes)
            await asyncio.sleep(0)  # writers go on
        root = tiles.tree_root(size, tree)
        note = seal(size, root, self._signer)
        await self._ledger.commit_batch(head.size, [key for key, _ in batch.entries], changed, note)
        self._last = Checkpoint(self._signer.name, size, root)
        self._sealed = (note, {place: tree(*place) for place in tiles.edge(size)})

    def _head(self, batch: NextBatch) -> Checkpoint:
        """The signed checkpoint that `batch` continues; the tiles that it extends were checked to have its root."""
        size = batch.size
        if size == 0:
            return Checkpoint(self._signer.name, 0, EMPTY_ROOT)
        if batch.checkpoint is None:
            raise Corrupt(f"the ledger of {size} entries has no checkpoint", hint=_RESTORE)
        if self._last is not None and self._sealed == (batch.checkpoint, batch.edge):
            return self._last  # byte for byte what was sealed here
        head = open_checkpoint(batch.checkpoint, self._keys)
        if head.size != size or tiles.tree_root(size, _reader(batch.edge)) != head.root:
            raise Corrupt(
                f"the stored hash tiles of the ledger's {size} entries do not have the root that was signed",
                hint=_RESTORE,
            )
        return head

    async def _refuse_other_history(self, head: Checkpoint) -> None:
        """What this process saw sealed must still be there: no roll-back, no second history."""
        last = self._last
        if last is None or last == head:
            return
        if head.size < last.size:
            raise Corrupt(
                f"the ledger has {head.size} entries, but {last.size} were sealed",
                hint="if a backup was restored on purpose, restart lapse; otherwise find out who changed the store",
            )
        needed = await self._ledger.tiles(tiles.tiles_for_consistency(last.size, head.size))
        check_consistency(last, head, consistency_path(last.size, head.size, tiles.nodes(_reader(needed))))

    async def _rest(self, at_most: timedelta, *events: asyncio.Event) -> None:
        """Wait for one of the events, or for time to pass."""
        waits: list[Coroutine[Any, Any, Any]] = [event.wait() for event in events]
        waits.append(self._clock.wait_until(self._clock.now() + at_most))
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _reader(found: Mapping[TileId, bytes]) -> tiles.TileReader:
    return lambda level, index: found.get((level, index))
