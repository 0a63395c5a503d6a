"""Verifies a ledger from its stored rows, and names the first entry that is broken.

Guarantee: the verdict is `ok` only if the rows are exactly the entries 0 to size-1, each in canonical form, and
their tree has the root that the checkpoint signs and every earlier checkpoint signed at its size, and the stored
hash tiles (where they are given) agree. Rows are fed in order, in pieces of any size; nothing is kept but hashes.

Called by `lapse ledger verify`, by the review (before it relies on history) and on packs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lapse.domain.errors import Corrupt
from lapse.ledger import canonical, tiles
from lapse.ledger.checkpoint import open_checkpoint
from lapse.ledger.standalone import EMPTY_ROOT, HASH_BYTES, Checkpoint, Key
from lapse.ledger.tiles import HEIGHT, WIDTH, TileId, TileReader

_CHUNK = 16 * WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. `size` and `root` are of the entries that were read and are in order.

    `first_broken` is the sequence number of the first broken entry, or of the first that may be (`problem` says
    which); None when all entries are intact.
    """

    ok: bool
    size: int
    root: bytes
    first_broken: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, order=True)
class _Suspect:
    """One of the entries first..last is not what was sealed."""

    first: int
    last: int
    problem: str


def verify_ledger(
    rows: Iterable[tuple[int, bytes]],
    note: bytes,
    keys: Sequence[Key],
    *,
    tile: TileReader | None = None,
    earlier: Sequence[bytes] = (),
) -> Verdict:
    """Verify all rows against the signed checkpoint `note`, in one go.

    `tile` reads the stored hash tiles: they are checked as well, and show which entry is broken. `earlier` are
    signed checkpoints that somebody kept; a history that was rewritten and sealed again does not fit them.
    """
    try:
        verifier = LedgerVerifier(open_checkpoint(note, keys), [open_checkpoint(kept, keys) for kept in earlier])
    except Corrupt as error:
        return Verdict(ok=False, size=0, root=EMPTY_ROOT, problem=error.message)
    verifier.feed(rows, tile)
    return verifier.verdict()


