"""Opening a store, and bringing its schema up to date. Called by `bootstrap`, `lapse init` and operators' scripts.

A database whose schema is newer than this program is refused; an older or empty one is upgraded in one transaction,
by one process at a time. The migration library is only loaded where there is something to migrate.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from lapse.domain.errors import Corrupt, Refused, Unavailable
from lapse.storage.failures import translated
from lapse.storage.schema import REVISION
from lapse.storage.sqlite import BUSY_SECONDS, SqliteBackend, prepare_file
from lapse.storage.store import Backend, SqlStore
from lapse.storage.urls import PostgresServer, SqliteFile, parse_store_url

_VERSION_TABLE = "SELECT version_num FROM alembic_version"


async def open_store(url: str, *, upgrade: bool = True) -> SqlStore:
    """The store at `url` (`sqlite:///path` or `postgresql://…`), ready for use.

    Args:
        url: where it is.
        upgrade: whether an empty or older database may be brought up to date; if not, it is refused.

    Raises:
        InvalidInput: the URL names no database that lapse can use.
        Refused: its schema is newer than this program, or older and `upgrade` is False.
        Unavailable: it cannot be reached, read or written.
        Corrupt: it is not a database, or a damaged one.
    """
    place = parse_store_url(url)
    await asyncio.to_thread(_make_ready, place, upgrade=upgrade)
    return SqlStore(_backend(place))


async def migrate(url: str) -> None:
    """Bring the schema at `url` up to date, creating a SQLite file that is not there. Raises as `open_store`."""
    await asyncio.to_thread(_make_ready, parse_store_url(url), upgrade=True)


def _backend(place: SqliteFile | PostgresServer) -> Backend:
    if isinstance(place, SqliteFile):
        return SqliteBackend(place.path)
    from lapse.storage.postgres import PostgresBackend

    return PostgresBackend(place.url)


def _make_ready(place: SqliteFile | PostgresServer, *, upgrade: bool) -> None:
    if isinstance(place, SqliteFile) and upgrade:
        _create_file(place.path)
    found = _revision(place)
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise Refused(
            "the database was written by a newer lapse", hint="upgrade lapse, or restore the backup made before"
        )
    if not upgrade:
        what = "is empty" if found is None else "has an older schema"
        raise Refused(f"the database {what}", hint="run `lapse init` to bring it up to date")
    from lapse.storage.migrations.run import upgrade_server, upgrade_sqlite

    with translated():
        upgrade_sqlite(place.path) if isinstance(place, SqliteFile) else upgrade_server(place.url)


def _create_file(path: Path) -> None:
    """Make the file if it is not there, readable by its owner alone: it holds who may reach what."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except FileNotFoundError:
        raise Unavailable(f"there is no folder `{path.parent}`", hint="create it first") from None
    except OSError as error:
        raise Unavailable(f"the database `{path}` cannot be created: {error.strerror}") from None
    with translated(), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        prepare_file(connection)


def _revision(place: SqliteFile | PostgresServer) -> str | None:
    """The revision of the database's schema; None if it has none yet."""
    rows = _sqlite_revision(place.path) if isinstance(place, SqliteFile) else _server_revision(place.url)
    if len(rows) > 1:
        raise Corrupt("the database names several schema versions", hint="restore it from a backup")
    return rows[0] if rows else None


def _sqlite_revision(path: Path) -> list[str]:
    if not path.exists():
        raise Unavailable(f"there is no database `{path}`", hint="run `lapse init` first")
    with translated(), closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        _check_writable(connection)
        return [str(row[0]) for row in connection.execute(_VERSION_TABLE)] if known else []


def _check_writable(connection: sqlite3.Connection) -> None:
    """A server on a file that it cannot write would fail at the first request; it is better told at once."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _server_revision(url: URL) -> list[str]:
    with _connected(url) as connection:
        known = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if known is None or known[0] is None:
            return []
        return [str(row[0]) for row in connection.execute(_VERSION_TABLE)]


@contextmanager
def _connected(url: URL) -> Iterator[psycopg.Connection[tuple[str | None]]]:
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with translated(), psycopg.connect(dsn, connect_timeout=10, autocommit=True) as connection:
        yield connection
