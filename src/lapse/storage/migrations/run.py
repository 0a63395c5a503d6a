"""Runs the migrations from the program, without a configuration file. Called by `opening` alone.

All steps of an upgrade are one transaction, on both dialects, and one process upgrades at a time: who comes second
finds nothing left to do.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lapse.domain.errors import Unavailable
from lapse.storage.failures import meaning

_HERE = Path(__file__).parent
_UPGRADE_LOCK = 0x6C61_7073_66


def script_config() -> Config:
    """Alembic's configuration: where the scripts are."""
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def upgrade_sqlite(path: Path) -> None:
    """Bring the file up to date, holding its write lock from the start."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _no_implicit_begin(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _lock(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            upgrade(connection)
    except DBAPIError as error:
        raise _meant(error) from error


def upgrade_server(url: URL) -> None:
    """Bring the server's database up to date, under an advisory lock."""
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            upgrade(connection)
    except DBAPIError as error:
        raise _meant(error) from error


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run all missing migrations up to `revision` in the transaction that `connection` is in."""
    config = script_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _meant(error: DBAPIError) -> Exception:
    cause = error.orig
    return (meaning(cause) if isinstance(cause, Exception) else None) or Unavailable(f"the upgrade failed: {cause}")
