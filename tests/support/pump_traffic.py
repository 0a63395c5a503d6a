"""Random traffic for pumps: what a fuzz test sends through both of them, and all that can be seen of what they did.

Run as a program with the path of a library, it sends traffic through that one and the twin, and compares.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lapse.gateway.pump import Ended, FlowEnd, Pump
from lapse.gateway.pump.native import NativePump
from lapse.gateway.pump.twin import TwinPump
from lapse.protocols.pieces import Direction
from lapse.protocols.postgres.framing import message
from support.pumping import FAREWELLS, NOTICE, attached

KINDS = {Direction.CLIENT: b"BBBCDEFFHPQSXcdf", Direction.SERVER: b"123ACDDDEGHINSTVZcdnst"}


@dataclass(frozen=True)
class Case:
    """One direction of one session, cut into chunks; `cut` is after how many of them the session is cut, if it is."""

    direction: Direction
    chunks: list[bytes]
    redact: bool
    cut: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What could be seen from outside."""

    passed: bytes
    answered: bytes
    kept: bytes
    ended: Ended

    def like(self, other: Outcome) -> bool:
        """Whether both are as they must be. How much passes of a message that turns out bad depends on its chunks."""
        if (self.answered, self.kept, self.ended.end) != (other.answered, other.kept, other.ended.end):
            return False
        if self.ended.end in {FlowEnd.BAD_CLIENT, FlowEnd.BAD_SERVER}:
            return self.passed.startswith(other.passed) or other.passed.startswith(self.passed)
        return (self.passed, self.ended) == (other.passed, other.ended)


def random_body(rng: random.Random) -> bytes:
    """Often short, sometimes longer than a buffer, often with names at its beginning."""
    size = rng.choice([0, 1, 3, 4, 5, 20, 200, 5_000, 8_190, 8_191, 8_192, 8_193, 20_000, 200_000])
    size = rng.randint(0, size) if rng.random() < 0.5 else size
    names = rng.choice([b"", b"\0\0", b"portal\0name\0", b"p" * rng.randint(0, 9000) + b"\0n\0"])
    return (names + rng.randbytes(16) * (size // 16 + 1))[:size]


def random_case(seed: int, *, cuts: bool = False) -> Case:
    """The same for the same seed. One stream in three ends in something that may not be there."""
    rng = random.Random(seed)  # noqa: S311  traffic, not secrets
    direction = rng.choice(list(Direction))
    kinds = KINDS[direction]
    stream = b"".join(message(bytes([rng.choice(kinds)]), random_body(rng)) for _ in range(rng.randint(1, 12)))
    if rng.random() < 0.33:
        stream += rng.choice(
            [rng.randbytes(rng.randint(1, 40)), b"W\0\0\0\4", b"Q\0\0\0\3", b"D\x7f\xff\xff\xff", b"Z"]
        )
    stream = stream[: rng.randint(0, len(stream))] if rng.random() < 0.3 else stream
    chunks = cut_up(stream, rng)
    return Case(direction, chunks, rng.random() < 0.5, rng.randint(0, len(chunks)) if cuts else None)


def cut_up(stream: bytes, rng: random.Random) -> list[bytes]:
    """Into at most 40 chunks, some of one byte."""
    places = {rng.randint(0, len(stream)) for _ in range(rng.randint(0, 20))}
    places |= {place + rng.randint(1, 6) for place in list(places)}
    edges = sorted({0, len(stream), *(place for place in places if place < len(stream))})
    return [stream[begin:end] for begin, end in itertools.pairwise(edges)]


async def outcome(pump: Pump, case: Case) -> Outcome:
    """Send a case through `pump`."""
    session = await attached(pump, redact=case.redact)
    near, far = session.client, session.server
    if case.direction is Direction.SERVER:
        near, far = far, near
    getting = asyncio.create_task(far.rest())
    with suppress(ConnectionError):
        for number, chunk in enumerate(case.chunks):
            if number == case.cut:
                session.flow.insert(NOTICE)
                session.flow.cut(FAREWELLS.deadline)
            await near.send(chunk)
            await asyncio.sleep(0)
    with suppress(OSError):
        near.half_close()
    answered = asyncio.create_task(near.rest())
    passed = await getting
    with suppress(OSError):
        far.half_close()
    ended = await session.ended()
    outcome = Outcome(passed, await answered, session.recording.stream(case.direction), ended)
    session.close()
    return outcome


async def differences(pump: Pump, seeds: range) -> list[tuple[int, Any]]:
    """Seeds whose traffic did not come out of `pump` as it comes out of the twin."""
    twin, found = TwinPump(), []
    for seed in seeds:
        case = random_case(seed)
        theirs, ours = await outcome(twin, case), await outcome(pump, case)
        if not ours.like(theirs):
            found.append((seed, (theirs, ours)))
    await twin.close()
    return found


async def main(library: str) -> int:
    """How many seeds differ; sessions that are cut at any moment are only survived."""
    pump = NativePump(Path(library))
    found = await differences(pump, range(1_000, 1_060))
    for seed in range(60):
        await outcome(pump, random_case(seed, cuts=True))
    await pump.close()
    sys.stdout.write(f"{len(found)} differ: {[seed for seed, _ in found]}\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
