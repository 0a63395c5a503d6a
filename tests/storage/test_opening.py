"""Opening a store: what can be wrong with a database, and the one sentence that says so."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from lapse.domain.errors import Corrupt, InvalidInput, Refused, Unavailable
from lapse.storage import migrate, open_store
from support.stores import a_request

NEWER = "UPDATE alembic_version SET version_num = '9999'"


def url_of(path):
    return f"sqlite:///{path}"


async def closed(url, **options):
    await (await open_store(url, **options)).close()


async def test_a_new_file_is_made_for_its_owner_alone_and_opens_again(tmp_path):
    path = tmp_path / "lapse.db"
    store = await open_store(url_of(path))
    await store.write(lambda tx: tx.add_request(a_request()))
    await store.close()
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    store = await open_store(url_of(path), upgrade=False)
    assert await store.read(lambda r: r.request("req_1")) == a_request()
    await store.close()


async def test_acknowledged_means_on_the_disk(tmp_path):
    await migrate(url_of(tmp_path / "lapse.db"))
    store = await open_store(url_of(tmp_path / "lapse.db"))
    await store.write(lambda tx: tx.add_request(a_request()))
    with closing(sqlite3.connect(tmp_path / "lapse.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    driver = store._backend._writer._session._driver
    assert list(await driver.execute_fetchall("PRAGMA synchronous")) == [(2,)]
    assert list(await driver.execute_fetchall("PRAGMA foreign_keys")) == [(1,)]
    await store.close()


async def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable, match=r"there is no folder `.*missing`"):
        await open_store(url_of(tmp_path / "missing" / "lapse.db"))


async def test_a_database_that_is_not_there_is_not_made_unasked(tmp_path):
    with pytest.raises(Unavailable, match="there is no database"):
        await open_store(url_of(tmp_path / "lapse.db"), upgrade=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"hello, I am a picture" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_file_that_is_no_database(tmp_path, content):
    path = tmp_path / "lapse.db"
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=r"not a database|damaged"):
        await open_store(url_of(path))
    assert path.read_bytes() == content


async def test_a_folder_in_place_of_the_file(tmp_path):
    with pytest.raises(Unavailable, match="cannot be opened"):
        await open_store(url_of(tmp_path))


async def test_a_database_of_a_newer_lapse_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "lapse.db"
    await migrate(url_of(path))
    with closing(sqlite3.connect(path)) as db:
        db.execute(NEWER)
        db.commit()
    for opening in (open_store(url_of(path)), migrate(url_of(path))):
        with pytest.raises(Refused, match="newer lapse"):
            await opening


async def test_an_empty_database_is_refused_where_no_upgrade_is_wanted(tmp_path):
    path = tmp_path / "lapse.db"
    sqlite3.connect(path).close()
    with pytest.raises(Refused, match="is empty"):
        await open_store(url_of(path), upgrade=False)


@pytest.fixture
def as_nobody():
    """A folder that everybody may enter, and a context in which even root is a user without rights."""

    @contextmanager
    def without_rights():
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(before)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder), without_rights


async def test_a_file_that_may_be_read_but_not_written(as_nobody):
    folder, without_rights = as_nobody
    path = folder / "lapse.db"
    await migrate(url_of(path))
    path.chmod(0o444)
    with without_rights(), pytest.raises(Unavailable, match=r"read-only|cannot be opened"):
        await open_store(url_of(path))


async def test_a_folder_that_may_not_be_written(as_nobody):
    folder, without_rights = as_nobody
    folder.chmod(0o555)
    with without_rights(), pytest.raises(Unavailable, match="cannot be created: Permission denied"):
        await open_store(url_of(folder / "lapse.db"))
    assert list(folder.iterdir()) == []


async def test_a_database_that_became_read_only_refuses_writes_and_still_reads(tmp_path):
    store = await open_store(url_of(tmp_path / "lapse.db"))
    await store.write(lambda tx: tx.add_request(a_request()))
    await store._backend._writer._session._driver.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="the database is read-only"):
        await store.write(lambda tx: tx.add_request(a_request("req_2")))
    assert await store.read(lambda r: r.request("req_1"))
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "mysql://host/db",
        "postgresql+asyncpg://host/db",
        "postgresql://user:hunter2@host:notaport/db",
    ],
)
async def test_a_url_that_names_no_database_is_not_repeated(url):
    with pytest.raises(InvalidInput) as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "sqlite:///" in caught.value.hint


async def test_a_server_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        await open_store(f"postgresql://ann:hunter2@127.0.0.1:{port}/lapse")
    assert "hunter2" not in str(caught.value)


async def test_a_database_on_a_server(postgres_url):
    await migrate(postgres_url)
    await closed(postgres_url, upgrade=False)
    await closed(postgres_url.replace("postgresql://", "postgres://"))
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(NEWER)
    with pytest.raises(Refused, match="newer lapse"):
        await open_store(postgres_url)


async def test_an_empty_database_on_a_server_is_refused_where_no_upgrade_is_wanted(postgres_url):
    with pytest.raises(Refused, match="is empty"):
        await open_store(postgres_url, upgrade=False)


async def test_a_wrong_password_is_a_clear_sentence(postgres_url):
    wrong = postgres_url.replace("correct-horse-battery", "hunter2")
    assert wrong != postgres_url
    with pytest.raises(Unavailable) as caught:
        await open_store(wrong)
    assert "hunter2" not in str(caught.value)


async def test_a_closed_store_says_so(tmp_path):
    store = await open_store(url_of(tmp_path / "lapse.db"))
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.write(lambda tx: tx.add_request(a_request()))
    with pytest.raises(Unavailable, match="closed"):
        await store.read(lambda r: r.request("req_1"))
