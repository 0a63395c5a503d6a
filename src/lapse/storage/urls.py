"""Store URLs: `sqlite:///path` and `postgresql://…`. What is neither is refused before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from lapse.domain.errors import InvalidInput

_HINT = "write it as `sqlite:///path/to/lapse.db` or `postgresql://user@host/database`"


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database in a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database on a server; `url` may hold a password and is never shown."""

    url: URL


def parse_store_url(text: str) -> SqliteFile | PostgresServer:
    """Which database `text` names. The message never repeats the URL: it may hold a password.

    Raises:
        InvalidInput: it names none that lapse can use.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InvalidInput("the store's URL cannot be read", hint=_HINT) from None
    if url.drivername == "sqlite" and url.database and url.database != ":memory:" and not url.query:
        return SqliteFile(Path(url.database).absolute())
    if url.drivername in {"postgresql", "postgres"}:
        return PostgresServer(url)
    raise InvalidInput("the store's URL names no file and no PostgreSQL", hint=_HINT)
