"""The tree over the entries: roots, inclusion proofs and consistency proofs (RFC 9162, section 2.1).

Guarantee: what is computed here is what the RFC defines, from any source of inner nodes; a proof that does not
hold raises `Corrupt`. A node is named by (height, index): the root of the perfect subtree over the leaves
index * 2^height up to (index + 1) * 2^height. Called by the sequencer, the verifier and whoever exports evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.ledger.standalone import (
    EMPTY_ROOT,
    Checkpoint,
    leaf_hash,
    node_hash,
    proves_consistency,
    proves_inclusion,
)

__all__ = [
    "EMPTY_ROOT",
    "NodeReader",
    "Range",
    "check_consistency",
    "check_inclusion",
    "consistency_path",
    "consistency_ranges",
    "inclusion_path",
    "inclusion_ranges",
    "leaf_hash",
    "node_hash",
    "perfect_subtrees",
    "root",
]

NodeReader: TypeAlias = Callable[[int, int], bytes]
Range: TypeAlias = tuple[int, int]


def root(size: int, node: NodeReader) -> bytes:
    """The tree head of the first `size` leaves (section 2.1.1)."""
    return range_hash((0, size), node) if size else EMPTY_ROOT


def inclusion_path(seq: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """The proof that leaf `seq` is in the tree of `size` leaves (section 2.1.3.1).

    Raises:
        InvalidInput: there is no such leaf in that tree.
    """
    return tuple(range_hash(part, node) for part in inclusion_ranges(seq, size))


def consistency_path(old: int, new: int, node: NodeReader) -> tuple[bytes, ...]:
    """The proof that the tree of `new` leaves begins with the tree of `old` leaves (section 2.1.4.1).

    Raises:
        InvalidInput: `old` is larger than `new`.
    """
    return tuple(range_hash(part, node) for part in consistency_ranges(old, new))


def check_inclusion(leaf: bytes, seq: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Return if `proof` shows that entry `seq` under `checkpoint` has the hash `leaf` (section 2.1.3.2).

    Raises:
        Corrupt: it does not.
    """
    if not proves_inclusion(leaf, seq, checkpoint.size, proof, checkpoint.root):
        raise Corrupt(f"entry {seq} is not proved to be in the ledger of {checkpoint.size} entries")


def check_consistency(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Return if `proof` shows that the ledger under `new` continues the one under `old` (section 2.1.4.2).

    Raises:
        Corrupt: it does not.
    """
    if not proves_consistency(old, new, proof):
        raise Corrupt(f"the ledger of {new.size} entries is not proved to continue the one of {old.size} entries")


def inclusion_ranges(seq: int, size: int) -> list[Range]:
    """The leaf ranges whose hashes make the inclusion proof, from the leaf upwards (PATH of section 2.1.3.1)."""
    if not 0 <= seq < size:
        raise InvalidInput(f"a ledger of {size} entries has no entry {seq}", hint="entries count from 0")
    start, end = 0, size
    ranges: list[Range] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if seq < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The leaf ranges whose hashes make the consistency proof (SUBPROOF of section 2.1.4.1)."""
    if not 0 <= old <= new:
        raise InvalidInput(
            f"a ledger of {new} entries cannot continue one of {old}", hint="give the smaller size first"
        )
    start, end = 0, new
    ranges: list[Range] = []
    while old not in {start, end}:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def perfect_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The nodes (height, index) that cover a range of section 2.1, widest first."""
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def range_hash(part: Range, node: NodeReader) -> bytes:
    """MTH of the leaves of a range that section 2.1 splits off: its subtrees, folded from the right."""
    *left, result = [node(height, index) for height, index in perfect_subtrees(*part)]
    for hash_ in reversed(left):
        result = node_hash(hash_, result)
    return result


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
