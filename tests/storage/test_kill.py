"""Real processes: killed in the middle of group commits, and two that decide about the same request at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest

from lapse.ledger.canonical import decode
from lapse.ports import Page
from lapse.storage import open_store
from support.stores import NOW, a_request, ids, opened

ALL = Page(limit=1_000_000, newest_first=False)

PREAMBLE = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from lapse.domain.requests import RequestEvent, RequestState
from lapse.storage import open_store
from support.stores import NOW, a_decision, a_grant, an_active_grant, an_entry
"""

WRITERS = (
    PREAMBLE
    + """
async def writer(store, name):
    for number in range(1_000_000):
        key = f"{name}-{number:06}"
        async def add(tx):
            await tx.add_grants([a_grant(key)])
            await tx.append([an_entry(subject=key, kind="grant.created")])
        async def save(tx):
            grant = await tx.grant(key)
            await tx.save_grants([grant.begun(account="a", held_before=False, ends_at=NOW)])
            await tx.append([an_entry(subject=key, kind="grant.begun")])
        await store.write(add)
        print(key, flush=True)
        await store.write(save)
        print(key + " begun", flush=True)

async def sequencer(store):
    while True:
        size = await store.ledger.size()
        pending = await store.ledger.pending(50)
        tiles = {(0, 0): str(size + len(pending)).encode()}
        await store.ledger.commit_batch(size, [key for key, _ in pending], tiles, b"n")

async def main():
    store = await open_store(sys.argv[2])
    await asyncio.gather(sequencer(store), *(writer(store, f"w{n}") for n in range(8)))

asyncio.run(main())
"""
)

APPROVER = (
    PREAMBLE
    + """
async def main():
    store = await open_store(sys.argv[2])
    person = sys.argv[3]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(40):
        key = f"req_{number}"
        async def approve(tx):
            request = await tx.request(key)
            votes = await tx.decisions(key)
            await tx.add_decision(a_decision(f"{key}_{person}", key, person))
            await tx.append([an_entry(subject=key, kind="request.decided")])
            if len(votes) == 1:
                await tx.save_request(request.after(RequestEvent.APPROVE, at=NOW))
                await tx.add_grants([a_grant(f"gra_{number}", request_id=key)])
        await store.write(approve)
    await store.close()

asyncio.run(main())
"""
)


async def start(pytestconfig, code, *arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        str(pytestconfig.rootpath / "tests"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("lines", [1, 40, 133, 400])
async def test_after_kill_nine_everything_acknowledged_is_there_and_the_ledger_agrees(tmp_path, pytestconfig, lines):
    url = f"sqlite:///{tmp_path / 'lapse.db'}"
    await (await open_store(url)).close()
    process = await start(pytestconfig, WRITERS, url)
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(lines)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line for line in (await process.stdout.read()).decode().split("\n")[:-1] if line]
    await process.wait()

    async with opened("sqlite", tmp_path) as store:
        grants = {grant.id: grant for grant in await store.read(lambda r: r.grants(ALL))}
        entries = await recorded(store)
        tile = (await store.ledger.tiles([(0, 0)])).get((0, 0))
        assert int(tile or 0) == await store.ledger.size() == len(await store.ledger.entries(0, 10**6))
    for line in acknowledged:
        key, _, begun = line.partition(" ")
        assert key in grants
        assert grants[key].version == 1 or not begun
    expected = [(key, "grant.created") for key in grants]
    expected += [(key, "grant.begun") for key, grant in grants.items() if grant.version == 1]
    assert sorted(entries) == sorted(expected), "each change and its entry are there together, once"
    with closing(sqlite3.connect(tmp_path / "lapse.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def recorded(store):
    bodies = [body for _, body in await store.ledger.entries(0, 10**6)]
    bodies += [body for _, body in await store.ledger.pending(10**6)]
    return [(entry.subject, entry.type) for entry in map(decode, bodies)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_two_processes_that_decide_at_once_lose_nothing(kind, tmp_path, request, pytestconfig):
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else f"sqlite:///{tmp_path / 'lapse.db'}"
    async with opened(kind, tmp_path, url) as store:

        async def requests(tx):
            for number in range(40):
                await tx.add_request(a_request(f"req_{number}"))

        await store.write(requests)
        processes = [await start(pytestconfig, APPROVER, url, person) for person in ("bob", "cat")]
        for process in processes:
            assert await process.stdout.readline() == b"ready\n"
        for process in processes:
            process.stdin.write(b"go\n")
        assert [await process.wait() for process in processes] == [0, 0]
        assert len(await ids(store, lambda r: r.grants(ALL))) == 40
        states = {request.state for request in await store.read(lambda r: r.requests(ALL))}
        assert states == {"approved"}
        assert len(await store.ledger.pending(1000)) == 80


CRASHER = (
    PREAMBLE
    + """
async def main():
    store = await open_store(sys.argv[2])
    await store.write(lambda tx: tx.add_grants([a_grant()]))
    await store.read(lambda r: r.grant("gra_1"))
    raise SystemExit(7)

asyncio.run(main())
"""
)


async def test_a_process_that_fails_without_closing_its_store_ends(tmp_path, pytestconfig):
    process = await start(pytestconfig, CRASHER, f"sqlite:///{tmp_path / 'lapse.db'}")
    async with asyncio.timeout(30):
        assert await process.wait() == 7
    async with opened("sqlite", tmp_path) as store:
        assert await ids(store, lambda r: r.grants(ALL)) == ["gra_1"]


def test_values_never_reach_a_log(tmp_path, caplog):
    async def use():
        async with opened("sqlite", tmp_path) as store:
            await store.write(lambda tx: tx.record_reply("key", "hash", "a-secret", NOW))
            await store.read(lambda r: r.idempotent_reply("key"))

    with caplog.at_level("DEBUG"):
        asyncio.run(use())
    assert "a-secret" not in caplog.text
