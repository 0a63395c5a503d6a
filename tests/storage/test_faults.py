"""Disks that fill up, commits that fail, commits that only seem to, rows that rot: nothing is half-applied."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing

import aiosqlite
import psycopg
import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.errors import Corrupt, LapseError, Unavailable
from lapse.domain.principals import Group
from lapse.ports import Page
from lapse.storage import open_store, sqlite
from support.stores import NOW, a_grant, a_request, add_grants, an_entry, ids, opened, put

CUT_THE_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
ALL = Page(limit=100_000, newest_first=False)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


@pytest.fixture
def commit_fails(monkeypatch):
    """Makes the driver's next commit raise, after it was applied or in place of it."""

    def arm(*, applied):
        _arm_sqlite(monkeypatch, applied=applied)
        _arm_postgres(monkeypatch, applied=applied)

    return arm


def _arm_sqlite(monkeypatch, *, applied):
    real = aiosqlite.Connection.execute

    async def execute(self, sql, *args):
        if sql != "COMMIT":
            return await real(self, sql, *args)
        monkeypatch.setattr(aiosqlite.Connection, "execute", real)
        if applied:
            await real(self, sql)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    monkeypatch.setattr(aiosqlite.Connection, "execute", execute)


def _arm_postgres(monkeypatch, *, applied):
    real = psycopg.AsyncConnection.execute

    async def execute(self, query, *args, **options):
        if query != "COMMIT":
            return await real(self, query, *args, **options)
        monkeypatch.setattr(psycopg.AsyncConnection, "execute", real)
        if applied:
            await real(self, query)
        await self.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)


def a_change(key):
    async def work(tx):
        await tx.add_grants([a_grant(key)])
        await tx.append([an_entry(subject=key)])
        return key

    return work


async def test_a_commit_that_failed_leaves_nothing_and_the_store_goes_on(store, commit_fails):
    await store.write(a_change("before"))
    commit_fails(applied=False)
    with pytest.raises(Unavailable):
        await store.write(a_change("lost"))
    assert await store.write(a_change("after")) == "after"
    assert await ids(store, lambda r: r.grants(ALL)) == ["after", "before"]
    assert len(await store.ledger.pending(9)) == 2


async def test_a_commit_that_was_applied_but_reported_as_failed_is_whole(store, commit_fails):
    commit_fails(applied=True)
    with pytest.raises(Unavailable):
        await store.write(a_change("kept"))
    assert await ids(store, lambda r: r.grants(ALL)) == ["kept"]
    assert len(await store.ledger.pending(9)) == 1
    with pytest.raises(LapseError, match="already there"):
        await store.write(a_change("kept"))
    assert len(await store.ledger.pending(9)) == 1


