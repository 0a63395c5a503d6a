"""Every permission in force when the population was read, with the use that was seen of it.

A holding is a live grant, standing access, or access through other roles. Its use is `unused` only if every use
in its whole window would have been recorded. Called by `audit` and `validate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lapse.domain.reviews import Usage
from lapse.ports import Engine
from lapse.review.model import Snapshot
from lapse.review.sql import ISLANDS, ask

GRANT, STANDING, INHERITED = "grant", "standing", "inherited"
_TABLES = (
    "grants",
    "access_observed",
    "accounts",
    "requests",
    "decisions",
    "usage",
    "coverage",
    "exceptions",
    "principals",
    "resources",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One permission in force. `window_from`..`window_to` is the time its use was looked for in.

    `peers_holding` of the `peers` in the holder's `team` (department and title) hold it too, the holder included.
    """

    holding: str
    resource: str
    account: str
    role: str
    principal: str
    window_from: datetime
    window_to: datetime
    covered: bool
    grant_id: str | None = None
    request_id: str | None = None
    state: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    task: str = ""
    ticket: str = ""
    approved_by: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    admin_option: bool = False
    can_login: bool = False
    out_of_band: bool = False
    excepted: str = ""
    last_used: datetime | None = None
    uses: int | None = None
    actions: tuple[str, ...] = ()
    peers_holding: int = 0
    peers: int = 0
    team: str = ""
    owner: str = ""
    tags: str = ""

    @property
    def usage(self) -> Usage:
        """Used, unused or unknown; never unused without complete coverage."""
        if self.last_used is not None:
            return Usage.USED
        return Usage.UNUSED if self.covered else Usage.UNKNOWN

    @property
    def coverage(self) -> str:
        """What is known of the window, in words."""
        window = f"{self.window_from:%Y-%m-%d} to {self.window_to:%Y-%m-%d}"
        return f"complete, {window}" if self.covered else f"not complete, {window}"


