"""Ephemeral mode: a login made for one grant, which the server itself stops accepting at the deadline.

The role is created without a password, so nobody can use it before `issue_credential`. Passwords are random, are
turned into SCRAM verifiers here, and so never reach the server or its log. A comment on the role marks it as
ours; a role of that name without the mark is never taken over.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg
from psycopg import sql

from lapse.connectors.postgresql.holdings import Holding, holdings
from lapse.connectors.postgresql.native import parse_native
from lapse.connectors.postgresql.probe import Where
from lapse.connectors.postgresql.server import Connection, Server
from lapse.connectors.postgresql.units import Unit, carry_out
from lapse.domain.access import Applied, Assignment, Failed
from lapse.domain.errors import NotFound, Refused
from lapse.ports import Clock

MARK = "made by lapse"
PASSWORD_BYTES = 24

_ACCOUNTS = """
SELECT r.rolname::text, r.oid, r.rolcanlogin, r.rolvaliduntil = w.ends_at,
       coalesce(shobj_description(r.oid, 'pg_authid'), '')
FROM unnest(%s::text[], %s::timestamptz[]) AS w(account, ends_at) JOIN pg_roles r ON r.rolname = w.account
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An ephemeral login as the catalog has it; `on_time` says whether it ends when it should."""

    id: int
    can_login: bool
    on_time: bool
    ours: bool


async def logins(connection: Connection, deadlines: Mapping[str, datetime]) -> dict[str, Login]:
    """The logins among `deadlines` (account to promised end) that exist."""
    cursor = await connection.execute(_ACCOUNTS, (list(deadlines), list(deadlines.values())))
    return {
        name: Login(id=oid, can_login=can_login, on_time=bool(on_time), ours=comment.startswith(MARK))
        for name, oid, can_login, on_time, comment in await cursor.fetchall()
    }


async def apply(server: Server, clock: Clock, assignments: Sequence[Assignment]) -> list[Applied | Failed]:
    """Create the logins (or move their end, for an extension), give the role, and read back."""
    deadlines = latest_ends(assignments)
    pairs = [(a.account, a.native["role"]) for a in assignments]
    async with server.connection() as connection:
        before = await logins(connection, deadlines)
        foreign = {name for name, login in before.items() if not login.ours}
        mine = [a for a in assignments if a.account not in foreign]
        errors = await carry_out(connection, list(_creations(mine, before, deadlines)))
        after = await logins(connection, deadlines)
        held = await holdings(connection, pairs)
    at = clock.now()
    return [
        _applied(server, a, after.get(a.account), holding, errors, at)
        for a, holding in zip(assignments, held, strict=True)
    ]


def latest_ends(assignments: Iterable[Assignment]) -> dict[str, datetime]:
    """By account, the latest promised end: a grant and its extension share one login."""
    ends: dict[str, datetime] = {}
    for a in assignments:
        ends[a.account] = max(a.ends_at, ends.get(a.account, a.ends_at))
    return ends


def _creations(
    assignments: Iterable[Assignment], existing: Mapping[str, Login], ends: Mapping[str, datetime]
) -> Iterable[Unit]:
    for account, role in dict.fromkeys((a.account, a.native["role"]) for a in assignments):
        pattern = _RENEW if account in existing else _CREATE
        yield Unit((account,), partial(_fill, pattern, role, ends[account]))


_CREATE = sql.SQL(
    "CREATE ROLE {account} LOGIN INHERIT VALID UNTIL {ends}; COMMENT ON ROLE {account} IS {mark};"
    " GRANT {role} TO {account}"
)
_RENEW = sql.SQL("ALTER ROLE {account} LOGIN VALID UNTIL {ends}; GRANT {role} TO {account}")


def _fill(pattern: sql.SQL, role: str, ends: datetime, accounts: Sequence[str]) -> sql.Composed:
    return pattern.format(
        account=sql.Identifier(accounts[0]),
        role=sql.Identifier(role),
        ends=sql.Literal(ends.isoformat()),
        mark=sql.Literal(MARK),
    )


def _applied(
    server: Server,
    a: Assignment,
    login: Login | None,
    holding: Holding,
    errors: Mapping[str, psycopg.Error],
    at: datetime,
) -> Applied | Failed:
    if login is None:
        error = server.sentence(errors[a.account]) if a.account in errors else "the login was not created"
        return Failed(grant_id=a.grant_id, error=error, maybe_applied=False)
    if not login.ours:
        error = f"`{a.account}` exists on the target and was not made by lapse"
        return Failed(grant_id=a.grant_id, error=error, maybe_applied=holding.effective)
    if login.can_login and login.on_time and holding.effective:
        return Applied(grant_id=a.grant_id, confirmed_at=at)
    error = server.sentence(errors[a.account]) if a.account in errors else "the login is not as it should be"
    return Failed(grant_id=a.grant_id, error=error)


async def issue_credential(server: Server, assignment: Assignment) -> dict[str, str]:
    """Give the login a fresh password; an earlier one stops working.

    Raises:
        NotFound: there is no such login made by lapse.
        Refused: the login has ended.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    account = assignment.account
    async with server.connection() as connection:
        found = (await logins(connection, {account: assignment.ends_at})).get(account)
        if found is None or not found.ours:
            raise NotFound(f"`{account}` is not on the target", hint="wait until the grant is active")
        if not found.can_login:
            raise Refused(f"`{account}` has ended", hint="ask for access again")
        await connection.execute(password_statement(connection, account, password))
        where = where_to_log_in(server, connection, assignment)
    return {
        "user": account,
        "password": password,
        "host": where.host,
        "port": str(where.port),
        "dbname": where.dbname,
    }


def password_statement(connection: Connection, account: str, password: str) -> sql.Composed:
    """`ALTER ROLE … PASSWORD` with the SCRAM verifier."""
    verifier = connection.pgconn.encrypt_password(password.encode(), account.encode(), b"scram-sha-256")
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(account), sql.Literal(verifier.decode()))


def where_to_log_in(server: Server, connection: Connection, assignment: Assignment) -> Where:
    """The server that `connection` reached, and the database that the entitlement names."""
    given = {key: str(value) for key, value in server.parameters.items() if value is not None}
    return Where(
        host=connection.info.host,
        port=connection.info.port,
        dbname=parse_native(assignment.native).database or connection.info.dbname,
        sslmode=given.get("sslmode", "prefer"),
        sslrootcert=given.get("sslrootcert", ""),
        sslcert=given.get("sslcert", ""),
        sslkey=given.get("sslkey", ""),
    )
