"""Verifying the stored ledger, and proofs of stored entries for evidence. Reads only.

Called by `lapse ledger verify` and by the review, before it relies on history and when it seals a pack.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias

from lapse.domain.data import Json
from lapse.domain.errors import Corrupt, NotFound
from lapse.ledger import tiles
from lapse.ledger.bundle import proof_bundle, tiles_for_bundle
from lapse.ledger.checkpoint import Checkpoint, Key, open_checkpoint
from lapse.ledger.merkle import EMPTY_ROOT
from lapse.ledger.tiles import TileId
from lapse.ledger.verify import LedgerVerifier, Verdict
from lapse.ports import LedgerStore

_Piece: TypeAlias = tuple[Sequence[tuple[int, bytes]], Mapping[TileId, bytes]]

ROWS, SLICE = 4096, 512
"""How many entries are read at a time, and how many are checked in one go: few enough, that whatever else this process
does is not held up."""


async def verify_stored_ledger(ledger: LedgerStore, keys: Sequence[Key], earlier: Sequence[bytes] = ()) -> Verdict:
    """Verify all sealed entries against the newest checkpoint, the stored hash tiles and checkpoints kept elsewhere.

    What is sealed while this reads is left for the next time.
    """
    try:
        sealed = await _sealed(ledger, keys)
        verifier = LedgerVerifier(sealed, [open_checkpoint(kept, keys) for kept in earlier])
    except Corrupt as error:
        return Verdict(ok=False, size=0, root=EMPTY_ROOT, problem=error.message)
    async with aclosing(_pieces(ledger, sealed.size)) as pieces:
        async for rows, stored in pieces:
            if not await _feed(verifier, rows, stored):
                break
    return verifier.verdict()


async def prove_entries(
    ledger: LedgerStore, keys: Sequence[Key], seqs: Iterable[int], earlier: bytes | None = None
) -> dict[str, Json]:
    """The entries `seqs`, the newest checkpoint and the proofs between them, as JSON data (`ledger.bundle`).

    Raises:
        NotFound: nothing is sealed yet, or one of `seqs` is not.
        Corrupt: the checkpoint is not signed by one of `keys`, an entry is missing, or a proof does not hold.
    """
    note = await ledger.checkpoint()
    if note is None:
        raise NotFound("the ledger has no sealed entries yet", hint="wait a second, then try again")
    sealed, wanted = open_checkpoint(note, keys), sorted(set(seqs))
    beyond = [seq for seq in wanted if not 0 <= seq < sealed.size]
    if beyond:
        raise NotFound(f"entry {beyond[0]} is not sealed: the checkpoint covers {sealed.size} entries")
    rows = [row for start, end in _runs(wanted) for row in await ledger.entries(start, end)]
    if [seq for seq, _ in rows] != wanted:
        raise Corrupt("a sealed entry is missing", hint="`lapse ledger verify` names it")
    kept = open_checkpoint(earlier, keys) if earlier is not None else None
    stored = await ledger.tiles(tiles_for_bundle(wanted, sealed, kept))
    return proof_bundle(rows, note, keys, tile=lambda level, index: stored.get((level, index)), earlier=earlier)


async def _pieces(ledger: LedgerStore, size: int) -> AsyncGenerator[_Piece, None]:
    """The entries with the hash tiles over them. The next piece is read while one is checked."""
    ahead = asyncio.create_task(_read(ledger, 0, min(ROWS, size)))
    try:
        for start in range(ROWS, size + ROWS, ROWS):
            piece = await ahead
            ahead = asyncio.create_task(_read(ledger, start, min(start + ROWS, size)))
            yield piece
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def _read(ledger: LedgerStore, start: int, end: int) -> _Piece:
    if start >= end:
        return [], {}
    return await ledger.entries(start, end), await ledger.tiles(tiles.tiles_over(start, end))


async def _feed(verifier: LedgerVerifier, rows: Sequence[tuple[int, bytes]], stored: Mapping[TileId, bytes]) -> bool:
    """Check a piece, and let others go on in between; False once something is broken."""
    for start in range(0, max(len(rows), 1), SLICE):
        await asyncio.sleep(0)
        if not verifier.feed(rows[start : start + SLICE], lambda level, index: stored.get((level, index))):
            return False
    return True


async def _sealed(ledger: LedgerStore, keys: Sequence[Key]) -> Checkpoint:
    """The checkpoint for all that has a place in the tree."""
    size = await ledger.size()
    note = await ledger.checkpoint(size or None)
    if note is None and size == 0:
        return Checkpoint(keys[0].name, 0, EMPTY_ROOT)
    if note is None:
        raise Corrupt(f"the ledger of {size} entries has no checkpoint")
    sealed = open_checkpoint(note, keys)
    if sealed.size != size:
        raise Corrupt(f"the ledger has {size} entries, but its checkpoint is for {sealed.size}")
    return sealed


def _runs(seqs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as start and end."""
    start = 0
    for at in range(1, len(seqs) + 1):
        if at == len(seqs) or seqs[at] != seqs[at - 1] + 1:
            yield seqs[start], seqs[at - 1] + 1
            start = at
