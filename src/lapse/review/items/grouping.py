"""Items that are one question, so that one decision covers them. Pure; called by `validate`.

What an account holds through one and the same role is one question: take that role away, and all of it is gone. What
one person holds alike on resources alike (the same role, held, used and recommended alike, of the same owner and tags)
is one question too. Everything else is asked one by one: a group never hides a difference that matters.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lapse.domain.reviews import Finding, Item
from lapse.review.items.holdings import INHERITED, Holding


def grouped(items: Sequence[Item], held: Sequence[Holding], findings: Sequence[Sequence[Finding]]) -> list[Item]:
    """`items` with their groups; `held` and `findings` are what each of them is about, in the same order."""
    keys = [_key(*parts) for parts in zip(items, held, findings, strict=True)]
    sizes = Counter(keys)
    return [replace(item, group=_name(key) if sizes[key] > 1 else "") for item, key in zip(items, keys, strict=True)]


def _key(item: Item, held: Holding, findings: Iterable[Finding]) -> tuple[str, ...]:
    if held.holding == INHERITED and held.via:
        return (INHERITED, held.resource, held.account, held.via[0])
    return (
        item.holding,
        item.principal or f"{held.resource}/{held.account}",
        item.role,
        item.usage,
        item.recommendation,
        held.owner,
        held.tags,
        *sorted({finding.detector for finding in findings}),
    )


def _name(key: tuple[str, ...]) -> str:
    return f"grp_{hashlib.sha256(chr(31).join(key).encode()).hexdigest()[:16]}"
