"""Who holds what, as the catalog says at this moment: one query for any number of accounts and roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lapse.connectors.postgresql.server import Connection

OPTIONS_SINCE = 160000
"""From version 16 memberships have a grantor each, and INHERIT and SET options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One account and one role. `grantors` are those of direct memberships; `effective` counts nested ones too."""

    account: str
    role: str
    account_exists: bool
    role_exists: bool
    grantors: tuple[str, ...]
    effective: bool

    @property
    def missing(self) -> str:
        """The name that the server does not know, if any."""
        if not self.role_exists:
            return self.role
        return "" if self.account_exists else self.account


Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Accounts, each with a role."""

# The server's own answer costs 15 µs an account, so it is asked only where a walk down the memberships, which ignores
# their options, says that it could be yes. Superusers hold every role; a database's owner is in `pg_database_owner`
# though no membership says so, and that role can neither be a member nor have other members.
_HOLDINGS = """
WITH RECURSIVE below(member, role) AS (
    SELECT m.member, m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
    WHERE r.rolname = ANY (%(roles)s)
    UNION
    SELECT m.member, b.role FROM pg_auth_members m JOIN below b ON m.roleid = b.member
), direct AS (
    SELECT m.member, m.roleid, array_agg(coalesce(g.rolname::text, m.grantor::text) ORDER BY g.rolname) AS grantors
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid LEFT JOIN pg_roles g ON g.oid = m.grantor
    WHERE r.rolname = ANY (%(roles)s) GROUP BY 1, 2
), held AS (
    SELECT w.place, w.account, w.role, a.oid IS NOT NULL AS account_exists, r.oid IS NOT NULL AS role_exists,
           coalesce(d.grantors, '{{}}') AS grantors,
           CASE WHEN a.rolsuper OR b.member IS NOT NULL OR r.rolname = 'pg_database_owner' THEN {can_use} ELSE false END
           AS effective
    FROM unnest(%(accounts)b::text[], %(of)b::text[]) WITH ORDINALITY AS w(account, role, place)
    LEFT JOIN pg_roles a ON a.rolname = w.account
    LEFT JOIN pg_roles r ON r.rolname = w.role
    LEFT JOIN below b ON b.member = a.oid AND b.role = r.oid
    LEFT JOIN direct d ON d.member = a.oid AND d.roleid = r.oid
)
SELECT place - 1, account, role, account_exists, role_exists, grantors, effective FROM held {which} ORDER BY place
"""
_ALL = ""
_NOT_CLEAN = "WHERE NOT account_exists OR NOT role_exists OR effective OR grantors <> '{}'"

_BY_OPTIONS = "pg_has_role(a.oid, r.oid, 'USAGE') OR pg_has_role(a.oid, r.oid, 'SET')"
_BY_MEMBERSHIP = "pg_has_role(a.oid, r.oid, 'MEMBER')"

_DIRECT = """
SELECT r.rolname::text, coalesce(g.rolname::text, m.grantor::text), array_agg(a.rolname::text)
FROM unnest(%b::text[], %b::text[]) AS w(account, role)
JOIN pg_roles a ON a.rolname = w.account
JOIN pg_roles r ON r.rolname = w.role
JOIN pg_auth_members m ON m.member = a.oid AND m.roleid = r.oid
LEFT JOIN pg_roles g ON g.oid = m.grantor
GROUP BY 1, 2
"""

_WHY = """
WITH RECURSIVE up(role, path) AS (
    SELECT m.roleid, ARRAY[m.roleid] FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member
    WHERE a.rolname = %(account)s
    UNION ALL
    SELECT m.roleid, up.path || m.roleid FROM pg_auth_members m JOIN up ON m.member = up.role
    WHERE NOT m.roleid = ANY (up.path) AND cardinality(up.path) < 20
)
SELECT ARRAY(SELECT p.rolname::text FROM unnest(up.path) WITH ORDINALITY s(id, place)
             JOIN pg_roles p ON p.oid = s.id ORDER BY s.place)
FROM up JOIN pg_roles r ON r.oid = up.role
WHERE r.rolname = %(role)s AND cardinality(up.path) > 1 ORDER BY cardinality(up.path) LIMIT 1
"""


def can_use(version: int, member: str, role: str) -> str:
    """The SQL condition that `member` can use the rights of `role`: by itself, or by switching to it."""
    pattern = _BY_OPTIONS if version >= OPTIONS_SINCE else _BY_MEMBERSHIP
    return "(" + pattern.replace("a.oid", member).replace("r.oid", role) + ")"


async def holdings(connection: Connection, pairs: Pairs) -> list[Holding]:
    """What the catalog says of each pair, in order."""
    return list((await _read(connection, pairs, _ALL)).values())


async def not_clean(connection: Connection, pairs: Pairs) -> dict[int, Holding]:
    """Those of `pairs`, by their place, that still hold something, or of which the server does not know a name.

    Of all others the catalog was read too: account and role exist, and the one has nothing of the other.
    """
    return await _read(connection, pairs, _NOT_CLEAN)


async def direct_grants(connection: Connection, pairs: Pairs) -> list[tuple[str, str, list[str]]]:
    """The direct memberships among `pairs`: role, grantor and the accounts that have it from this grantor."""
    return await (await connection.execute(_DIRECT, _split(pairs))).fetchall()


async def _read(connection: Connection, pairs: Pairs, which: str) -> dict[int, Holding]:
    query = _HOLDINGS.format(can_use=can_use(connection.info.server_version, "a.oid", "r.oid"), which=which)
    accounts, of = _split(pairs)
    cursor = await connection.execute(query, {"accounts": accounts, "of": of, "roles": list(set(of))})
    return {
        place: Holding(
            account=account,
            role=role,
            account_exists=account_exists,
            role_exists=role_exists,
            grantors=tuple(grantors),
            effective=effective,
        )
        for place, account, role, account_exists, role_exists, grantors, effective in await cursor.fetchall()
    }


def _split(pairs: Pairs) -> tuple[list[str], list[str]]:
    return [account for account, _ in pairs], [role for _, role in pairs]


async def why_still(connection: Connection, holding: Holding) -> str:
    """In words, by what an account still has a role that it should no longer have."""
    who = f"`{holding.account}` still holds `{holding.role}`"
    if holding.grantors:
        return f"{who}, granted by {', '.join(f'`{g}`' for g in holding.grantors)}"
    values = {"account": holding.account, "role": holding.role}
    row = await (await connection.execute(_WHY, values)).fetchone()
    if row is None:
        return f"{who}, as a superuser or the owner of the database"
    return f"{who} through {', '.join(f'`{name}`' for name in row[0][:-1])}"
