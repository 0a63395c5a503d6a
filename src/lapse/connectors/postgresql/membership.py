"""Membership mode: an existing login is granted the role, and at the end it is revoked.

A login that can use the role already is left as it is by `apply`. `remove` revokes every direct membership of the
login in the role, whoever granted it: what must stay (overlapping grants, access held before) is the caller's to
know, and it does not ask for that to be removed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import psycopg
from psycopg import sql

from lapse.connectors.postgresql.backends import Cut, cut_sessions
from lapse.connectors.postgresql.holdings import (
    OPTIONS_SINCE,
    Holding,
    Pairs,
    direct_grants,
    holdings,
    not_clean,
    why_still,
)
from lapse.connectors.postgresql.server import Connection, Server
from lapse.connectors.postgresql.units import Unit, carry_out, names, units
from lapse.domain.access import Applied, Assignment, Failed, Removed
from lapse.ports import Clock

_NO_SIGNAL = "lapse may not end sessions on this server: run `GRANT pg_signal_backend TO` its login"


async def apply(server: Server, clock: Clock, assignments: Sequence[Assignment]) -> list[Applied | Failed]:
    """Grant, then read back. Raises `Unavailable` when the outcome is not known."""
    pairs = [(a.account, a.native["role"]) for a in assignments]
    async with server.connection() as connection:
        before = await holdings(connection, pairs)
        lacking = [h for h in before if not h.missing and not h.effective]
        errors = await carry_out(connection, list(_grants(lacking)))
        after = await holdings(connection, pairs)
    at = clock.now()
    return [
        Applied(grant_id=a.grant_id, confirmed_at=at)
        if holding.effective
        else Failed(
            grant_id=a.grant_id,
            error=_not_given(server, holding, errors),
            maybe_applied=bool(holding.grantors),
        )
        for a, holding in zip(assignments, after, strict=True)
    ]


def _grants(lacking: Iterable[Holding]) -> Iterable[Unit]:
    by_role: dict[str, list[str]] = defaultdict(list)
    for holding in lacking:
        by_role[holding.role].append(holding.account)
    for role, accounts in by_role.items():
        yield from units(accounts, partial(_grant_statement, role))


def _grant_statement(role: str, accounts: Sequence[str]) -> sql.Composed:
    return sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), names(accounts))


def _not_given(server: Server, holding: Holding, errors: Mapping[str, psycopg.Error]) -> str:
    if holding.missing:
        return f"role `{holding.missing}` does not exist on the target"
    if holding.account in errors:
        return server.sentence(errors[holding.account])
    return f"`{holding.role}` was granted to `{holding.account}`, and the catalog does not show it in effect"


async def remove(server: Server, clock: Clock, assignments: Sequence[Assignment]) -> list[Removed | Failed]:
    """Revoke, end sessions and watch them go, then read back. Raises `Unavailable` when nothing is known."""
    pairs = [(a.account, a.native["role"]) for a in assignments]
    async with server.connection() as connection:
        errors = await carry_out(connection, list(_revokes(connection, await direct_grants(connection, pairs))))
        cut, cut_error = await cut_quietly(server, connection, pairs)
        left = await not_clean(connection, pairs)
        at = clock.now()
        problems = {
            place: why for place, h in left.items() if (why := await _why_not_removed(server, connection, h, errors))
        }
    for place, (account, _) in enumerate(pairs):
        known = place not in left or left[place].account_exists
        if known and (why := cut_problem(account, cut, cut_error)):
            problems.setdefault(place, why)
    return [
        Failed(grant_id=a.grant_id, error=problems[place])
        if place in problems
        else Removed(
            grant_id=a.grant_id,
            refused_at=at,
            proof=(_proof(*pairs[place], left.get(place)),),
            sessions_cut=cut.ended.get(a.account, 0),
        )
        for place, a in enumerate(assignments)
    ]


def _revokes(connection: Connection, direct: Iterable[tuple[str, str, list[str]]]) -> Iterable[Unit]:
    several = connection.info.server_version >= OPTIONS_SINCE
    for role, grantor, accounts in direct:
        yield from units(accounts, partial(_revoke_statement, role, grantor if several else None))


def _revoke_statement(role: str, grantor: str | None, accounts: Sequence[str]) -> sql.Composed:
    by = sql.SQL(" GRANTED BY {}").format(sql.Identifier(grantor)) if grantor else sql.SQL("")
    return sql.SQL("REVOKE {} FROM {}{}").format(sql.Identifier(role), names(accounts), by)


async def cut_quietly(server: Server, connection: Connection, pairs: Pairs) -> tuple[Cut, str]:
    """End the sessions of these accounts; a missing right becomes a sentence instead of an error."""
    try:
        return await cut_sessions(connection, pairs, server.limits.dying_session), ""
    except psycopg.errors.InsufficientPrivilege:
        return Cut(), _NO_SIGNAL


def cut_problem(account: str, cut: Cut, cut_error: str) -> str:
    """Why the sessions of an account that exists are not known to be gone; empty if they are."""
    pids = cut.still.get(account)
    if pids:
        return f"session {', '.join(map(str, pids))} of `{account}` was told to end and is still there"
    return cut_error


async def _why_not_removed(
    server: Server, connection: Connection, holding: Holding, errors: Mapping[str, psycopg.Error]
) -> str:
    if not holding.effective and (not holding.grantors or holding.account not in errors):
        return ""
    why = await why_still(connection, holding)
    if holding.account in errors:
        return f"{why}: {server.sentence(errors[holding.account])}"
    return why


def _proof(account: str, role: str, left: Holding | None) -> str:
    if left is not None and left.missing:
        return f"catalog: role `{left.missing}` does not exist"
    return f"catalog: `{account}` is no member of `{role}`, direct or nested"
