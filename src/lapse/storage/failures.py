"""What a driver's error means: the one place that turns it into a `LapseError`.

`Conflict` is promised to mean that nothing was applied. What this table does not know is a mistake of ours, and is
raised as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from lapse.domain.errors import Conflict, Corrupt, InvalidInput, LapseError, Refused, Unavailable

_BACKUP = "restore it from a backup"
_LOW_BYTE = 0xFF

_SQLITE: dict[int, LapseError] = {
    sqlite3.SQLITE_BUSY: Unavailable("the database is busy with another process", hint="try again"),
    sqlite3.SQLITE_LOCKED: Unavailable("the database is busy", hint="try again"),
    sqlite3.SQLITE_FULL: Unavailable("the disk under the database is full", hint="make room, then try again"),
    sqlite3.SQLITE_TOOBIG: InvalidInput("a value is larger than the database can hold"),
    sqlite3.SQLITE_IOERR: Unavailable("the database could not be read or written", hint="look at the disk"),
    sqlite3.SQLITE_READONLY: Unavailable(
        "the database is read-only", hint="let this user write the file and its folder"
    ),
    sqlite3.SQLITE_CANTOPEN: Unavailable("the database cannot be opened", hint="look at the path and its permissions"),
    sqlite3.SQLITE_PERM: Unavailable("the database may not be opened", hint="look at its permissions"),
    sqlite3.SQLITE_NOTADB: Corrupt("the file is not a database", hint=_BACKUP),
    sqlite3.SQLITE_CORRUPT: Corrupt("the database is damaged", hint=_BACKUP),
}

_UNREACHED = Unavailable("the database server cannot be reached", hint="look at the URL and the server")

_POSTGRESQL: tuple[tuple[tuple[type[Exception], ...], LapseError], ...] = (
    (
        (pg.SerializationFailure, pg.DeadlockDetected, pg.UniqueViolation, pg.LockNotAvailable),
        Conflict("somebody else changed the same thing first", hint="read it again and retry"),
    ),
    (
        (pg.ReadOnlySqlTransaction,),
        Unavailable("the database is read-only", hint="connect to the primary server"),
    ),
    (
        (pg.InsufficientPrivilege,),
        Unavailable("the database refuses this login", hint="let it own the tables of the schema"),
    ),
    (
        (pg.DiskFull, pg.OutOfMemory, pg.TooManyConnections, pg.InsufficientResources),
        Unavailable("the database server is out of space, memory or connections", hint="make room"),
    ),
    ((pg.QueryCanceled,), Unavailable("the database took too long", hint="try again")),
    (
        (pg.DataCorrupted, pg.IndexCorrupted, pg.UndefinedTable, pg.UndefinedColumn),
        Corrupt("the database is damaged or lacks a table", hint=_BACKUP),
    ),
    ((pg.ConnectionFailure, pg.AdminShutdown, pg.CrashShutdown, pg.CannotConnectNow), _UNREACHED),
    ((psycopg.OperationalError,), Unavailable("the database server failed", hint="look at its log")),
)
_INVALID = (pg.DataError, OverflowError, UnicodeError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises inside as the `LapseError` it means."""
    try:
        yield
    except (sqlite3.Error, psycopg.Error, OverflowError, UnicodeError) as error:
        meant = meaning(error)
        if meant is None:
            raise
        raise meant from error


def meaning(error: Exception) -> LapseError | None:
    """The `LapseError` that `error` stands for; None for what should never happen."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if isinstance(error, _INVALID):
        return InvalidInput("a text or number cannot be stored", hint="leave out NUL and other broken characters")
    if isinstance(error, psycopg.Error):
        return _of_postgresql(error)
    return None


def _of_sqlite(error: sqlite3.Error) -> LapseError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}:
        return Conflict("it is already there", hint="read it again")
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return Refused(str(error))
    known = _SQLITE.get(code & _LOW_BYTE)
    return _fresh(known) if known else None


def _of_postgresql(error: psycopg.Error) -> LapseError | None:
    if isinstance(error, pg.RaiseException):
        return Refused(error.diag.message_primary or "the database refuses")
    if type(error) is psycopg.OperationalError:
        return _fresh(_UNREACHED)
    return next((_fresh(known) for kinds, known in _POSTGRESQL if isinstance(error, kinds)), None)


def _fresh(known: LapseError) -> LapseError:
    return type(known)(known.message, hint=known.hint)
