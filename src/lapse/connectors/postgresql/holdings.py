"""Who holds what, as the catalog says at this moment: one query for any number of assignments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lapse.connectors.postgresql.server import Connection

OPTIONS_SINCE = 160000
"""From version 16 memberships have a grantor each, and INHERIT and SET options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One account and one role. `grantors` are those of direct memberships; `effective` counts nested ones too."""

    account: str
    role: str
    account_id: int | None
    role_id: int | None
    grantors: tuple[str, ...]
    effective: bool

    @property
    def missing(self) -> str:
        """The name that the server does not know, if any."""
        if self.role_id is None:
            return self.role
        return self.account if self.account_id is None else ""


_HOLDINGS = """
SELECT w.account, w.role, a.oid, r.oid, coalesce(d.grantors, '{{}}'),
       a.oid IS NOT NULL AND r.oid IS NOT NULL AND ({effective})
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS w(account, role, place)
LEFT JOIN pg_roles a ON a.rolname = w.account
LEFT JOIN pg_roles r ON r.rolname = w.role
LEFT JOIN (
    SELECT m.member, m.roleid, array_agg(coalesce(g.rolname::text, m.grantor::text) ORDER BY g.rolname) AS grantors
    FROM pg_auth_members m LEFT JOIN pg_roles g ON g.oid = m.grantor GROUP BY 1, 2
) d ON d.member = a.oid AND d.roleid = r.oid
ORDER BY w.place
"""
_BY_OPTIONS = "pg_has_role(a.oid, r.oid, 'USAGE') OR pg_has_role(a.oid, r.oid, 'SET')"
_BY_MEMBERSHIP = "pg_has_role(a.oid, r.oid, 'MEMBER')"

_WHY = """
WITH RECURSIVE up(role, path) AS (
    SELECT m.roleid, ARRAY[m.roleid] FROM pg_auth_members m WHERE m.member = %(account)s
    UNION ALL
    SELECT m.roleid, up.path || m.roleid FROM pg_auth_members m JOIN up ON m.member = up.role
    WHERE NOT m.roleid = ANY (up.path) AND cardinality(up.path) < 20
)
SELECT ARRAY(SELECT p.rolname::text FROM unnest(up.path) WITH ORDINALITY s(id, place)
             JOIN pg_roles p ON p.oid = s.id ORDER BY s.place)
FROM up WHERE up.role = %(role)s AND cardinality(up.path) > 1 ORDER BY cardinality(up.path) LIMIT 1
"""


def can_use(version: int, member: str, role: str) -> str:
    """The SQL condition that `member` can use the rights of `role`: by itself, or by switching to it."""
    pattern = _BY_OPTIONS if version >= OPTIONS_SINCE else _BY_MEMBERSHIP
    return "(" + pattern.replace("a.oid", member).replace("r.oid", role) + ")"


async def holdings(
    connection: Connection, pairs: Sequence[tuple[str, str]], *, direct_only: bool = False
) -> list[Holding]:
    """What the catalog says of each (account, role), in order. `direct_only` leaves `effective` False: quicker."""
    used = "false" if direct_only else can_use(connection.info.server_version, "a.oid", "r.oid")
    query = _HOLDINGS.format(effective=used)
    cursor = await connection.execute(query, ([a for a, _ in pairs], [r for _, r in pairs]))
    return [
        Holding(account=a, role=r, account_id=aid, role_id=rid, grantors=tuple(grantors), effective=effective)
        for a, r, aid, rid, grantors, effective in await cursor.fetchall()
    ]


async def why_still(connection: Connection, holding: Holding) -> str:
    """In words, by what an account still has a role that it should no longer have."""
    who = f"`{holding.account}` still holds `{holding.role}`"
    if holding.grantors:
        return f"{who}, granted by {', '.join(f'`{g}`' for g in holding.grantors)}"
    values = {"account": holding.account_id, "role": holding.role_id}
    row = await (await connection.execute(_WHY, values)).fetchone()
    if row is None:
        return f"{who}, as a superuser or the owner of the database"
    return f"{who} through {', '.join(f'`{name}`' for name in row[0][:-1])}"
