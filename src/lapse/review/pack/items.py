"""Writes a pack's items so that each can be proved by itself: the lines, where they begin, and the tree over them.

Called when a pack is sealed; `standalone_items` says what the files are and reads them. Items are taken one by one, and
of each no more than its hash is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lapse.domain.data import Json, to_data
from lapse.domain.errors import Corrupt
from lapse.domain.names import shown
from lapse.domain.reviews import Item
from lapse.ledger.standalone import leaf_hash
from lapse.review.pack.folder import PackFolder
from lapse.review.pack.standalone_items import ITEMS, LARGEST_ITEM, OFFSET, OFFSETS, TREE, root_of, upper_levels

_AT_ONCE = 1_000


def write_items(folder: PackFolder, items: Iterable[Item]) -> dict[str, Json]:
    """Write the three files; what the manifest says of the tree: `count` and `root_sha256` (hex).

    Raises:
        Corrupt: an id is there twice, or an item is too large or cannot be written as JSON.
    """
    index = _Index()
    folder.stream(ITEMS, index.lines(sorted(items, key=lambda item: item.id)))
    folder.stream(OFFSETS, index.offsets())
    leaves = b"".join(index.leaves)
    folder.stream(TREE, upper_levels(leaves))
    return {"count": len(index.leaves), "root_sha256": root_of(index.leaves).hex()}


class _Index:
    """What is remembered of the items while they go by."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self._ends: list[int] = [0]

    def lines(self, items: Iterable[Item]) -> Iterator[bytes]:
        before, batch = None, []
        for item in items:
            if item.id == before:
                raise Corrupt(f"item `{shown(item.id)}` is in the review twice", hint="adjust the review again")
            before = item.id
            line = item_line(item)
            self.leaves.append(leaf_hash(line))
            self._ends.append(self._ends[-1] + len(line) + 1)
            batch.append(line)
            if len(batch) == _AT_ONCE:
                yield b"\n".join([*batch, b""])
                batch.clear()
        yield b"\n".join([*batch, b""])

    def offsets(self) -> Iterator[bytes]:
        for start in range(0, len(self._ends), _AT_ONCE):
            yield b"".join(OFFSET.pack(end) for end in self._ends[start : start + _AT_ONCE])


def item_line(item: Item) -> bytes:
    """The item as its line: JSON in ASCII, its id first, without the newline. This is a leaf of the tree."""
    try:
        line = json.dumps(to_data(item), ensure_ascii=True, allow_nan=False).encode("ascii")
    except ValueError:
        raise Corrupt(f"item `{shown(item.id)}` holds a number that is not finite, which JSON cannot say") from None
    if len(line) >= LARGEST_ITEM:
        raise Corrupt(f"item `{shown(item.id)}` has {len(line):,} bytes, more than an item can have")
    return line
