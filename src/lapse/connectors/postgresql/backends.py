"""Ending live sessions, and watching until they are really gone.

Which sessions: all of the account's own, whenever they began, since a membership works at once in every session and
`SET ROLE` survives a REVOKE; and those of logins that reached the role through the account and can no longer
use it. Sessions of superusers are left alone unless lapse is one: reading the catalog back tells on them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from lapse.connectors.postgresql.holdings import Pairs, can_use
from lapse.connectors.postgresql.server import Connection

FIRST_LOOK_SECONDS = 0.002
LONGEST_LOOK_SECONDS = 0.1
AT_ONCE = 20
"""Sessions that are told to end at one time. A thousand that end at once would keep the server's processors from
everybody else, and a gateway beside it from telling its clients."""
HEAD_START_SECONDS = 0.2
"""How long many sessions have before the first is told: gateways tell their clients meanwhile."""
LONGEST_TURN_SECONDS = 0.05
"""How long the next ones wait for these: one that does not end must not protect the others."""

_SESSIONS = """
WITH RECURSIVE wanted(account, role) AS (
    SELECT a.oid, r.oid FROM unnest(%b::text[], %b::text[]) AS w(account, role)
    JOIN pg_roles a ON a.rolname = w.account LEFT JOIN pg_roles r ON r.rolname = w.role
), below(login, account, role) AS (
    SELECT account, account, role FROM wanted
    UNION
    SELECT m.member, b.account, b.role FROM pg_auth_members m JOIN below b ON m.roleid = b.login
)
SELECT DISTINCT s.pid, a.rolname::text
FROM pg_stat_get_activity(NULL) s JOIN below b ON b.login = s.usesysid JOIN pg_roles l ON l.oid = b.login
JOIN pg_roles a ON a.oid = b.account
WHERE s.pid <> pg_backend_pid()
  AND (NOT l.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
  AND (b.login = b.account OR b.role IS NULL OR NOT {still})
"""
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid"
_LEFT = "SELECT pid FROM pg_stat_get_activity(NULL) WHERE pid = ANY(%s::int[])"


@dataclass(frozen=True, slots=True)
class Cut:
    """By account: how many sessions ended, and the process ids of those that would not in time."""

    ended: dict[str, int] = field(default_factory=dict)
    still: dict[str, list[int]] = field(default_factory=dict)


async def cut_sessions(connection: Connection, pairs: Pairs, patience_seconds: float) -> Cut:
    """End the sessions that could use a role through an account; the last one told has `patience_seconds` to go.

    Raises:
        psycopg.errors.InsufficientPrivilege: we may not end them.
    """
    seen: dict[int, str] = {}
    loop = asyncio.get_running_loop()
    left = await _end_all(connection, pairs, seen)
    deadline, pause = loop.time() + patience_seconds, FIRST_LOOK_SECONDS
    while left and loop.time() < deadline:
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_LOOK_SECONDS)
        left = await _left(connection, left)
        if not left:
            # A session that was just logging in appears only now.
            left = await _end_all(connection, pairs, seen)
    return _counted(seen, left)


async def _end_all(connection: Connection, pairs: Pairs, seen: dict[int, str]) -> set[int]:
    query = _SESSIONS.format(still=can_use(connection.info.server_version, "b.login", "b.role"))
    cursor = await connection.execute(query, ([a for a, _ in pairs], [r for _, r in pairs]))
    found: dict[int, str] = dict(await cursor.fetchall())
    fresh = {pid: account for pid, account in found.items() if pid not in seen}
    seen.update(fresh)
    if len(fresh) > AT_ONCE:
        await asyncio.sleep(HEAD_START_SECONDS)
    for pids in _turns(sorted(fresh)):
        await connection.execute(_TERMINATE, (pids,))
        if len(fresh) > AT_ONCE:
            await _gone(connection, set(pids))
    return set(fresh)


def _turns(pids: list[int]) -> Iterator[list[int]]:
    return (pids[at : at + AT_ONCE] for at in range(0, len(pids), AT_ONCE))


async def _gone(connection: Connection, pids: set[int]) -> None:
    """Wait for these, but not for long."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + LONGEST_TURN_SECONDS, FIRST_LOOK_SECONDS
    while pids and loop.time() < until:
        await asyncio.sleep(pause)
        pause *= 2
        pids = await _left(connection, pids)


async def _left(connection: Connection, pids: set[int]) -> set[int]:
    cursor = await connection.execute(_LEFT, (list(pids),))
    return {pid for (pid,) in await cursor.fetchall()}


def _counted(seen: dict[int, str], left: set[int]) -> Cut:
    ended: dict[str, int] = defaultdict(int)
    still: dict[str, list[int]] = defaultdict(list)
    for pid, account in seen.items():
        if pid in left:
            still[account].append(pid)
        else:
            ended[account] += 1
    return Cut(dict(ended), dict(still))