async def test_a_failed_commit_fails_everybody_in_its_group(tmp_path, commit_fails):
    async with opened("sqlite", tmp_path) as store:
        await store.write(a_change("first"))
        commit_fails(applied=False)
        results = await asyncio.gather(*(store.write(a_change(f"g{n}")) for n in range(8)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        assert await ids(store, lambda r: r.grants(ALL)) == ["first"]
        assert await store.write(a_change("next")) == "next"


async def test_a_catalog_whose_commit_failed_is_seen_by_nobody_later(tmp_path, commit_fails):
    lost, kept = (Catalog(groups={name: Group(name=name)}) for name in ("lost", "kept"))
    async with opened("sqlite", tmp_path) as store:
        await store.write(lambda tx: tx.replace_catalog(Catalog()))
        commit_fails(applied=False)
        together = (lambda tx: tx.replace_catalog(lost)), (lambda tx: tx.catalog())
        results = await asyncio.gather(*map(store.write, together), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        await store.write(lambda tx: tx.replace_catalog(kept))
        assert await store.read(lambda r: r.catalog()) == kept


async def test_a_full_database_fails_clearly_and_leaves_nothing_half_applied(tmp_path, monkeypatch):
    await (await open_store(f"sqlite:///{tmp_path / 'lapse.db'}")).close()
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA max_page_count = 90"))
    async with opened("sqlite", tmp_path) as store:
        kept = []

        async def fill():
            while True:
                kept.append(await store.write(a_change(f"g{len(kept):05}")))

        with pytest.raises(Unavailable, match="the disk under the database is full"):
            await fill()
        assert await ids(store, lambda r: r.grants(ALL)) == kept
        assert len(await store.ledger.pending(10_000)) == len(kept)


async def test_in_a_full_database_small_works_beside_a_large_one_are_told_the_truth(tmp_path, monkeypatch):
    await (await open_store(f"sqlite:///{tmp_path / 'lapse.db'}")).close()
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA max_page_count = 150"))
    async with opened("sqlite", tmp_path) as store:
        large = store.write(lambda tx: tx.add_grants([a_grant(f"l{n}", account="x" * 900) for n in range(3000)]))
        works = [store.write(a_change("s1")), large, store.write(a_change("s2"))]
        results = await asyncio.gather(*works, return_exceptions=True)
        assert isinstance(results[1], Unavailable)
        told = [result for result in results if isinstance(result, str)]
        assert await ids(store, lambda r: r.grants(ALL)) == told
        assert all(isinstance(result, (str, Unavailable)) for result in results)
        assert await store.write(a_change("s3")) == "s3"


FILLING = """
import asyncio, resource, sys
sys.path.insert(0, {tests!r})
from lapse.domain.errors import Unavailable
from lapse.storage import open_store
from support.stores import a_grant, an_entry

async def main():
    store = await open_store({url!r})
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for number in range(100_000):
        async def work(tx, key=f"g{{number:06}}"):
            await tx.add_grants([a_grant(key)])
            await tx.append([an_entry(subject=key)])
        try:
            await store.write(work)
        except Unavailable as error:
            print("stopped:", error, flush=True)
            break
        print(f"g{{number:06}}", flush=True)
    else:
        print("never full")
    await store.close()

asyncio.run(main())
"""


async def test_a_disk_that_refuses_the_commit_itself(tmp_path, pytestconfig):
    """A file size limit stands for the full disk: the write-ahead log cannot grow at the moment of the commit."""
    url = f"sqlite:///{tmp_path / 'lapse.db'}"
    await (await open_store(url)).close()
    tests = str(pytestconfig.rootpath / "tests")
    code = FILLING.format(tests=tests, url=url)
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    *kept, last = done.stdout.splitlines()
    assert last.startswith("stopped:"), done.stderr
    async with opened("sqlite", tmp_path) as store:
        assert await ids(store, lambda r: r.grants(ALL)) == kept
        assert len(await store.ledger.pending(100_000)) == len(kept)


async def test_a_row_that_cannot_be_read_is_reported_not_skipped(store, request, tmp_path):
    await put(store, lambda tx: tx.add_request(a_request()), lambda tx: tx.add_grants([a_grant()]))
    sql = "UPDATE grants SET doc = '{\"id\": 7}'"
    if "sqlite" in request.node.name:
        with closing(sqlite3.connect(tmp_path / "lapse.db", isolation_level=None)) as db:
            db.execute(sql)
    else:
        with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as db:
            db.execute(sql)
    for read in (lambda r: r.grant("gra_1"), lambda r: r.grants(ALL), lambda r: r.grants_due(NOW, 5)):
        with pytest.raises(Corrupt, match="a stored grant cannot be read"):
            await store.read(read)
    assert await store.read(lambda r: r.request("req_1")) == a_request()


async def test_a_damaged_file_is_reported(tmp_path):
    path = tmp_path / "lapse.db"
    async with opened("sqlite", tmp_path) as store:
        await add_grants(store, *(a_grant(f"g{n}") for n in range(300)))
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'grants'").fetchone()
    content[(root - 1) * 8192 : root * 8192] = b"\xa5" * 8192
    path.write_bytes(content)
    async with opened("sqlite", tmp_path) as store:
        with pytest.raises(Corrupt, match="damaged"):
            await store.read(lambda r: r.grants(ALL))


async def test_ledger_entries_cannot_be_changed_or_deleted_by_mistake(store, request, tmp_path):
    await store.write(lambda tx: tx.append([an_entry()]))
    mistakes = ("UPDATE ledger_entries SET subject = 'x'", "DELETE FROM ledger_entries")
    if "sqlite" in request.node.name:
        with closing(sqlite3.connect(tmp_path / "lapse.db", isolation_level=None)) as db:
            for mistake in mistakes:
                with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                    db.execute(mistake)
    else:
        with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as db:
            for mistake in (*mistakes, "TRUNCATE ledger_entries"):
                with pytest.raises(psycopg.errors.RaiseException, match="only ever added"):
                    db.execute(mistake)
    assert len(await store.ledger.pending(5)) == 1


async def test_a_transaction_that_is_over_does_nothing_any_more(store):
    kept = []

    async def work(tx):
        kept.append(tx)
        await tx.add_grants([a_grant()])

    await store.write(work)
    with pytest.raises(RuntimeError, match="over"):
        await kept[0].add_grants([a_grant("late")])
    assert await ids(store, lambda r: r.grants(ALL)) == ["gra_1"]


async def test_a_connection_that_the_server_cut_is_replaced(postgres_url):
    async with opened("postgresql", None, postgres_url) as store:
        await store.write(a_change("one"))
        with psycopg.connect(postgres_url, autocommit=True) as db:
            db.execute(CUT_THE_OTHERS)
        assert await store.write(a_change("two")) == "two"
        assert await ids(store, lambda r: r.grants(ALL)) == ["one", "two"]


async def test_a_connection_cut_in_the_middle_of_a_work_leaves_nothing(postgres_url):
    async with opened("postgresql", None, postgres_url) as store:

        async def work(tx):
            await tx.add_grants([a_grant("lost")])
            with psycopg.connect(postgres_url, autocommit=True) as db:
                db.execute(CUT_THE_OTHERS)
            await tx.append([an_entry()])

        with pytest.raises(Unavailable):
            await store.write(work)
        assert await ids(store, lambda r: r.grants(ALL)) == []


async def test_entries_that_commit_late_are_still_placed(postgres_url):
    """On PostgreSQL the order of ids is not the order of commits."""
    async with opened("postgresql", None, postgres_url) as store:
        appended, go_on = asyncio.Event(), asyncio.Event()

        async def slow(tx):
            await tx.append([an_entry(subject="late")])
            appended.set()
            await go_on.wait()

        late = asyncio.create_task(store.write(slow))
        await appended.wait()
        await store.write(lambda tx: tx.append([an_entry(subject="early")]))
        ((early, _),) = await store.ledger.pending(9)
        await store.ledger.commit_batch(0, [early], {}, b"n")
        go_on.set()
        await late
        ((found, _),) = await store.ledger.pending(9)
        assert found < early
        await store.ledger.commit_batch(1, [found], {}, b"n")
        assert [seq for seq, _ in await store.ledger.find(subject="late", page=Page())] == [1]
