"""The true effective state of a whole server: accounts, memberships, rights in every database, activity.

It needs no more than a login. What cannot be read becomes a gap; nothing is left out in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from lapse.connectors.postgresql import observe_sql as query
from lapse.connectors.postgresql.escalations import escalations
from lapse.connectors.postgresql.holdings import OPTIONS_SINCE
from lapse.connectors.postgresql.nesting import nested
from lapse.connectors.postgresql.server import Connection, Server
from lapse.domain.access import Observation, ObservedAccount, ObservedMembership, ObservedPrivilege
from lapse.domain.errors import Unavailable
from lapse.ports import Clock

POWERS = ("superuser", "createrole", "createdb", "replication", "bypassrls")
LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
DATABASES_AT_ONCE = 3
EVIDENCE = {
    "accounts": "pg_roles: every role but PostgreSQL's own, its attributes and VALID UNTIL",
    "memberships": "pg_auth_members: direct memberships with grantor and options; nested ones follow from them",
    "privileges": "pg_database, pg_namespace, pg_class, pg_attribute, pg_proc, pg_foreign_server,"
    " pg_largeobject_metadata, pg_default_acl of every database: rights and owners beyond the built-in defaults",
    "activity": "pg_stat_activity: sessions at this moment; it proves use, and no session proves nothing",
}

_ME = "SELECT current_user::text, version(), pg_has_role('pg_read_all_stats', 'USAGE')"


async def observe_target(server: Server, clock: Clock) -> Observation:
    """Read everything. Raises `Unavailable` when the server cannot be read at all."""
    at = clock.now()
    async with server.connection() as connection:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (me, version, stats), *_ = await _rows(connection, _ME)
        accounts = tuple(_account(row) for row in await _rows(connection, query.ROLES))
        memberships = _memberships(await _rows(connection, _membership_query(connection)))
        server_version = connection.info.server_version
        shared = [_privilege(row, "") for row in await _rows(connection, query.DATABASE_PRIVILEGES)]
        databases = await _rows(connection, query.DATABASES)
        await connection.execute("COMMIT")
    privileges, gaps = await _everywhere(server, [(n, may) for n, open_, may in databases if open_])
    if not stats:
        gaps.insert(0, f"the activity of other accounts is hidden: `{me}` lacks pg_read_all_stats")
    return Observation(
        resource=server.resource,
        observed_at=at,
        server=version.partition(" on ")[0],
        accounts=accounts,
        memberships=memberships,
        privileges=(*shared, *privileges),
        escalations=tuple(escalations(accounts, server_version)),
        gaps=tuple(gaps),
        evidence=EVIDENCE,
        own_account=me,
    )


def _membership_query(connection: Connection) -> str:
    by_option = connection.info.server_version >= OPTIONS_SINCE
    return query.MEMBERSHIPS_BY_OPTION if by_option else query.MEMBERSHIPS_BY_ROLE


async def _rows(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(text)).fetchall()


def _account(row: Sequence[Any]) -> ObservedAccount:
    name, can_login, *powers, valid_until, never_valid, sessions, last_activity = row
    return ObservedAccount(
        name=name,
        can_login=can_login,
        powers=tuple(power for power, has in zip(POWERS, powers, strict=True) if has),
        valid_until=LONG_AGO if never_valid else valid_until,
        last_activity=last_activity,
        sessions=sessions,
    )


def _memberships(rows: Sequence[Sequence[Any]]) -> tuple[ObservedMembership, ...]:
    """Direct and nested; PostgreSQL's own roles lead onward, and are no members to report."""
    own = {member for member, *_, built_in in rows if built_in}
    direct = [
        ObservedMembership(
            member=member, role=role, grantor=grantor, admin_option=admin, inherits=inherits, may_set=may_set
        )
        for member, role, grantor, admin, inherits, may_set, _ in rows
    ]
    return tuple(m for m in (*direct, *nested(direct)) if m.member not in own)


def _privilege(row: Sequence[Any], database: str, *, on_future: bool = False) -> ObservedPrivilege:
    grantee, kind, name, rights, grantor, grantable, is_owner = row
    return ObservedPrivilege(
        grantee=grantee,
        object_kind=kind,
        object_name=name,
        privileges=tuple(sorted(rights)),
        database=name if kind == "database" else database,
        grantor=grantor,
        grantable=grantable,
        is_owner=is_owner,
        on_future=on_future,
    )


async def _everywhere(
    server: Server, databases: Sequence[tuple[str, bool]]
) -> tuple[list[ObservedPrivilege], list[str]]:
    """The rights in each database that takes connections, and a gap for each that we cannot enter."""
    places = asyncio.Semaphore(DATABASES_AT_ONCE)

    async def one(name: str, *, may_connect: bool) -> list[ObservedPrivilege] | str:
        if not may_connect:
            return f"database `{name}` was not read: no CONNECT right"
        async with places:
            return await _one_database(server, name)

    found = await asyncio.gather(*(one(name, may_connect=may) for name, may in databases))
    privileges = [privilege for part in found if not isinstance(part, str) for privilege in part]
    return privileges, [part for part in found if isinstance(part, str)]


async def _one_database(server: Server, name: str) -> list[ObservedPrivilege] | str:
    try:
        async with server.connection(name) as connection:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            rows = [row for text in query.OBJECT_PRIVILEGES for row in await _rows(connection, text)]
            future = await _rows(connection, query.DEFAULT_PRIVILEGES)
            await connection.execute("COMMIT")
    except Unavailable as error:
        return f"database `{name}` was not read: {error.message}"
    except (psycopg.Error, OSError, UnicodeError) as error:
        return f"database `{name}` was not read: {server.sentence(error)}"
    return [_privilege(row, name) for row in rows] + [_privilege(r, name, on_future=True) for r in future]
