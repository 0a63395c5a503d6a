"""A sample of items for an auditor: chosen by the seed alone, so that anybody can draw the same one again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from lapse.domain.errors import InvalidInput
from lapse.domain.reviews import Item


def sample(items: Iterable[Item], size: int, seed: str) -> tuple[Item, ...]:
    """The `size` items with the smallest SHA-256 of `seed`, a zero byte and their id, in that order (all, if fewer).

    Each subset of that size is as likely as any other, whatever the order of `items`.

    Raises:
        InvalidInput: the size is not positive, or the seed is empty.
    """
    if size < 1 or not seed:
        raise InvalidInput("a sample needs a size of at least 1 and a seed", hint="write both down with the sample")
    return tuple(sorted(items, key=lambda item: (draw(item.id, seed), item.id))[:size])


def draw(item_id: str, seed: str) -> str:
    """What an item is ordered by: SHA-256 (hex) over seed, zero byte, id."""
    return hashlib.sha256(f"{seed}\0{item_id}".encode()).hexdigest()
