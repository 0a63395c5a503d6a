"""The migrations give exactly the schema that the statements are written for, on both dialects."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from lapse.storage import migrate, open_store
from lapse.storage.migrations import run
from lapse.storage.schema import REVISION, metadata
from support.stores import a_request

SQLITE_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'alembic%' ORDER BY 1, 2"

POSTGRES_SCHEMA = """
SELECT 'column', table_name, column_name,
       concat_ws(' ', ordinal_position, data_type, collation_name, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, '', prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
ORDER BY 1, 2, 3
"""


def sqlite_schema(path):
    with closing(sqlite3.connect(path)) as db:
        return [
            (kind, name, table, " ".join((sql or "").split())) for kind, name, table, sql in db.execute(SQLITE_SCHEMA)
        ]


def postgres_schema(url):
    with psycopg.connect(url) as db:
        return [row for row in db.execute(POSTGRES_SCHEMA).fetchall() if "alembic_version" not in row[1]]


def create_directly(url):
    engine = create_engine(url, poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()


def test_the_program_knows_the_newest_revision():
    scripts = ScriptDirectory.from_config(run.script_config())
    assert scripts.get_current_head() == REVISION
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True), "revisions count up: an older program compares them"


async def test_sqlite_migrations_give_the_schema(tmp_path):
    await migrate(f"sqlite:///{tmp_path / 'migrated.db'}")
    create_directly(f"sqlite:///{tmp_path / 'direct.db'}")
    assert sqlite_schema(tmp_path / "migrated.db") == sqlite_schema(tmp_path / "direct.db")


async def test_postgresql_migrations_give_the_schema(postgres_url):
    await migrate(postgres_url)
    migrated = postgres_schema(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    create_directly(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    assert migrated == postgres_schema(postgres_url)
    assert len(migrated) > 50


async def test_upgrading_again_changes_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'lapse.db'}"
    await migrate(url)
    store = await open_store(url)
    await store.write(lambda tx: tx.add_request(a_request()))
    await migrate(url)
    assert await store.read(lambda r: r.request("req_1")) == a_request()
    await store.close()


async def test_many_processes_that_start_at_once_upgrade_once(tmp_path, postgres_url):
    for url in (f"sqlite:///{tmp_path / 'lapse.db'}", postgres_url):
        await asyncio.gather(*(migrate(url) for _ in range(4)))
        await (await open_store(url, upgrade=False)).close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_an_upgrade_that_fails_leaves_nothing(kind, tmp_path, request, monkeypatch):
    path = tmp_path / "lapse.db"
    url = f"sqlite:///{path}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    whole = run.upgrade

    def breaks(connection):
        whole(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "upgrade", breaks)
    upgrade = (lambda: run.upgrade_sqlite(path)) if kind == "sqlite" else (lambda: run.upgrade_server(make_url(url)))
    with pytest.raises(KeyboardInterrupt):
        upgrade()
    assert (sqlite_schema(path) if kind == "sqlite" else postgres_schema(url)) == []
    monkeypatch.undo()
    await (await open_store(url)).close()
