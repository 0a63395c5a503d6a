"""The end of ephemeral logins: disabled, sessions cut, refused to a real login attempt, tidied up, dropped.

Access is dead after the first statement; everything after it proves that, and clears away. The login attempt uses
the correct password, set in that same statement, so that a refusal can have no other reason.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import psycopg
from psycopg import sql

from lapse.connectors.postgresql.backends import Cut
from lapse.connectors.postgresql.ephemeral import (
    PASSWORD_BYTES,
    Login,
    latest_ends,
    logins,
    password_statement,
    where_to_log_in,
)
from lapse.connectors.postgresql.holdings import holdings
from lapse.connectors.postgresql.leftovers import drop_logins
from lapse.connectors.postgresql.membership import cut_problem, cut_quietly
from lapse.connectors.postgresql.probe import Where, attempt_login
from lapse.connectors.postgresql.server import Connection, Server
from lapse.connectors.postgresql.units import Unit, carry_out
from lapse.domain.access import Assignment, Failed, Removed
from lapse.domain.errors import Unavailable
from lapse.ports import Clock

LONG_AGO = "1970-01-01T00:00:00Z"
ATTEMPTS_AT_ONCE = 8

_HELD = """
SELECT a.rolname::text, r.rolname::text
FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
WHERE a.rolname = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class _Ending:
    """What is known of one login at the end of its life; `problem` is empty while all is well."""

    account: str
    password: str
    problem: str = ""
    proof: tuple[str, ...] = ()
    sessions: int = 0

    def failed(self, problem: str) -> _Ending:
        return replace(self, problem=self.problem or problem)

    def proved(self, proof: str) -> _Ending:
        return replace(self, proof=(*self.proof, proof))


async def remove(server: Server, clock: Clock, assignments: Sequence[Assignment]) -> list[Removed | Failed]:
    """End the logins of all `assignments`. Raises `Unavailable` when nothing is known of the outcome."""
    by_account = {a.account: a for a in assignments}
    endings = {name: _Ending(name, secrets.token_urlsafe(PASSWORD_BYTES)) for name in by_account}
    async with server.connection() as connection:
        where = {name: where_to_log_in(server, connection, a) for name, a in by_account.items()}
        endings = await _disable(server, connection, endings, assignments)
        endings = await _attempt(server, endings, where)
        endings = await _drop(server, connection, endings, by_account)
        endings = await _read_back(connection, endings, by_account)
    endings = await _attempt(server, endings, where)
    at = clock.now()
    return [
        Failed(grant_id=a.grant_id, error=end.problem)
        if (end := endings[a.account]).problem
        else Removed(grant_id=a.grant_id, refused_at=at, proof=end.proof, sessions_cut=end.sessions)
        for a in assignments
    ]


async def _disable(
    server: Server,
    connection: Connection,
    endings: Mapping[str, _Ending],
    assignments: Sequence[Assignment],
) -> dict[str, _Ending]:
    """No login, no password that anybody knows, no role, no session."""
    present = await logins(connection, latest_ends(assignments))
    errors = await carry_out(
        connection, [Unit((n,), partial(_disabling, connection, endings[n].password)) for n in present]
    )
    await _revoke_all(connection, list(present))
    cut, cut_error = await cut_quietly(server, connection, [(a.account, a.native["role"]) for a in assignments])
    return {
        name: _disabled(end, cut, _reason(server, name, errors) or cut_error) if name in present else end
        for name, end in endings.items()
    }


def _reason(server: Server, account: str, errors: Mapping[str, psycopg.Error]) -> str:
    return server.sentence(errors[account]) if account in errors else ""


def _disabled(end: _Ending, cut: Cut, error: str) -> _Ending:
    return replace(end, sessions=cut.ended.get(end.account, 0), problem=cut_problem(end.account, cut, error))


def _disabling(connection: Connection, password: str, accounts: Sequence[str]) -> sql.Composed:
    off = sql.SQL("ALTER ROLE {} NOLOGIN VALID UNTIL {}").format(sql.Identifier(accounts[0]), sql.Literal(LONG_AGO))
    return sql.SQL("; ").join([off, password_statement(connection, accounts[0], password)])


async def _revoke_all(connection: Connection, accounts: Sequence[str]) -> None:
    """Take every role that the logins hold. What is refused here shows when the catalog is read back."""
    rows = await (await connection.execute(_HELD, (list(accounts),))).fetchall()
    await carry_out(connection, [Unit((account,), partial(_revoking, role)) for account, role in rows])


def _revoking(role: str, accounts: Sequence[str]) -> sql.Composed:
    return sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), sql.Identifier(accounts[0]))


async def _attempt(server: Server, endings: Mapping[str, _Ending], where: Mapping[str, Where]) -> dict[str, _Ending]:
    """Try to log in as each, several at once; only a clear refusal counts."""
    places = asyncio.Semaphore(ATTEMPTS_AT_ONCE)

    async def one(end: _Ending) -> _Ending:
        async with places:
            return await _attempt_one(server, end, where[end.account])

    return {end.account: end for end in await asyncio.gather(*map(one, endings.values()))}


async def _attempt_one(server: Server, end: _Ending, where: Where) -> _Ending:
    if end.problem:
        return end
    try:
        answer = await attempt_login(where, end.account, end.password, server.limits.connect)
    except Unavailable as error:
        return end.failed(error.message)
    if answer.accepted:
        return end.failed(f"the server still accepts a login as `{end.account}`")
    if not answer.refused:
        return end.failed(f"the login attempt as `{end.account}` proves nothing: SQLSTATE {answer.sqlstate}")
    return end.proved(f"login as `{end.account}` refused with SQLSTATE {answer.sqlstate}")


async def _drop(
    server: Server,
    connection: Connection,
    endings: Mapping[str, _Ending],
    by_account: Mapping[str, Assignment],
) -> dict[str, _Ending]:
    sound = {n: by_account[n].native.get("reassign_to", "") for n, end in endings.items() if not end.problem}
    left = await drop_logins(server, connection, sound)
    return {
        name: end.proved(f"role `{name}` stays behind, disabled: {left[name]}") if name in left else end
        for name, end in endings.items()
    }


async def _read_back(
    connection: Connection, endings: Mapping[str, _Ending], by_account: Mapping[str, Assignment]
) -> dict[str, _Ending]:
    ends = {name: a.ends_at for name, a in by_account.items()}
    present = await logins(connection, ends)
    held = await holdings(connection, [(a.account, a.native["role"]) for a in by_account.values()])
    effective = {holding.account for holding in held if holding.effective}
    return {
        name: _as_catalog_says(end, exists=name in present, dead=_dead(name, present, effective))
        for name, end in endings.items()
    }


def _dead(name: str, present: Mapping[str, Login], effective: set[str]) -> bool:
    login = present.get(name)
    return login is None or not (login.can_login or name in effective)


def _as_catalog_says(end: _Ending, *, exists: bool, dead: bool) -> _Ending:
    if not dead:
        return end.failed(f"the catalog still shows `{end.account}` with a login or its role")
    if exists:
        return end.proved(f"catalog: `{end.account}` cannot log in and holds nothing")
    return end.proved(f"catalog: role `{end.account}` does not exist")
