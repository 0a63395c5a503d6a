"""What an ephemeral login leaves behind, and dropping it: objects go to `reassign_to`, rights are dropped.

This runs only after the login has been seen to be refused. What cannot be tidied away (objects without a
`reassign_to`, a database that lapse may not enter) keeps a disabled role and is told; it is not access.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from lapse.connectors.postgresql.holdings import OPTIONS_SINCE
from lapse.connectors.postgresql.server import Connection, Server
from lapse.connectors.postgresql.units import carry_out, names, units
from lapse.domain.errors import Unavailable

_DEPENDENCIES = """
SELECT r.rolname::text, coalesce(d.datname::text, ''), s.deptype = 'o', count(*)
FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY (%s)
GROUP BY 1, 2, 3
"""
_MAY_ACT_FOR = "SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Objects in `database` (empty: shared by all) that a login owns, or on which it holds rights."""

    database: str
    owned: bool
    count: int


async def drop_logins(server: Server, connection: Connection, accounts: dict[str, str]) -> dict[str, str]:
    """Drop these disabled logins; `accounts` maps each to its `reassign_to` or an empty text.

    Returns why those that are still there could not be dropped.
    """
    left: dict[str, str] = {}
    for account, found in (await _dependencies(connection, list(accounts))).items():
        problem = await _tidy(server, connection, account, accounts[account], found)
        if problem:
            left[account] = problem
    errors = await carry_out(connection, list(units([a for a in accounts if a not in left], _drop)))
    return left | {account: server.sentence(error) for account, error in errors.items()}


def _drop(accounts: Sequence[str]) -> sql.Composed:
    return sql.SQL("DROP ROLE IF EXISTS {}").format(names(accounts))


async def _dependencies(connection: Connection, accounts: Sequence[str]) -> dict[str, list[Dependency]]:
    found: dict[str, list[Dependency]] = defaultdict(list)
    for account, database, owned, count in await (
        await connection.execute(_DEPENDENCIES, (list(accounts),))
    ).fetchall():
        found[account].append(Dependency(database=database, owned=owned, count=count))
    return found


async def _tidy(
    server: Server, connection: Connection, account: str, reassign_to: str, found: Sequence[Dependency]
) -> str:
    """Reassign and drop what depends on `account`, database by database; returns what stands in the way."""
    owned = sum(d.count for d in found if d.owned)
    if owned and not reassign_to:
        return f"it owns {owned} objects and the entitlement names no `reassign_to`"
    try:
        await _act_for(connection, account)
        for database in sorted({d.database or connection.info.dbname for d in found}):
            async with server.connection(database) as there:
                await there.execute(_tidying(account, reassign_to if owned else ""))
    except psycopg.Error as error:
        return server.sentence(error)
    except Unavailable as error:
        return error.message
    return ""


def _tidying(account: str, reassign_to: str) -> sql.Composed:
    gone = sql.Identifier(account)
    drop = sql.SQL("DROP OWNED BY {} RESTRICT").format(gone)
    if not reassign_to:
        return drop
    reassign = sql.SQL("REASSIGN OWNED BY {} TO {}").format(gone, sql.Identifier(reassign_to))
    return sql.SQL("; ").join([reassign, drop])


async def _act_for(connection: Connection, account: str) -> None:
    """Become a member of the login that is about to be dropped, which tidying up after it takes."""
    row = await (await connection.execute(_MAY_ACT_FOR, (account,))).fetchone()
    if row is None or row[0]:
        return
    options = " WITH INHERIT TRUE" if connection.info.server_version >= OPTIONS_SINCE else ""
    await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER{}").format(sql.Identifier(account), sql.SQL(options)))
