"""The HTTP API in process, on a durable SQLite store with a fake target: create a request, approve and activate it.

Latency of one client at a time, and requests per second with 1, 8 and 32 clients that share durable commits.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx
from _bench import AtMost, Rounds, Row, percentile, report, row
from _lapse import ADMIN, POLICY, catalog

from fakes.connector import FakeConnector
from lapse.bootstrap.app import App, open_app
from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.setup import set_up
from lapse.control.catalogs import apply
from lapse.control.policies import activate_policy
from lapse.control.targets import add_target
from lapse.entrypoints.api.app import create_api

PEOPLE = [f"user{number:03d}" for number in range(64)]
SINGLE, CROWD, ROUNDS = 200, 320, 3


class Activations:
    """Counts activations that are on record, and lets one wait for the next."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def on_step(self, name: str) -> None:
        """Called by the enforcer."""
        if name == "activate.recorded":
            self._changed.set()

    async def next(self) -> None:
        """Return after the next activation."""
        await self._changed.wait()
        self._changed.clear()


def main() -> None:
    """Run everything and report it."""
    report("api", asyncio.run(_run()))


async def _run() -> list[Row]:
    activations = Activations()
    async with _serving(activations) as (app, client):
        created, activated = await _one_at_a_time(client, activations)
        rates: dict[str, list[float]] = {"1 client": [], "8 clients": [], "32 clients": []}
        for turn in range(ROUNDS):
            for clients in (1, 8, 32) if turn % 2 == 0 else (32, 8, 1):
                name = f"{clients} client" + ("s" if clients > 1 else "")
                rates[name].append(await _crowd(client, clients))
        await app.enforcer.tick()
    rounds = Rounds(rates)
    return [
        row("request create, p50", [percentile(created, 0.5)], "ms", goal=AtMost(6)),
        row("request create, p99", [percentile(created, 0.99)], "ms"),
        row("approve plus activate, p50", [percentile(activated, 0.5)], "ms", goal=AtMost(12)),
        row("approve plus activate, p99", [percentile(activated, 0.99)], "ms"),
        row("requests created, 1 client", rates["1 client"], "1/s"),
        rounds.row("requests created, 8 clients", "8 clients", "1 client", unit="1/s"),
        rounds.row("requests created, 32 clients", "32 clients", "1 client", unit="1/s"),
    ]


@asynccontextmanager
async def _serving(activations: Activations) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        await set_up(home, Settings(local_users=True))
        fake = FakeConnector()
        async with open_app(home, connect=lambda *_: fake, on_step=activations.on_step) as app:
            await apply(app.control, ADMIN, catalog(PEOPLE))
            await activate_policy(app.control, ADMIN, {"policy.yaml": POLICY})
            await add_target(app.control, ADMIN, "pg-prod", f"file:{_dsn_file(folder)}")
            await app.targets.refresh(app.store)
            stop = asyncio.Event()
            running = asyncio.create_task(app.enforcer.run(stop))
            transport = httpx.ASGITransport(create_api(app), client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7380/api/v1") as client:
                yield app, client
            stop.set()
            await running


def _dsn_file(folder: str) -> Path:
    path = Path(folder) / "dsn"
    path.write_text("postgresql://nobody@127.0.0.1/nothing", encoding="utf-8")
    return path


async def _one_at_a_time(client: httpx.AsyncClient, activations: Activations) -> tuple[list[float], list[float]]:
    created, activated = [], []
    for turn in range(SINGLE):
        started = time.perf_counter()
        request = await _create(client, PEOPLE[turn % len(PEOPLE)])
        created.append(1000 * (time.perf_counter() - started))
        started = time.perf_counter()
        body = {"verdict": "approve"}
        answer = await client.post(f"/requests/{request['id']}/decisions", json=body, headers={"Lapse-As": "approver1"})
        answer.raise_for_status()
        await activations.next()
        activated.append(1000 * (time.perf_counter() - started))
    return created[20:], activated[20:]


async def _crowd(client: httpx.AsyncClient, clients: int) -> float:
    """Requests a second with so many clients, each asking one after the other, for everybody in turn.

    Nobody has so many requests waiting that no more are taken.
    """
    people = cycle(PEOPLE)

    async def one() -> None:
        for _ in range(CROWD // clients):
            await _create(client, next(people))

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return CROWD / (time.perf_counter() - started)


async def _create(client: httpx.AsyncClient, who: str) -> dict[str, Any]:
    body = {"entitlement": "pg-prod/reader", "duration": "2h", "justification": "a benchmark of one request"}
    answer = await client.post("/requests", json=body, headers={"Lapse-As": who})
    answer.raise_for_status()
    request: dict[str, Any] = answer.json()
    return request


if __name__ == "__main__":
    main()
