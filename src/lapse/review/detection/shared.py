"""What many questions ask of `usage`, added up once: tables that any query of a review may read like evidence.

Guarantee: a query that names one of them means the same with and without anything that is kept, since its definition
is put in front of the query, and `merge` of what several pieces of the use give is what all of the use gives. Called
by `review.sql`; engines may replace a definition by rows that were computed from it (`engines.kept`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

SOURCE = "usage"
"""The table that all of them are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTable:
    """Rows made of `usage` alone. `{usage}` in `rows` is all of it or a piece, `{pieces}` in `merge` what pieces give.

    `rows` names no parameter and no other table, so that nothing but more use can change it.
    """

    name: str
    rows: str
    merge: str

    @property
    def definition(self) -> str:
        """The table as the beginning of a `WITH`."""
        return self.head_of(self.rows.format(usage=SOURCE))

    def head_of(self, sql: str) -> str:
        """`sql` under the name of the table."""
        return f"{self.name} AS (\n{sql.strip()}\n)"

    def merged(self, tables: Collection[str]) -> str:
        """SQL of all rows, from `tables` that have those of each piece."""
        return self.merge.format(pieces=" UNION ALL ".join(f"SELECT * FROM {table}" for table in tables))  # noqa: S608


TOTALS = SharedTable(
    name="usage_totals",
    rows="""
SELECT grant_id, resource, account, principal, count(*) AS uses, min(started_at) AS first_started_at,
    max(started_at) AS last_started_at, max(ended_at) AS last_ended_at,
    max(COALESCE(ended_at, started_at)) AS last_used_at, max(address) AS address
FROM {usage}
GROUP BY grant_id, resource, account, principal
""",
    merge="""
SELECT grant_id, resource, account, principal, CAST(sum(uses) AS BIGINT) AS uses,
    min(first_started_at) AS first_started_at, max(last_started_at) AS last_started_at,
    max(last_ended_at) AS last_ended_at, max(last_used_at) AS last_used_at, max(address) AS address
FROM ({pieces}) p
GROUP BY grant_id, resource, account, principal
""",
)
"""The use of each grant, and of each account, under each identity."""
UNNAMED = SharedTable(
    name="usage_unnamed",
    rows="SELECT resource, account, role, started_at, ended_at FROM {usage} WHERE grant_id IS NULL",
    merge="{pieces}",
)
"""Use of which it is not known by which grant, event by event."""
BACKWARDS = SharedTable(
    name="usage_backwards",
    rows="SELECT resource, started_at, ended_at FROM {usage} WHERE ended_at < started_at",
    merge="{pieces}",
)
"""Use that ended before it began, event by event."""
SHARED = (TOTALS, UNNAMED, BACKWARDS)
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_NAMED = {table: re.compile(rf"\b{table.name}\b") for table in SHARED}


def shared_in(sql: str) -> Iterator[SharedTable]:
    """The shared tables that `sql` names."""
    return (table for table, pattern in _NAMED.items() if pattern.search(sql))


def with_heads(sql: str, heads: Iterable[str] = ()) -> str:
    """`sql` with `heads` (named queries, for a `WITH`) and the definitions of the shared tables it names in front."""
    front = ",\n".join([*heads, *(table.definition for table in shared_in(sql))])
    sql = sql.lstrip()
    if not front:
        return sql
    return f"WITH {front},\n{sql[5:]}" if sql[:5].upper() == "WITH " else f"WITH {front}\n{sql}"


def words_of(sql: str) -> frozenset[str]:
    """Every word of `sql`, in lower case: names of tables and functions among them."""
    return frozenset(_WORD.findall(sql.lower()))
