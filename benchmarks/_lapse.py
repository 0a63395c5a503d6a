"""Pieces of lapse that several benchmarks put together: a SQLite store on disk, grants, and a protected PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from lapse.control.context import Control
from lapse.control.policies import activate_policy
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.grants import Grant, GrantState
from lapse.domain.principals import Account, Group, Principal
from lapse.domain.resources import Entitlement, Resource
from lapse.domain.targets import Target
from lapse.enforcement.clock import SystemClock
from lapse.enforcement.parts import Parts
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.ports import Connector, Store
from lapse.storage.opening import migrate, open_store

RESOURCE = "pg-prod"
LAPSE_PASSWORD = "benchmark"  # noqa: S105  of a private server on loopback that lives for one run
ADMIN = Actor(name="root", scopes=frozenset(Scope))
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:dba]
"""


def now() -> datetime:
    """Aware UTC."""
    return datetime.now(UTC)


def catalog(logins: Sequence[str]) -> Catalog:
    """One resource with one role; a person for each login, and two approvers."""
    native = {"role": "app_reader", "mode": "membership"}
    reader = Entitlement(resource=RESOURCE, role="reader", native=native)
    people = {
        login: Principal(name=login, accounts=(Account(resource=RESOURCE, login=login),))
        for login in (*logins, "approver1", "approver2")
    }
    return Catalog(
        principals=people,
        groups={"dba": Group(name="dba", members=("approver1", "approver2"))},
        resources={RESOURCE: Resource(name=RESOURCE, connector="postgresql", entitlements=(reader,))},
    )


def active_grant(number: int, account: str, ends_at: datetime) -> Grant:
    """A grant as it stands while it is active."""
    begun = now()
    return Grant(
        id=f"gra_{number:08d}",
        request_id=f"req_{number:08d}",
        beneficiary=account,
        entitlement=f"{RESOURCE}/reader",
        starts_at=begun,
        duration=timedelta(hours=1),
        policy_version="sha256:benchmark",
        created_at=begun,
        state=GrantState.ACTIVE,
        account=account,
        held_before=False,
        activated_at=begun,
        ends_at=ends_at,
        version=2,
    )


@asynccontextmanager
async def sqlite_store(known: Catalog) -> AsyncIterator[Store]:
    """A durable store in a fresh folder, with `known` as its catalog and a policy in force."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'lapse.db'}"
        await migrate(url)
        store = await open_store(url)
        try:
            await _fill(store, known)
            yield store
        finally:
            await store.close()


async def _fill(store: Store, known: Catalog) -> None:
    target = Target(resource=RESOURCE, connector="postgresql", dsn_ref="env:NONE", added_at=now(), added_by="root")
    await store.write(lambda tx: tx.replace_catalog(known))
    await store.write(lambda tx: tx.put_target(target))


def parts(store: Store, connector: Connector) -> Parts:
    """What an enforcer needs, on the system's clock."""
    ids = iter(range(10**9))
    return Parts(
        store=store,
        clock=SystemClock(),
        connector=lambda _resource: connector,
        new_id=lambda prefix: f"{prefix}_{next(ids):09d}",
        on_trouble=lambda subject, text: print(f"trouble: {subject}: {text}"),
    )


async def control(store: Store, connector: Connector) -> Control:
    """The use cases over `store`, with a policy that lets anybody read after one approval."""
    given = parts(store, connector)
    made = Control(store=store, clock=given.clock, connector=given.connector, new_id=given.new_id)
    await activate_policy(made, ADMIN, {"policy.yaml": POLICY})
    return made


def prepare(server: PrivatePostgres, logins: Sequence[str]) -> str:
    """Roles and a table on `server`, a login for lapse with the least rights; returns lapse's DSN."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE app_reader")
        admin.execute("CREATE TABLE orders AS SELECT generate_series(1, 10) AS id")
        admin.execute("GRANT SELECT ON orders TO app_reader")
        admin.execute(f"CREATE ROLE lapse LOGIN CREATEROLE PASSWORD '{LAPSE_PASSWORD}'")
        admin.execute("GRANT app_reader TO lapse WITH ADMIN OPTION")
        admin.execute("GRANT pg_signal_backend, pg_read_all_stats TO lapse")
        create_logins(admin, logins)
    return server.dsn(user="lapse", password=LAPSE_PASSWORD)


def create_logins(admin: psycopg.Connection[tuple[object, ...]], logins: Sequence[str]) -> None:
    """Many logins at once, all with one password."""
    admin.execute("SELECT set_config('lapse.logins', %s, false)", (",".join(logins),))
    admin.execute(f"""
        DO $$
        DECLARE name text;
        BEGIN
            FOREACH name IN ARRAY string_to_array(current_setting('lapse.logins'), ',') LOOP
                EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', name, '{LAPSE_PASSWORD}');
            END LOOP;
        END $$
    """)
