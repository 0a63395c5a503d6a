"""Whether lapse has the rights on a server that its entitlements take, and the exact statement for each it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from functools import reduce

from psycopg import sql

from lapse.connectors.postgresql.holdings import OPTIONS_SINCE
from lapse.connectors.postgresql.native import Mode, Native, parse_native
from lapse.connectors.postgresql.server import Connection, Server
from lapse.domain.access import CheckItem, Fence, TargetCheck
from lapse.domain.errors import InvalidInput

OLDEST_SERVER = 130000

_ME = """
SELECT current_user::text, version(), rolsuper, rolcreaterole,
       pg_has_role('pg_signal_backend', 'USAGE'), pg_has_role('pg_read_all_stats', 'USAGE')
FROM pg_roles WHERE rolname = current_user
"""
_ROLES = """
SELECT rolname::text, rolsuper, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), pg_has_role(oid, 'USAGE')
FROM pg_roles WHERE rolname = ANY (%s)
"""
_DATABASES = """
SELECT datname::text, has_database_privilege(oid, 'CONNECT') FROM pg_database WHERE datname = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class _Role:
    superuser: bool
    may_grant: bool
    may_act_as: bool


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the server says about lapse's own login, and about the roles and databases of the entitlements."""

    login: str
    server: str
    version: int
    superuser: bool
    create_role: bool
    signal: bool
    stats: bool
    roles: MappingOf[str, _Role]
    databases: MappingOf[str, bool]


async def check_target(server: Server, natives: Sequence[MappingOf[str, str]]) -> TargetCheck:
    """One item for each right that `natives` take. Raises `Unavailable`."""
    parsed, broken = _parse(natives)
    async with server.connection() as connection:
        facts = await _facts(connection, parsed)
    items = [*broken, *_general_items(facts, parsed), *_role_items(facts, parsed)]
    fences = reduce(frozenset.__and__, (n.fences for n in parsed)) if parsed else frozenset({Fence.RECONCILER})
    return TargetCheck(server=facts.server, items=tuple(dict.fromkeys(items)), fences=fences)


def _parse(natives: Iterable[MappingOf[str, str]]) -> tuple[list[Native], list[CheckItem]]:
    parsed: list[Native] = []
    broken: list[CheckItem] = []
    for native in natives:
        try:
            parsed.append(parse_native(native))
        except InvalidInput as error:
            broken.append(
                CheckItem(
                    name="entitlement", ok=False, needed_for="everything", detail=error.message, remedy=error.hint
                )
            )
    return parsed, broken


async def _facts(connection: Connection, natives: Sequence[Native]) -> _Facts:
    me = await (await connection.execute(_ME)).fetchone()
    if me is None:
        raise InvalidInput("the server does not know the login of lapse")
    wanted = list({n.role for n in natives} | {n.reassign_to for n in natives if n.reassign_to})
    roles = await (await connection.execute(_ROLES, (wanted,))).fetchall()
    databases = await (await connection.execute(_DATABASES, ([n.database for n in natives],))).fetchall()
    login, version, superuser, create_role, signal, stats = me
    return _Facts(
        login=login,
        server=version.partition(" on ")[0],
        version=connection.info.server_version,
        superuser=superuser,
        create_role=create_role,
        signal=signal,
        stats=stats,
        roles={name: _Role(*rest) for name, *rest in roles},
        databases=dict(databases),
    )


def _general_items(facts: _Facts, natives: Sequence[Native]) -> Iterable[CheckItem]:
    me = _quoted(facts.login)
    yield CheckItem(
        name="version",
        ok=facts.version >= OLDEST_SERVER,
        needed_for="everything",
        detail=facts.server,
        remedy="upgrade the server to PostgreSQL 13 or newer",
    )
    yield CheckItem(
        name="pg_signal_backend",
        ok=facts.signal,
        needed_for="ending sessions when access ends",
        remedy=f"GRANT pg_signal_backend TO {me};",
    )
    yield CheckItem(
        name="pg_read_all_stats",
        ok=facts.stats,
        needed_for="seeing when accounts were last active",
        remedy=f"GRANT pg_read_all_stats TO {me};",
        required=False,
    )
    yield CheckItem(
        name="least rights",
        ok=not facts.superuser,
        needed_for="nothing: lapse works without being superuser",
        remedy=f"ALTER ROLE {me} NOSUPERUSER;",
        required=False,
    )
    if any(n.mode is Mode.EPHEMERAL for n in natives):
        yield CheckItem(
            name="CREATEROLE",
            ok=facts.create_role or facts.superuser,
            needed_for="making and dropping ephemeral logins",
            remedy=f"ALTER ROLE {me} CREATEROLE;",
        )


def _role_items(facts: _Facts, natives: Sequence[Native]) -> Iterable[CheckItem]:
    for native in natives:
        yield _grantable(facts, native.role)
        if native.mode is Mode.EPHEMERAL and native.reassign_to:
            yield _assignable(facts, native.reassign_to)
        if native.mode is Mode.EPHEMERAL and native.database:
            yield _connectable(facts, native.database)


def _grantable(facts: _Facts, name: str) -> CheckItem:
    role = facts.roles.get(name)
    what, needed = f"grant {name}", f"giving and taking `{name}`"
    if role is None:
        return _missing(what, needed, name)
    by_power = facts.create_role and facts.version < OPTIONS_SINCE and not role.superuser
    return CheckItem(
        name=what,
        ok=role.may_grant or by_power or facts.superuser,
        needed_for=needed,
        detail="by CREATEROLE, which on this version may grant any role" if by_power else "",
        remedy=f"GRANT {_quoted(name)} TO {_quoted(facts.login)} WITH ADMIN OPTION;",
    )


def _assignable(facts: _Facts, name: str) -> CheckItem:
    role = facts.roles.get(name)
    what, needed = f"reassign to {name}", f"giving `{name}` the objects that an ephemeral login leaves behind"
    if role is None:
        return _missing(what, needed, name)
    return CheckItem(
        name=what,
        ok=role.may_act_as,
        needed_for=needed,
        remedy=f"GRANT {_quoted(name)} TO {_quoted(facts.login)};",
    )


def _connectable(facts: _Facts, name: str) -> CheckItem:
    known = name in facts.databases
    return CheckItem(
        name=f"connect to {name}",
        ok=facts.databases.get(name, False),
        needed_for="tidying up after ephemeral logins",
        detail="" if known else f"database `{name}` does not exist on the target",
        remedy=f"GRANT CONNECT ON DATABASE {_quoted(name)} TO {_quoted(facts.login)};",
    )


def _missing(what: str, needed_for: str, name: str) -> CheckItem:
    return CheckItem(
        name=what,
        ok=False,
        needed_for=needed_for,
        detail=f"role `{name}` does not exist on the target",
        remedy=f"CREATE ROLE {_quoted(name)};",
    )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