_SQL = f"""
WITH {ISLANDS.strip()},
votes AS (
    SELECT request_id, string_agg(DISTINCT person, ';' ORDER BY person) AS persons
    FROM decisions WHERE verdict = 'approve' GROUP BY request_id
),
held AS (
    SELECT 'grant' AS holding, g.resource, COALESCE(g.account, '') AS account, g.role,
        g.beneficiary AS principal, g.grant_id, g.request_id, g.state, g.activated_at AS starts_at, g.ends_at,
        r.justification AS task, r.ticket, v.persons AS approved_by, CAST(NULL AS VARCHAR) AS via,
        CAST(NULL AS VARCHAR) AS powers, FALSE AS admin_option, TRUE AS can_login, FALSE AS out_of_band,
        CAST(NULL AS VARCHAR) AS excepted,
        COALESCE(g.activated_at, g.starts_at) AS from_at, CAST($as_of AS TIMESTAMPTZ) AS to_at
    FROM grants g
    LEFT JOIN requests r ON r.request_id = g.request_id
    LEFT JOIN votes v ON v.request_id = g.request_id
    WHERE g.state IN ('activating', 'active', 'revoking', 'revoke_failed')
    UNION ALL
    SELECT CASE WHEN a.holding = 'nested' THEN 'inherited' ELSE 'standing' END, a.resource, a.account, a.role,
        a.principal, NULL, NULL, '', NULL, a.valid_until, NULL, NULL, NULL, a.via, a.powers,
        COALESCE(a.admin_option, FALSE), COALESCE(a.can_login, FALSE),
        COALESCE(a.managed, FALSE) AND NOT COALESCE(a.baseline, TRUE),
        (SELECT min(e.owner || ' until ' || strftime(e.until, '%Y-%m-%d')) FROM exceptions e
            WHERE e.resource = a.resource AND e.account = a.account
                AND (e.role IS NULL OR e.role = a.role) AND e.finding IS NULL AND e.until > $as_of),
        $period_start, LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))
    FROM access_observed a
    WHERE a.grant_id IS NULL AND COALESCE(a.can_login, TRUE) AND substr(a.account, 1, 3) <> 'pg_'
        AND (a.holding <> 'nested' OR substr(split_part(a.via, ' > ', a.depth), 1, 3) <> 'pg_')
),
numbered AS (
    SELECT *, row_number() OVER (ORDER BY resource, account, role, holding, grant_id, via) AS number FROM held
),
used AS (
    SELECT resource, account, grant_id, role,
        max(CASE WHEN started_at < $as_of THEN COALESCE(ended_at, started_at) END) AS until_now,
        max(CASE WHEN started_at < $as_of AND started_at < $period_end THEN COALESCE(ended_at, started_at) END)
            AS in_period,
        count(*) AS uses,
        sum(CASE WHEN started_at >= $period_start AND started_at < $period_end THEN 1 ELSE 0 END) AS uses_in_period,
        min(action) AS action, max(action) AS another
    FROM usage
    GROUP BY resource, account, grant_id, role
),
by_use AS (
    SELECT h.number, u.until_now AS last_used, CASE WHEN u.grant_id IS NULL THEN NULL ELSE u.uses END AS uses,
        u.action, u.another
    FROM numbered h
    JOIN used u ON u.resource = h.resource AND u.account = h.account
    WHERE h.grant_id IS NOT NULL AND (u.grant_id IS NULL OR u.grant_id = h.grant_id) AND u.until_now >= h.from_at
    UNION ALL
    SELECT h.number, u.in_period, u.uses_in_period, u.action, u.another
    FROM numbered h
    JOIN used u ON u.resource = h.resource AND u.account = h.account
    WHERE h.grant_id IS NULL AND u.grant_id IS NULL AND (u.role IS NULL OR u.role = h.role)
        AND u.in_period >= h.from_at
),
last_use AS (
    SELECT number, max(last_used) AS last_used, sum(uses) AS uses, min(action) AS action, max(another) AS another
    FROM by_use GROUP BY number
),
teams AS (
    SELECT principal, COALESCE(department, '') || ' / ' || COALESCE(title, '') AS team
    FROM principals WHERE kind = 'person' AND active AND (department IS NOT NULL OR title IS NOT NULL)
),
sizes AS (
    SELECT team, count(*) AS people FROM teams GROUP BY team
),
shares AS (
    SELECT t.team, h.resource, h.role, count(DISTINCT h.principal) AS holders
    FROM held h JOIN teams t ON t.principal = h.principal
    GROUP BY t.team, h.resource, h.role
)
SELECT h.*, l.last_used, l.uses, l.action, l.another, s.holders, z.people, t.team, r.owner, r.tags,
    EXISTS (
        SELECT 1 FROM islands i
        WHERE i.resource = h.resource AND i.from_at <= h.from_at AND i.to_at >= h.to_at
    ) AS covered
FROM numbered h
LEFT JOIN last_use l ON l.number = h.number
LEFT JOIN resources r ON r.resource = h.resource
LEFT JOIN teams t ON t.principal = h.principal
LEFT JOIN sizes z ON z.team = t.team
LEFT JOIN shares s ON s.team = t.team AND s.resource = h.resource AND s.role = h.role
ORDER BY h.number
"""  # noqa: S608  a constant of our own is put in


def holdings(engine: Engine, snapshot: Snapshot) -> list[Holding]:
    """All holdings, ordered by resource, account and role."""
    return [_holding(row) for row in ask(engine, snapshot, _SQL, _TABLES)]


def _holding(row: dict[str, Any]) -> Holding:
    return Holding(
        holding=row["holding"],
        resource=row["resource"],
        account=row["account"],
        role=row["role"],
        principal=row["principal"] or "",
        window_from=row["from_at"],
        window_to=max(row["from_at"], row["to_at"]),
        covered=row["covered"],
        grant_id=row["grant_id"],
        request_id=row["request_id"],
        state=row["state"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        task=row["task"] or "",
        ticket=row["ticket"] or "",
        approved_by=_parts(row["approved_by"], ";"),
        via=_parts(row["via"], " > "),
        powers=_parts(row["powers"], ";"),
        admin_option=row["admin_option"],
        can_login=row["can_login"],
        out_of_band=row["out_of_band"],
        excepted=row["excepted"] or "",
        last_used=row["last_used"],
        uses=None if row["uses"] is None else int(row["uses"]),
        actions=tuple(dict.fromkeys(one for one in (row["action"], row["another"]) if one)),
        peers_holding=int(row["holders"] or 0),
        peers=int(row["people"] or 0),
        team=row["team"] or "",
        owner=row["owner"] or "",
        tags=row["tags"] or "",
    )


def _parts(text: str | None, separator: str) -> tuple[str, ...]:
    return tuple(text.split(separator)) if text else ()
