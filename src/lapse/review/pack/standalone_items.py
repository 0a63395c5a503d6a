"""The items of a pack as a Merkle tree, so that one of a million can be proved without reading the others.

Three files: `items.jsonl`, one item a line in the order of ids; `offsets.bin`, where each line begins (8 bytes, big
endian, and one more for the end); `tree.bin`, the hashes of all perfect subtrees (RFC 9162, section 2.1; a leaf is a
line without its newline), level after level from the leaves up. The signed manifest names size and root of the tree.

Guarantee: `proved` returns bytes only if they are in that tree. Whatever else the files say is a hint, and a defect if
it does not lead there. This source is also part of the `verify.py` inside a pack: Python 3.8, standard library only.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any, Protocol

from lapse.ledger.standalone import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash, proves_inclusion
from lapse.review.pack.standalone_container import Pack, PackDefect

ITEMS = "items/items.jsonl"
OFFSETS = "items/offsets.bin"
TREE = "items/tree.bin"
ITEM_FILES = (ITEMS, OFFSETS, TREE)
OFFSET = struct.Struct(">Q")
LARGEST_ITEM = 1 << 20


class Pieces(Protocol):
    """A pack of which pieces can be read."""

    def size(self, name: str) -> int: ...  # noqa: D102  see the implementations
    def piece(self, name: str, start: int, length: int) -> bytes: ...  # noqa: D102  see the implementations


def level_start(count: int, height: int) -> int:
    """Where in `tree.bin` the subtrees of 2^height leaves begin, of a tree of `count` leaves."""
    return HASH_BYTES * sum(count >> level for level in range(height))


def upper_levels(leaves: bytes) -> Iterator[bytes]:
    """The hashes of each level of perfect subtrees, from the leaves (which stand one after the other) up."""
    level = leaves
    while level:
        yield level
        pairs = range(0, len(level) - len(level) % (2 * HASH_BYTES), 2 * HASH_BYTES)
        level = b"".join(hashlib.sha256(b"\x01" + level[at : at + 2 * HASH_BYTES]).digest() for at in pairs)


def range_root(pack: Pieces, count: int, start: int, end: int) -> bytes:
    """The hash over leaves start <= leaf < end (section 2.1.1), of a range that the tree splits off."""
    parts = []
    while start < end:
        height = (end - start).bit_length() - 1
        place = level_start(count, height) + HASH_BYTES * (start >> height)
        parts.append(pack.piece(TREE, place, HASH_BYTES))
        start += 1 << height
    result = parts.pop() if parts else EMPTY_ROOT
    while parts:
        result = node_hash(parts.pop(), result)
    return result


def inclusion_proof(pack: Pieces, position: int, count: int) -> list[bytes]:
    """The hashes that lead from leaf `position` to the root (section 2.1.3.1)."""
    start, end, proof = 0, count, []
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if position < middle:
            proof.append(range_root(pack, count, middle, end))
            end = middle
        else:
            proof.append(range_root(pack, count, start, middle))
            start = middle
    return proof[::-1]


def line_at(pack: Pieces, position: int) -> bytes:
    """The line of item `position`, where the index says that it is; nothing is proved."""
    raw = pack.piece(OFFSETS, OFFSET.size * position, 2 * OFFSET.size)
    start, end = OFFSET.unpack(raw[: OFFSET.size])[0], OFFSET.unpack(raw[OFFSET.size :])[0]
    if not start < end <= pack.size(ITEMS) or end - start > LARGEST_ITEM:
        raise PackDefect(OFFSETS, f"does not lead to item number {position + 1:,}")
    return pack.piece(ITEMS, start, end - start)[:-1]


def id_of(line: bytes) -> str:
    """The id of the item that `line` spells."""
    try:
        found = json.loads(line.decode("ascii"))["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise PackDefect(ITEMS, "holds a line that is no item")
    return found


def first_not_before(pack: Pieces, count: int, item_id: str) -> int:
    """The position of the first item whose id is not before `item_id`: `count` if all are."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if id_of(line_at(pack, middle)) < item_id:
            low = middle + 1
        else:
            high = middle
    return low


def proved(pack: Pieces, position: int, count: int, root: bytes) -> bytes:
    """The line of item `position`, which is in the tree of `count` leaves under `root`.

    Raises:
        PackDefect: it is not.
    """
    line = line_at(pack, position)
    if not proves_inclusion(leaf_hash(line), position, count, inclusion_proof(pack, position, count), root):
        raise PackDefect(ITEMS, f"item number {position + 1:,} is not the one that was sealed")
    return line


def check_items(pack: Pack, claimed: dict[str, Any]) -> None:
    """See that the index of all items leads to the items, and that the tree over them has the root that is `claimed`.

    Raises:
        PackDefect: something does not fit.
    """
    leaves: list[bytes] = []
    offsets: list[bytes] = []
    before, place = "", 0
    for line in _lines(pack):
        found = id_of(line[:-1])
        if leaves and found <= before:
            raise PackDefect(ITEMS, "does not hold each item once, in the order of ids")
        offsets.append(OFFSET.pack(place))
        leaves.append(leaf_hash(line[:-1]))
        before, place = found, place + len(line)
    _same(pack, OFFSETS, iter([*offsets, OFFSET.pack(place)]))
    _same(pack, TREE, upper_levels(b"".join(leaves)))
    if claimed != {"count": len(leaves), "root_sha256": root_of(leaves).hex()}:
        raise PackDefect(ITEMS, "holds other items than the manifest says")


def root_of(leaves: list[bytes]) -> bytes:
    """The root over leaf hashes (section 2.1.1)."""
    peaks: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, node = 0, leaf
        while peaks and peaks[-1][0] == height:
            node = node_hash(peaks.pop()[1], node)
            height += 1
        peaks.append((height, node))
    result = peaks.pop()[1] if peaks else EMPTY_ROOT
    while peaks:
        result = node_hash(peaks.pop()[1], result)
    return result


def _lines(pack: Pack) -> Iterator[bytes]:
    rest = b""
    for chunk in pack.chunks(ITEMS):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(rest) > LARGEST_ITEM:
            raise PackDefect(ITEMS, "holds a line that is longer than any item")
    if rest:
        raise PackDefect(ITEMS, "ends in the middle of a line")


def _same(pack: Pack, name: str, expected: Iterator[bytes]) -> None:
    """See that a file is exactly what is `expected`, without holding both."""
    digest, size = hashlib.sha256(), 0
    for part in expected:
        digest.update(part)
        size += len(part)
    found = hashlib.sha256()
    for chunk in pack.chunks(name):
        found.update(chunk)
    if pack.size(name) != size or found.digest() != digest.digest():
        raise PackDefect(name, "does not fit the items")
