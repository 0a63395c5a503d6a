"""One grant at a time on an idle system: from the promised end to a target that refuses, over 200 grants."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
from _bench import AtMost, percentile, report, row
from _lapse import active_grant, catalog, now, parts, prepare, sqlite_store

from lapse.connectors import connect
from lapse.domain.grants import GrantState
from lapse.enforcement.enforcer import Enforcer
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.ports import Page

GRANTS = 200
APART = timedelta(milliseconds=150)
LOGINS = [f"user{number:05d}" for number in range(GRANTS)]


def main() -> None:
    """Run it and report the quantiles."""
    with PrivatePostgres(durable=True) as server:
        late = asyncio.run(_run(server, prepare(server, LOGINS)))
    rows = [
        row(f"promised end to refusal, {name}", [percentile(late, share)], "ms", goal=goal)
        for name, share, goal in (
            ("p50", 0.5, None),
            ("p99", 0.99, AtMost(100)),
            ("worst", 1.0, None),
        )
    ]
    report("deadline", rows)


async def _run(server: PrivatePostgres, dsn: str) -> list[float]:
    connector = connect("postgresql", "pg-prod", dsn)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"GRANT app_reader TO {', '.join(LOGINS)}")
    async with sqlite_store(catalog(LOGINS)) as store:
        enforcer, stop = Enforcer(parts(store, connector)), asyncio.Event()
        first = now() + timedelta(seconds=1)
        grants = [active_grant(n, login, first + n * APART) for n, login in enumerate(LOGINS)]
        await store.write(lambda tx: tx.add_grants(grants))
        running = asyncio.create_task(enforcer.run(stop))
        while len(ended := await store.read(lambda r: r.grants(Page(limit=500), states=[GrantState.ENDED]))) < GRANTS:
            await asyncio.sleep(0.5)
        stop.set()
        await running
    await connector.close()
    return [1000 * (g.ended_at - g.ends_at).total_seconds() for g in ended if g.ended_at and g.ends_at]


if __name__ == "__main__":
    main()
