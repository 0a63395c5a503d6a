"""The ledger beside plain SQLite: appending (bytes, hash, tree, durable insert, in batches), and verifying it all."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from _bench import AtLeast, Rounds, Row, report, row
from _lapse import now

from lapse.bootstrap.memory import tune_memory
from lapse.bootstrap.threads import tune_threads
from lapse.control.ledger_proofs import verify_stored_ledger
from lapse.control.sequencer import Sequencer
from lapse.enforcement.clock import SystemClock
from lapse.ledger.canonical import encode
from lapse.ledger.checkpoint import key_of
from lapse.ledger.entry import Entry
from lapse.storage.keyring import Keyring
from lapse.storage.opening import migrate, open_store

ENTRIES, BATCH, ROUNDS = 40_000, 2_000, 5


def main() -> None:
    """Alternate both ways of appending, then verify what was appended."""
    tune_memory()
    tune_threads()
    measured: dict[str, list[float]] = {"lapse": [], "plain": []}
    verified: list[float] = []
    entries = _entries()
    for turn in range(ROUNDS):
        for side in ("lapse", "plain") if turn % 2 == 0 else ("plain", "lapse"):
            with tempfile.TemporaryDirectory() as folder:
                if side == "plain":
                    measured[side].append(ENTRIES / _plain(Path(folder), [encode(entry) for entry in entries]))
                else:
                    seconds, rate = asyncio.run(_lapse(Path(folder), entries))
                    measured[side].append(ENTRIES / seconds)
                    verified.append(rate)
    rounds = Rounds(measured)
    report(
        "ledger",
        [_append_row(rounds), row("verification, read from the store", verified, "entries/s", goal=AtLeast(200_000))],
    )


def _append_row(rounds: Rounds) -> Row:
    return rounds.row("append, sequenced and signed", "lapse", "plain", unit="entries/s", goal=AtLeast(0.5))


def _entries() -> list[Entry]:
    at = now()
    return [
        Entry(
            type="grant.ended",
            at=at,
            actor="system:enforcer",
            subject=f"gra_{number:026d}",
            before={"state": "revoking"},
            after={"state": "ended", "ended_at": "2026-03-02T10:00:00.000000Z"},
            policy_version="sha256:" + "0" * 64,
            context={"proof": ["catalog: `user` is no member of `app_reader`, direct or nested"], "sessions_cut": 0},
        )
        for number in range(ENTRIES)
    ]


def _plain(folder: Path, bodies: list[bytes]) -> float:
    """The same bytes into a table, durable, in the same batches."""
    with sqlite3.connect(folder / "plain.db", isolation_level=None) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        started = time.perf_counter()
        for start in range(0, len(bodies), BATCH):
            db.execute("BEGIN")
            chunk = [(body,) for body in bodies[start : start + BATCH]]
            db.executemany("INSERT INTO entries (body) VALUES (?)", chunk)
            db.execute("COMMIT")
        seconds = time.perf_counter() - started
    db.close()
    return seconds


async def _lapse(folder: Path, entries: list[Entry]) -> tuple[float, float]:
    """Seconds to append and sequence everything, and entries verified a second."""
    url = f"sqlite:///{folder / 'lapse.db'}"
    await migrate(url)
    store = await open_store(url)
    keyring = Keyring.open(folder / "keys", "benchmark.example/ledger")
    sequencer = Sequencer(store.ledger, keyring.signer, SystemClock())
    # Connections are opened when they are first needed; the other side has its own open too before the clock starts.
    await store.write(lambda tx: tx.append([]))
    await sequencer.run_once()
    stop, wake = asyncio.Event(), asyncio.Event()
    sealing = asyncio.create_task(sequencer.run(stop, wake))
    started = time.perf_counter()
    for start in range(0, len(entries), BATCH):
        chunk = entries[start : start + BATCH]
        await store.write(lambda tx, chunk=chunk: tx.append(chunk))  # type: ignore[misc]
        wake.set()
    while await store.ledger.size() < len(entries):
        await asyncio.sleep(0.002)
    seconds = time.perf_counter() - started
    stop.set()
    await sealing
    started = time.perf_counter()
    result = await verify_stored_ledger(store.ledger, [key_of(keyring.signer)])
    rate = len(entries) / (time.perf_counter() - started)
    await store.close()
    if not result.ok or result.size != len(entries):
        raise RuntimeError(f"the ledger does not verify: {result}")
    return seconds, rate


if __name__ == "__main__":
    main()