@dataclass(slots=True)
class _Findings:
    """Where stored hashes differ from computed ones: by level, the first leaf under each differing hash.

    Tiles that differ are `damaged`; those that lack hashes are `incomplete`, and say nothing about what is below.
    """

    differs: dict[int, set[int]] = field(default_factory=dict)
    damaged: set[TileId] = field(default_factory=set)
    incomplete: set[TileId] = field(default_factory=set)

    def compare(self, place: TileId, computed: bytes, stored: bytes | None) -> None:
        level, index = place
        stored = stored or b""
        if stored[: len(computed)] == computed:
            return
        self.damaged.add(place)
        if len(stored) < len(computed):
            self.incomplete.add(place)
        for at in range(0, min(len(computed), len(stored)), HASH_BYTES):
            if stored[at : at + HASH_BYTES] != computed[at : at + HASH_BYTES]:
                number = index * WIDTH + at // HASH_BYTES
                self.differs.setdefault(level, set()).add(number << HEIGHT * level)

    def suspects(self, size: int) -> list[_Suspect]:
        """The narrowest ranges of leaves that the differing hashes put under suspicion."""
        found: list[_Suspect] = []
        for level in sorted(self.differs):
            span = 1 << HEIGHT * level
            explained = {suspect.first // span for suspect in found}
            found.extend(
                _suspect(start, start + span - 1)
                for start in self.differs[level]
                if start // span not in explained and not self._agrees_above(start, level + 1, size)
            )
        return found

    def _agrees_above(self, start: int, level: int, size: int) -> bool:
        """The stored parent hash agrees with the entries, so only the stored hash below it is damaged."""
        number = start >> HEIGHT * level
        known = (number + 1) << HEIGHT * level <= size and (level, number >> HEIGHT) not in self.incomplete
        return known and number << HEIGHT * level not in self.differs.get(level, set())


class LedgerVerifier:
    """Feed rows in order, then ask for the verdict. The checkpoints come opened: their signatures hold."""

    def __init__(self, sealed: Checkpoint, earlier: Sequence[Checkpoint] = ()) -> None:
        self._sealed = sealed
        self._kept = sorted({*earlier, sealed}, key=lambda kept: kept.size)
        self._kept_checked = 0
        self._size = 0
        self._agreed = 0
        self._tiles: dict[TileId, bytes] = {}
        self._findings = _Findings()
        self._broken_row: _Suspect | None = None
        self._broken_root: _Suspect | None = None
        self._check_kept()

    def feed(self, rows: Iterable[tuple[int, bytes]], tile: TileReader | None = None) -> bool:
        """Take the next rows; False once something is broken, and further rows are of no use.

        `tile` reads the stored hash tiles: at least those of `tiles.tiles_over(first, last + 1)` for these rows.
        """
        check, sha256 = canonical.check, hashlib.sha256
        hashes: list[bytes] = []
        seq, stop = self._size, self._next_stop()
        for number, body in rows:
            try:
                if number != seq or seq == self._sealed.size:
                    self._refuse_place(seq, number)
                check(body)
            except Corrupt as error:
                self._broken_row = _Suspect(seq, seq, f"entry {seq} is broken: {error.message}")
                break
            hashes.append(sha256(b"\x00" + body).digest())
            seq += 1
            if seq == stop:
                self._take(hashes, tile)
                hashes, stop = [], self._next_stop()
                if self._broken_root:
                    break
        self._take(hashes, tile)
        return not (self._broken_row or self._broken_root)

    def verdict(self) -> Verdict:
        """What the rows that were fed amount to."""
        suspect = self._first_suspect()
        if suspect is not None:
            return self._verdict(suspect.problem, suspect.first)
        if self._findings.damaged:
            level, index = min(self._findings.damaged)
            return self._verdict(f"the stored hash tile {level}/{index} is damaged; all entries are intact")
        return self._verdict()

    def _verdict(self, problem: str = "", first_broken: int | None = None) -> Verdict:
        root = tiles.tree_root(self._size, self._tile)
        return Verdict(ok=not problem, size=self._size, root=root, first_broken=first_broken, problem=problem)

    def _first_suspect(self) -> _Suspect | None:
        certain = self._broken_row or self._missing()
        if not certain and not self._broken_root:
            return None
        # Up to `_agreed` the root is signed: whatever a stored tile says, those entries are intact.
        by_tiles = [
            _suspect(max(suspect.first, self._agreed), suspect.last)
            for suspect in self._findings.suspects(self._size)
            if suspect.last >= self._agreed
        ]
        exact = [*by_tiles, certain] if certain else by_tiles
        return min(exact) if exact else self._broken_root

    def _missing(self) -> _Suspect | None:
        longest = self._kept[-1].size
        if self._broken_root or self._size == longest:
            return None
        return _Suspect(
            self._size,
            longest - 1,
            f"entry {self._size} is missing: {longest} entries were sealed, the ledger ends here",
        )

    def _refuse_place(self, expected: int, found: int) -> None:
        if found > expected:
            raise Corrupt(f"it is missing, the next one stored is {found}")
        if found < expected:
            raise Corrupt(f"entry {found} stands in its place a second time")
        raise Corrupt(f"it is not sealed, the checkpoint covers {expected} entries")

    def _take(self, hashes: list[bytes], tile: TileReader | None) -> None:
        changed = tiles.extend(self._size, hashes, self._tile)
        self._size += len(hashes)
        self._tiles |= changed
        self._tiles = {place: self._tiles[place] for place in tiles.edge(self._size)}
        if tile is not None:
            for place, computed in changed.items():
                self._findings.compare(place, computed, tile(*place))
        self._check_kept()

    def _tile(self, level: int, index: int) -> bytes | None:
        return self._tiles.get((level, index))

    def _next_stop(self) -> int:
        """Where to look at the tree next: at a checkpoint, or when enough hashes have come together."""
        kept = self._kept[self._kept_checked : self._kept_checked + 1]
        return min([(self._size // _CHUNK + 1) * _CHUNK, *(checkpoint.size for checkpoint in kept)])

    def _check_kept(self) -> None:
        while self._kept_checked < len(self._kept) and self._kept[self._kept_checked].size == self._size:
            kept = self._kept[self._kept_checked]
            self._kept_checked += 1
            if kept.root != tiles.tree_root(self._size, self._tile):
                self._broken_root = self._broken_root or self._root_suspect(kept)
        if not self._broken_root:
            self._agreed = self._checked_size()

    def _checked_size(self) -> int:
        return self._kept[self._kept_checked - 1].size if self._kept_checked else 0

    def _root_suspect(self, kept: Checkpoint) -> _Suspect:
        last = max(kept.size - 1, 0)
        first = min(self._agreed, last)
        which = "the" if kept == self._sealed else "the earlier"
        return _Suspect(
            first,
            last,
            f"{_one_of(first, last)} was changed: the {kept.size} entries do not have the root that "
            f"{which} checkpoint signs",
        )


def _suspect(first: int, last: int) -> _Suspect:
    return _Suspect(first, last, f"{_one_of(first, last)} is not what was sealed: its hash differs")


def _one_of(first: int, last: int) -> str:
    return f"entry {first}" if first == last else f"one of the entries {first} to {last}"
