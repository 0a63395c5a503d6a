"""Chance that comes out the same each time: a stream of its own for each purpose, made of the seed and a name.

Guarantee: what one part draws does not depend on how much another part drew, nor on the process it runs in.
Called by everything in this package; the figures that are drawn with it are in `docs/simulation.md`.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
Stream = random.Random


class Chance:
    """Streams of numbers by name, all of them fixed by `seed`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Stream] = {}

    def stream(self, name: str) -> Stream:
        """The stream called `name`; the same one each time."""
        if name not in self._streams:
            digest = hashlib.sha256(f"{self._seed}/{name}".encode()).digest()
            self._streams[name] = random.Random(digest)  # noqa: S311  a made-up world, not a secret
        return self._streams[name]


def lognormal(chance: Stream, median: float, sigma: float) -> float:
    """A value whose logarithm is normal: half of them are below `median`."""
    return median * math.exp(chance.gauss(0.0, sigma))


def poisson(chance: Stream, mean: float) -> int:
    """How often something happens that happens `mean` times on average (Knuth's method; `mean` below 500)."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def ranked(chance: Stream, things: Sequence[T], exponent: float = 1.0) -> list[tuple[T, float]]:
    """`things` in a random order, each with the weight that Zipf's law gives its rank."""
    order = list(things)
    chance.shuffle(order)
    return [(thing, 1.0 / (rank + 1) ** exponent) for rank, thing in enumerate(order)]


def pick(chance: Stream, weighted: Sequence[tuple[T, float]]) -> T:
    """One thing, as likely as its weight says."""
    return chance.choices([thing for thing, _ in weighted], weights=[weight for _, weight in weighted])[0]
