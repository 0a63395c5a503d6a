"""Mixed load with kills and revokes for `MINUTES` (10): is anything left behind, lost, or alive past its deadline?

`lapse serve` as its users run it, with a store on disk and a real PostgreSQL. `CLIENTS` (8) come and go, ask, copy and
are cut; all the while access ends by its deadline, by a revoke or by a kill, and new access is granted.
"""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from _bench import AtMost, Row, report, row

from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from support.gateway_company import dsn_of, furnished, granted, sessions
from support.postgres import protected_target
from support.program import Program, Serving, wait_for

MINUTES = float(os.environ.get("MINUTES", "10"))
CLIENTS = int(os.environ.get("CLIENTS", "8"))
ROUND_SECONDS = 15
"""How long one access lasts: it ends by its deadline, unless it is revoked or its sessions are killed before."""
MOST_LISTED = 10_000
WARM = 0.2
"""Share of the time after which memory and descriptors should grow no more."""
GOODBYE_SECONDS = 1.0
"""How long after its deadline a session may be open on record: it was cut, and is being closed and written down."""


@dataclass
class Load:
    """What the clients do, and what they were told was done."""

    dsn: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    answered: int = 0
    copied: int = 0
    cut: int = 0
    refused: int = 0

    def client(self) -> None:
        """Come, work, go or be cut, until `stop`."""
        while not self.stop.is_set():
            if not self.dsn:
                time.sleep(0.05)
                continue
            try:
                with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
                    self._work(connection)
            except psycopg.OperationalError as error:
                with self.lock:
                    if "your access" in str(error) or "cut" in str(error) or "closed" in str(error):
                        self.cut += 1
                    else:
                        self.refused += 1
                time.sleep(0.05)

    def _work(self, connection: psycopg.Connection) -> None:
        for step in range(random.randint(1, 400)):
            if self.stop.is_set():
                return
            if step % 50 == 49:
                with connection.cursor().copy("COPY (SELECT generate_series(1, 2000)) TO STDOUT") as rows:
                    copied = sum(1 for _ in rows)
                with self.lock:
                    self.answered, self.copied = self.answered + 1, self.copied + copied
            else:
                connection.execute("SELECT item, %s::int FROM orders", [step], prepare=step % 3 == 0)
                with self.lock:
                    self.answered += 1
            time.sleep(0.002)


def main() -> None:
    """Run it, and count what must not be."""
    with PrivatePostgres() as server, protected_target(server) as target, TemporaryDirectory() as home:
        program = furnished(Path(home) / "home", target, postgresql="127.0.0.1:0", drain="PT1S")
        with program.serve() as serving:
            rows = _soaked(program, serving)
    report("gateway_soak", rows)


def _soaked(program: Program, serving: Serving) -> list[Row]:
    load = Load()
    clients = [threading.Thread(target=load.client) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        rounds, looks = _rounds(program, serving, load)
    finally:
        load.stop.set()
        for client in clients:
            client.join()
    wait_for(lambda: not sessions(program, "--live"), seconds=30)
    (memory_then, files_then), (memory_now, files_now) = looks
    return [
        row(f"minutes, with {rounds} grants and {load.cut} cuts of clients", [MINUTES], "min"),
        row("statements answered", [load.answered], ""),
        *_records(program, load),
        row("memory at the end, of that when warm", [memory_now / memory_then], "x", goal=AtMost(1.2)),
        row("open files more than when warm", [files_now - files_then], "", goal=AtMost(2)),
    ]


def _rounds(program: Program, serving: Serving, load: Load) -> tuple[int, list[tuple[int, int]]]:
    """Access after access, each with another end; what the process held when warm, and at the end."""
    began, looks = time.monotonic(), []
    for count, end in enumerate(cycle(["deadline", "revoke", "kill"]), start=1):
        load.dsn = ""
        grant = granted(program, f"{ROUND_SECONDS}s")
        load.dsn = dsn_of(program)
        time.sleep(ROUND_SECONDS / 3)
        if end == "revoke":
            program.run("grant", "revoke", grant, "--reason", "soak", "--yes")
        elif end == "kill":
            for session in sessions(program, "--live"):
                program.run("session", "kill", str(session["id"]), "--reason", "soak", "--yes", expect=None)
        wait_for(lambda grant=grant: program.data("grant", "show", grant)["state"] == "ended", seconds=60)
        passed = (time.monotonic() - began) / 60 / MINUTES
        if not looks and passed >= WARM:
            looks.append(_held(serving.process.pid))
        if passed >= 1:
            load.dsn = ""
            return count, [*looks, _held(serving.process.pid)]
    raise AssertionError("there is always another round")


def _held(pid: int) -> tuple[int, int]:
    """Resident bytes and open descriptors."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _records(program: Program, load: Load) -> list[Row]:
    """What is on record of all sessions, beside what the clients saw."""
    found = sessions(program, "--limit", str(MOST_LISTED))
    if len(found) == MOST_LISTED:
        raise SystemExit("more sessions than can be listed: fewer CLIENTS or MINUTES")
    on_record = sum(one["use"]["statements"] for one in found)  # type: ignore[index]
    late = [
        (datetime.fromisoformat(str(one["ended_at"])) - datetime.fromisoformat(str(one["deadline"]))).total_seconds()
        for one in found
    ]
    return [
        row("sessions", [len(found)], ""),
        row("statements answered that are not on record", [max(0, load.answered - on_record)], "", goal=AtMost(0)),
        row("sessions without a whole recording", [sum(not one["recorded"] for one in found)], "", goal=AtMost(0)),
        row("sessions past their deadline", [sum(one > GOODBYE_SECONDS for one in late)], "", goal=AtMost(0)),
        row("latest end of a session after its deadline", [max(late)], "s"),
    ]
