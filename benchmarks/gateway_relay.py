"""What the gateway costs a session that is established: pgbench, COPY and a large result, beside PgBouncer.

Both stand before the same server on loopback, and clients come to both without TLS and with SCRAM. The gateway
records every statement, encrypted and on disk; PgBouncer pools sessions and records nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from _bench import AtLeast, AtMost, Row, alternate, report
from _pooler import pgbouncer

from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.gateway.pump import make_pump
from lapse.gateway.recording.recorder import FileRecorder
from support.live_gateway import KeptLog
from support.postgres import PASSWORD, TargetDatabase, protected_target
from support.postgres_front import front_of

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = 3
CLIENTS = (1, 8, 32)
MODES = ("simple", "prepared")
ROWS = 1_000_000


def main() -> None:
    """Run it and report the ratios."""
    with PrivatePostgres() as server, protected_target(server) as target, TemporaryDirectory() as folder:
        _fill(target)
        with (
            _gateway(target, Path(folder)) as ours,
            pgbouncer(target.admin_dsn, target.role("alice"), PASSWORD) as pool,
        ):
            print(f"the compiled pump is {'there' if _native() else 'not there'}; {os.cpu_count()} processors")
            rows = [row for mode in MODES for clients in CLIENTS for row in _pgbench(ours, pool, mode, clients)]
            rows += _bulk(ours, pool, Path(folder))
    report("gateway_relay", rows)


def _native() -> bool:
    async def ask() -> bool:
        return make_pump().native

    return asyncio.run(ask())


def _fill(target: TargetDatabase) -> None:
    _run(["pgbench", "-i", "-q", "-s", "1", target.admin_dsn])
    target.admin(
        f"""
        CREATE TABLE big AS SELECT n, md5(n::text) AS a, md5((n + 1)::text) AS b FROM generate_series(1, {ROWS}) AS n;
        CREATE UNLOGGED TABLE sink (LIKE big);
        GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO "{target.role("alice")}";
        """
    )
    target.admin("VACUUM ANALYZE")


@contextmanager
def _gateway(target: TargetDatabase, folder: Path) -> Iterator[str]:
    """The gateway in a thread of its own; this one only waits for clients meanwhile."""
    ready, stop, found = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        recorder: list[FileRecorder] = []

        def recorder_for(plane: object) -> FileRecorder:
            recorder.append(FileRecorder(folder / "recordings", plane, KeptLog()))  # type: ignore[arg-type]
            return recorder[0]

        async with front_of(target, recorder_for=recorder_for) as front:
            front.allow(target)
            found.append((front.dsn(), asyncio.get_running_loop()))
            ready.set()
            await stop.wait()
        await recorder[0].close()

    thread = threading.Thread(target=uvloop.run, args=[serve()])
    thread.start()
    ready.wait()
    dsn, loop = found[0]
    try:
        yield dsn
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _run(command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0]) or command[0]
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr}")
    return done


def _pgbench(ours: str, pool: str, mode: str, clients: int) -> list[Row]:
    """Throughput, and in the same runs the median time of a transaction."""
    medians: dict[str, list[float]] = {"gateway": [], "pgbouncer": []}

    def side(name: str, dsn: str) -> Callable[[], float]:
        def measure() -> float:
            with TemporaryDirectory() as logs:
                what = ["-S", "-n", "-M", mode, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(SECONDS)]
                said = _run(["pgbench", *what, "-l", "--log-prefix", f"{logs}/log", dsn]).stdout
                times = [int(line.split()[2]) for log in Path(logs).iterdir() for line in log.open()]
            medians[name].append(statistics.median(times))
            return float(next(line for line in said.splitlines() if line.startswith("tps")).split()[2])

        return measure

    rounds = alternate(ROUNDS, gateway=side("gateway", ours), pgbouncer=side("pgbouncer", pool))
    late = type(rounds)(medians)
    name = f"select, {mode}, {clients} client{'s' if clients > 1 else ''}"
    return [
        rounds.row(name, "gateway", "pgbouncer", unit="tps", goal=AtLeast(0.9)),
        late.row(f"{name}, p50", "gateway", "pgbouncer", unit="us", goal=AtMost(1.2)),
    ]


def _bulk(ours: str, pool: str, folder: Path) -> list[Row]:
    rows = folder / "rows"
    with rows.open("wb") as file:
        subprocess.run(["psql", pool, "-qXc", "COPY big TO STDOUT"], stdout=file, check=True)
    size = rows.stat().st_size / 1e6

    def timed(dsn: str, *command: str, given: Path | None = None) -> float:
        with Path(given or os.devnull).open("rb") as file:
            began = time.perf_counter()
            subprocess.run(["psql", dsn, "-qXAt", *command], stdin=file, stdout=subprocess.DEVNULL, check=True)
            return size / (time.perf_counter() - began)

    def copy_in(dsn: str) -> float:
        subprocess.run(["psql", dsn, "-qXc", "TRUNCATE sink"], check=True)
        return timed(dsn, "-c", "COPY sink FROM STDIN", given=rows)

    kinds: dict[str, Callable[[str], float]] = {
        "COPY out": lambda dsn: timed(dsn, "-c", "COPY big TO STDOUT"),
        "COPY in": copy_in,
        "large result": lambda dsn: timed(dsn, "-c", "SELECT * FROM big"),
    }
    found = []
    for name, measure in kinds.items():
        rounds = alternate(ROUNDS + 2, gateway=lambda run=measure: run(ours), pgbouncer=lambda run=measure: run(pool))
        found.append(rounds.row(name, "gateway", "pgbouncer", unit="MB/s", goal=AtLeast(0.95)))
    return found


if __name__ == "__main__":
    main()
