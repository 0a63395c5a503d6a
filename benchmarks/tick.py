"""Does a tick of the enforcer cost more when more grants exist? With 100 and with 100,000 active grants, one due."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _bench import AtMost, Rounds, report
from _lapse import active_grant, catalog, now, parts, sqlite_store

from fakes.connector import FakeConnector
from lapse.enforcement.enforcer import Enforcer
from lapse.ports import Store

SMALL, LARGE, ROUNDS = 100, 100_000, 60
PEOPLE = [f"user{number:05d}" for number in range(100)]


def main() -> None:
    """Alternate idle ticks, and ticks with one grant due, over both stores."""
    measured = asyncio.run(_run())
    rounds = Rounds({name: times[10:] for name, times in measured.items()})
    report(
        "tick",
        [
            rounds.row("idle tick, 100,000 active grants", "idle large", "idle small", goal=AtMost(1.5)),
            rounds.row("tick that ends one grant, 100,000 active", "due large", "due small", goal=AtMost(1.5)),
        ],
    )


async def _run() -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        stores = {name: await stack.enter_async_context(sqlite_store(catalog(PEOPLE))) for name in ("small", "large")}
        await _fill(stores["small"], SMALL)
        await _fill(stores["large"], LARGE)
        enforcers = {name: Enforcer(parts(store, FakeConnector())) for name, store in stores.items()}
        for turn in range(ROUNDS):
            for name in sorted(stores, reverse=bool(turn % 2)):
                measured.setdefault(f"idle {name}", []).append(await _timed_tick(enforcers[name], 0))
                await _add_due(stores[name], turn)
                measured.setdefault(f"due {name}", []).append(await _timed_tick(enforcers[name], 1))
    return measured


async def _fill(store: Store, count: int) -> None:
    later = now() + timedelta(hours=8)
    grants = [active_grant(n, f"account{n:06d}", later + timedelta(seconds=n)) for n in range(count)]
    for start in range(0, count, 10_000):
        chunk = grants[start : start + 10_000]
        await store.write(lambda tx, chunk=chunk: tx.add_grants(chunk))  # type: ignore[misc]


async def _add_due(store: Store, turn: int) -> None:
    due = active_grant(10_000_000 + turn, f"due{turn}", now())
    await store.write(lambda tx: tx.add_grants([due]))


async def _timed_tick(enforcer: Enforcer, expected: int) -> float:
    started = time.perf_counter()
    worked_on = await enforcer.tick()
    seconds = time.perf_counter() - started
    if worked_on != expected:
        raise RuntimeError(f"the tick worked on {worked_on} grants, not {expected}")
    return seconds


if __name__ == "__main__":
    main()
