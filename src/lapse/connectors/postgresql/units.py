"""Many changes in few round trips: everything in one transaction, and only after an error piece by piece.

A change is a function from several accounts to one statement (`REVOKE r FROM a, b, c`), since statements with a
hundred grantees are tens of times faster than as many statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import psycopg
from psycopg import sql

from lapse.connectors.postgresql.server import Connection

GRANTEES_A_STATEMENT = 100
SERVER_SIDE = ("08", "57")
"""SQLSTATE classes after which the connection, not the statement, is in trouble."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One statement for `accounts`; `write` gives the statement for any part of them."""

    accounts: tuple[str, ...]
    write: Callable[[Sequence[str]], sql.Composable]

    def pieces(self) -> Iterator[Unit]:
        """The same change for each account alone."""
        return (Unit((account,), self.write) for account in self.accounts)


def units(accounts: Iterable[str], write: Callable[[Sequence[str]], sql.Composable]) -> Iterator[Unit]:
    """Cut a change for many accounts into statements of a good size; each account once."""
    rest = iter(dict.fromkeys(accounts))
    while chunk := tuple(islice(rest, GRANTEES_A_STATEMENT)):
        yield Unit(chunk, write)


def names(accounts: Sequence[str]) -> sql.Composed:
    """The accounts as a comma-separated list of quoted identifiers."""
    return sql.SQL(", ").join(map(sql.Identifier, accounts))


async def carry_out(connection: Connection, work: Sequence[Unit]) -> dict[str, psycopg.Error]:
    """Do all of `work`; returns, by account, the errors of what the server refused.

    Raises:
        psycopg.Error: the connection failed; nothing is known of the outcome.
    """
    if not work or await _attempt(connection, work) is None:
        return {}
    errors: dict[str, psycopg.Error] = {}
    for unit in work:
        if await _attempt(connection, [unit]) is None:
            continue
        for piece in unit.pieces():
            error = await _attempt(connection, [piece])
            if error is not None:
                errors.setdefault(piece.accounts[0], error)
    return errors


async def _attempt(connection: Connection, work: Sequence[Unit]) -> psycopg.Error | None:
    # One simple query with several statements is one implicit transaction and one round trip.
    try:
        await connection.execute(sql.SQL("; ").join(unit.write(unit.accounts) for unit in work))
    except psycopg.Error as error:
        if connection.closed or not error.sqlstate or error.sqlstate[:2] in SERVER_SIDE:
            raise
        return error
    return None
