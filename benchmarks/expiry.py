"""Ten thousand memberships on one real PostgreSQL that end at the same instant, and 200 live sessions cut in one batch.

Beside them: the same revocation as a hand-written script of statements with 100 grantees each, run by psql.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
from _bench import AtMost, Rounds, Row, percentile, report, row
from _lapse import LAPSE_PASSWORD, active_grant, catalog, now, parts, prepare, sqlite_store

from lapse.bootstrap.memory import tune_memory
from lapse.bootstrap.threads import tune_threads
from lapse.connectors import connect
from lapse.domain.grants import GrantState
from lapse.enforcement.enforcer import Enforcer
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.ports import Connector, Page, Store

MEMBERSHIPS, SESSIONS, ROUNDS, GRANTEES = 10_000, 200, 5, 100
LOGINS = [f"user{number:05d}" for number in range(MEMBERSHIPS)]


def main() -> None:
    """Run both parts and report them."""
    tune_memory()
    tune_threads()
    with PrivatePostgres(durable=True) as server:
        dsn = prepare(server, LOGINS)
        rows = [*asyncio.run(_memberships(server, dsn)), *asyncio.run(_sessions(server, dsn))]
    report("expiry", rows)


async def _memberships(server: PrivatePostgres, dsn: str) -> list[Row]:
    measured: dict[str, list[float]] = {"psql": [], "sql": [], "whole": []}
    lateness: list[float] = []
    connector = connect("postgresql", "pg-prod", dsn)
    sides = (_psql, _statements_only, _lapse)
    for turn in range(ROUNDS):
        for side in sides if turn % 2 == 0 else reversed(sides):
            _grant_all(server, LOGINS)
            await side(server, connector, measured, lateness)
            _require_none_left(server)
    await connector.close()
    rounds = Rounds(measured)
    late_ms = [1000 * seconds for seconds in lateness]
    return [
        rounds.row("revoking SQL, 10,000 memberships", "sql", "psql", goal=AtMost(2.0)),
        rounds.row("whole: revoked, read back, in the ledger", "whole", "psql", goal=AtMost(6.0)),
        row("lateness p50 (target refuses after the deadline)", [percentile(late_ms, 0.5)], "ms"),
        row("lateness p99", [percentile(late_ms, 0.99)], "ms"),
    ]


async def _psql(
    server: PrivatePostgres, _connector: Connector, measured: dict[str, list[float]], _lateness: list[float]
) -> None:
    lines = [f"REVOKE app_reader FROM {', '.join(LOGINS[i : i + GRANTEES])};" for i in range(0, MEMBERSHIPS, GRANTEES)]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\n".join(["BEGIN;", *lines, "COMMIT;"]))
        script.flush()
        started = time.perf_counter()
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", script.name, server.dsn()], check=True)
        measured["psql"].append(time.perf_counter() - started)


async def _statements_only(
    _server: PrivatePostgres, connector: Connector, measured: dict[str, list[float]], _lateness: list[float]
) -> None:
    """The connector's own revoking statements, without reading back."""
    from lapse.connectors.postgresql import membership
    from lapse.connectors.postgresql.holdings import direct_grants
    from lapse.connectors.postgresql.units import carry_out

    async with connector._server.connection() as connection:  # type: ignore[attr-defined]  # noqa: SLF001
        held = await direct_grants(connection, [(login, "app_reader") for login in LOGINS])
        started = time.perf_counter()
        refused = await carry_out(connection, list(membership._revokes(connection, held)))  # noqa: SLF001
        measured["sql"].append(time.perf_counter() - started)
    if refused:
        raise RuntimeError(f"{len(refused)} revocations were refused")


async def _lapse(
    _server: PrivatePostgres, connector: Connector, measured: dict[str, list[float]], lateness: list[float]
) -> None:
    async with sqlite_store(catalog(LOGINS)) as store:
        enforcer = Enforcer(parts(store, connector))
        deadline = now() + timedelta(seconds=3)
        grants = [active_grant(number, login, deadline) for number, login in enumerate(LOGINS)]
        await store.write(lambda tx: tx.add_grants(grants))
        await connector.look([])
        await parts(store, connector).clock.wait_until(deadline)
        started = time.perf_counter()
        await enforcer.tick()
        measured["whole"].append(time.perf_counter() - started)
        lateness.extend(await _lateness(store, deadline))


async def _lateness(store: Store, deadline: datetime) -> list[float]:
    """Seconds from the deadline to the proof, of every grant; all must have ended."""
    ended = await store.read(lambda reader: reader.grants(Page(limit=MEMBERSHIPS + 1), states=[GrantState.ENDED]))
    if len(ended) != MEMBERSHIPS:
        raise RuntimeError(f"{MEMBERSHIPS - len(ended)} grants did not end")
    return [(grant.ended_at - deadline).total_seconds() for grant in ended if grant.ended_at]


def _grant_all(server: PrivatePostgres, logins: Sequence[str]) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for i in range(0, len(logins), GRANTEES):
            admin.execute(f"GRANT app_reader TO {', '.join(logins[i : i + GRANTEES])}")


def _require_none_left(server: PrivatePostgres) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        left = admin.execute(
            "SELECT count(*) FROM pg_auth_members WHERE roleid = 'app_reader'::regrole AND member <> 'lapse'::regrole"
        ).fetchone()
        admin.execute("VACUUM pg_auth_members")
    if left != (0,):
        raise RuntimeError(f"memberships are left: {left}")


async def _sessions(server: PrivatePostgres, dsn: str) -> list[Row]:
    """Each client waits for its connection to be cut; how late after the deadline does it notice?"""
    late: list[float] = []
    batches: list[float] = []
    connector = connect("postgresql", "pg-prod", dsn)
    for _ in range(3):
        logins = LOGINS[:SESSIONS]
        _grant_all(server, logins)
        clients = [await _client(server, login) for login in logins]
        async with sqlite_store(catalog(logins)) as store:
            enforcer = Enforcer(parts(store, connector))
            deadline = now() + timedelta(seconds=2)
            grants = [active_grant(number, login, deadline) for number, login in enumerate(logins)]
            await store.write(lambda tx, grants=grants: tx.add_grants(grants))  # type: ignore[misc]
            waiting = [asyncio.create_task(_cut_at(client)) for client in clients]
            await parts(store, connector).clock.wait_until(deadline)
            started = time.perf_counter()
            await enforcer.tick()
            batches.append(1000 * (time.perf_counter() - started))
            notified = await asyncio.wait_for(asyncio.gather(*waiting), 30)
            late += [1000 * (at - deadline).total_seconds() for at in notified]
    await connector.close()
    return [
        row("200 sessions: client notified after the deadline, worst", [max(late)], "ms", goal=AtMost(500)),
        row("200 sessions: client notified, p50", [percentile(late, 0.5)], "ms"),
        row("200 sessions: batch ended, watched gone, recorded", batches, "ms"),
    ]


async def _client(server: PrivatePostgres, login: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    client = await psycopg.AsyncConnection.connect(server.dsn(user=login, password=LAPSE_PASSWORD), autocommit=True)
    await client.execute("SELECT count(*) FROM orders")
    return client


async def _cut_at(client: psycopg.AsyncConnection[tuple[object, ...]]) -> datetime:
    """When the server closed this connection, as its client sees it."""
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(client.fileno(), readable.set)
    await readable.wait()
    at = now()
    asyncio.get_running_loop().remove_reader(client.fileno())
    await client.close()
    return at


if __name__ == "__main__":
    main()
