"""Where the tree is kept: hash tiles of up to 256 hashes each (the layout of C2SP tlog-tiles, height 8).

Tile (level, index) holds, one after the other, the hashes of the perfect subtrees of 2^(8 * level) leaves from
number index * 256 on. The last tile of a level is shorter until it is full; hashes in a tile never change. So an
append writes only the tiles at the right edge, and any root or proof, old or new, comes from a few tiles.

Tiles are read through a callable, so this works on a store, a file or a dict. A tile that is missing or too short
raises `Corrupt`. Called by the sequencer, the verifier and whoever exports evidence.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from lapse.domain.errors import Corrupt
from lapse.ledger.merkle import (
    NodeReader,
    Range,
    consistency_ranges,
    inclusion_ranges,
    perfect_subtrees,
    root,
)
from lapse.ledger.standalone import HASH_BYTES

HEIGHT = 8
WIDTH = 1 << HEIGHT
TILE_BYTES = WIDTH * HASH_BYTES

_INNER = hashlib.sha256(b"\x01")
"""What `merkle.node_hash` begins with; a copy of it is quicker than a new one."""

_pairs = struct.Struct(f"{2 * HASH_BYTES}s").iter_unpack

TileId: TypeAlias = tuple[int, int]
TileReader: TypeAlias = Callable[[int, int], bytes | None]


def extend(size: int, leaves: Sequence[bytes], tile: TileReader) -> dict[TileId, bytes]:
    """The tiles that change when leaf hashes are appended to a tree of `size`; needs the tiles of `edge(size)`."""
    changed: dict[TileId, bytes] = {}
    level, fresh = 0, b"".join(leaves)
    while fresh:
        index, filled = divmod(size, WIDTH)
        data = (_read(tile, level, index, filled) if filled else b"") + fresh
        tops = []
        for offset in range(0, len(data), TILE_BYTES):
            part = data[offset : offset + TILE_BYTES]
            changed[level, index] = part
            index += 1
            if len(part) == TILE_BYTES:
                tops.append(perfect_root(part))
        level, size, fresh = level + 1, size >> HEIGHT, b"".join(tops)
    return changed


def tree_root(size: int, tile: TileReader) -> bytes:
    """The root of the first `size` leaves; needs the tiles of `edge(size)`."""
    return root(size, nodes(tile))


def nodes(tile: TileReader) -> NodeReader:
    """A reader of inner nodes that computes them from tiles."""

    def node(height: int, index: int) -> bytes:
        level, tile_index, first, count = _place(height, index)
        data = _read(tile, level, tile_index, first + count)
        return perfect_root(data[first * HASH_BYTES :])

    return node


def overlay(changed: Mapping[TileId, bytes], tile: TileReader) -> TileReader:
    """Tiles as they will be once `changed` is stored."""

    def read(level: int, index: int) -> bytes | None:
        found = changed.get((level, index))
        return tile(level, index) if found is None else found

    return read


def edge(size: int) -> set[TileId]:
    """The tiles at the right edge of a tree that are not full: what `extend` and `tree_root` read."""
    return _holding([(0, size)])


def tiles_for_inclusion(seq: int, size: int) -> set[TileId]:
    """The tiles that `merkle.inclusion_path` reads."""
    return _holding(inclusion_ranges(seq, size))


def tiles_for_consistency(old: int, new: int) -> set[TileId]:
    """The tiles that `merkle.consistency_path` reads."""
    return _holding(consistency_ranges(old, new))


def tiles_over(start: int, end: int) -> set[TileId]:
    """The tiles of every level that hold hashes over leaves start <= leaf < end."""
    found: set[TileId] = set()
    level = 0
    while start < end:
        found.update((level, index) for index in range(start >> HEIGHT, ((end - 1) >> HEIGHT) + 1))
        start, end, level = start >> HEIGHT, end >> HEIGHT, level + 1
    return found


def perfect_root(hashes: bytes) -> bytes:
    """The root over 2^k hashes that stand one after the other."""
    while len(hashes) > HASH_BYTES:
        parents = []
        for (pair,) in _pairs(hashes):
            node = _INNER.copy()
            node.update(pair)
            parents.append(node.digest())
        hashes = b"".join(parents)
    return hashes


def _holding(ranges: Iterable[Range]) -> set[TileId]:
    return {_place(height, index)[:2] for part in ranges for height, index in perfect_subtrees(*part)}


def _place(height: int, index: int) -> tuple[int, int, int, int]:
    """(level, tile index, first hash in it, number of hashes) that a node is computed from.

    A node 8 levels above another is stored a level up, so a full tile is never needed as a whole.
    """
    level, above = divmod(height, HEIGHT)
    tile_index, first = divmod(index << above, WIDTH)
    return level, tile_index, first, 1 << above


def _read(tile: TileReader, level: int, index: int, hashes: int) -> bytes:
    data = tile(level, index)
    if data is None or len(data) < hashes * HASH_BYTES:
        state = "missing" if data is None else "too short"
        raise Corrupt(f"the ledger's hash tile {level}/{index} is {state}", hint="restore the ledger from a backup")
    return data[: hashes * HASH_BYTES]
