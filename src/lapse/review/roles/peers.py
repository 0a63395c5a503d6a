"""Movers against the peers of their new job, and what most people of one job hold: advice for those who know the work.

A team is a department and title together; in small ones nothing is usual or unusual. Called by `validation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from lapse.ports import Engine
from lapse.review.model import Snapshot
from lapse.review.roles.model import Mover, PeerHolding, Team
from lapse.review.sql import ask

FEWEST_PEERS = 4
"""Others in the team; with fewer of them a share says nothing."""
UNUSUAL_SHARE = 0.25
"""Held by at most this share of the peers it is unusual."""
USUAL_SHARE = 0.75
"""Held by at least this share of a team it is usual there."""
MOST_TEAMS, MOST_MOVERS = 200, 500

_TABLES = ("principals", "people_events", "grants", "access_observed", "requests", "decisions")
_TEAMS = """
WITH people AS (
    SELECT principal, COALESCE(department, '') || ' / ' || COALESCE(title, '') AS team FROM principals
    WHERE kind = 'person' AND active AND alias_of IS NULL AND (department IS NOT NULL OR title IS NOT NULL)
),
approvals AS (
    SELECT request_id, max(decided_at) AS approved_at FROM decisions WHERE verdict = 'approve' GROUP BY request_id
),
held_now AS (
    SELECT g.beneficiary AS principal, g.resource, COALESCE(g.native_role, g.role) AS role,
        min(COALESCE(a.approved_at, g.created_at, g.activated_at)) AS since
    FROM grants g LEFT JOIN approvals a ON a.request_id = g.request_id
    WHERE g.state IN ('activating', 'active', 'revoking', 'revoke_failed')
    GROUP BY g.beneficiary, g.resource, COALESCE(g.native_role, g.role)
    UNION ALL
    SELECT principal, resource, role, min(since) FROM access_observed
    WHERE grant_id IS NULL AND principal IS NOT NULL AND holding <> 'nested'
    GROUP BY principal, resource, role
),
held AS (
    SELECT principal, resource, role, since FROM held_now
    UNION ALL
    SELECT beneficiary, resource, COALESCE(native_role, role), activated_at FROM grants
    WHERE activated_at < $period_end AND COALESCE(ended_at, $as_of) >= $period_start
),
sizes AS (
    SELECT team, count(*) AS people FROM people GROUP BY team
),
shares AS (
    SELECT p.team, h.resource, h.role, count(DISTINCT h.principal) AS holders
    FROM held h JOIN people p ON p.principal = h.principal
    GROUP BY p.team, h.resource, h.role
)
"""
_USUAL = f"""{_TEAMS}
SELECT z.team, z.people, s.resource, s.role, s.holders
FROM sizes z JOIN shares s ON s.team = z.team
WHERE z.people > {FEWEST_PEERS} AND s.holders >= {USUAL_SHARE} * z.people
ORDER BY z.people DESC, z.team, s.holders DESC, s.resource, s.role
"""  # noqa: S608  constants of our own
_MOVERS = f"""{_TEAMS.rstrip()},
moves AS (
    SELECT principal, max(happened_at) AS moved_at, max(detail) AS detail FROM people_events
    WHERE event = 'moved' AND happened_at <= $as_of
    GROUP BY principal
)
SELECT m.principal, m.moved_at, m.detail, p.team, z.people, h.resource, h.role, h.since, s.holders
FROM moves m
JOIN people p ON p.principal = m.principal
JOIN sizes z ON z.team = p.team
JOIN (
    SELECT principal, resource, role, min(since) AS since FROM held_now GROUP BY principal, resource, role
) h ON h.principal = m.principal
JOIN shares s ON s.team = p.team AND s.resource = h.resource AND s.role = h.role
WHERE COALESCE(h.since, m.moved_at) <= m.moved_at
ORDER BY m.moved_at DESC, m.principal, h.resource, h.role
"""  # noqa: S608  constants of our own


def teams(engine: Engine, snapshot: Snapshot) -> tuple[Team, ...]:
    """What most people of each team hold or held in the period; the largest teams first."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in ask(engine, snapshot, _USUAL, _TABLES):
        found[row["team"]].append(row)
    return tuple(
        Team(team=_tidy(name), people=int(rows[0]["people"]), usual=tuple(_of_team(row) for row in rows))
        for name, rows in list(found.items())[:MOST_TEAMS]
    )


def movers(engine: Engine, snapshot: Snapshot) -> tuple[Mover, ...]:
    """Who changed jobs and still holds what is from before, the latest first."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in ask(engine, snapshot, _MOVERS, _TABLES):
        found[row["principal"]].append(row)
    return tuple(_mover(name, rows) for name, rows in list(found.items())[:MOST_MOVERS])


def _mover(name: str, rows: Iterable[Mapping[str, Any]]) -> Mover:
    listed = list(rows)
    first = listed[0]
    peers = int(first["people"]) - 1
    held = [_of_mover(row, peers) for row in listed]
    known = peers >= FEWEST_PEERS
    return Mover(
        principal=name,
        moved_at=first["moved_at"],
        change=first["detail"] or "",
        team=_tidy(first["team"]),
        peers=peers,
        unusual=tuple(one for one in held if known and one.share <= UNUSUAL_SHARE),
        usual=tuple(one for one in held if known and one.share > UNUSUAL_SHARE),
        not_comparable=() if known else tuple(held),
    )


def _of_team(row: Mapping[str, Any]) -> PeerHolding:
    return PeerHolding(
        resource=row["resource"], role=row["role"], peers_holding=int(row["holders"]), peers=int(row["people"])
    )


def _of_mover(row: Mapping[str, Any], peers: int) -> PeerHolding:
    """The mover holds it, and is no peer of themselves."""
    return PeerHolding(
        resource=row["resource"],
        role=row["role"],
        peers_holding=int(row["holders"]) - 1,
        peers=peers,
        since=row["since"],
    )


def _tidy(team: str) -> str:
    return team.strip(" /")
