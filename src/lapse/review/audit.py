"""Step 2b, audit: who holds what now and until when, what never expires, and how much exposure that is.

Takes a snapshot registered in an engine, returns `AuditResult`. Runs the detectors of scope and audit.
"""

from __future__ import annotations

from collections.abc import Sequence

from lapse.ports import Engine
from lapse.review.detector import run_detectors
from lapse.review.figures.exposure import exposure_figures
from lapse.review.figures.settings import settings_of
from lapse.review.holdings import GRANT, Holding, holdings
from lapse.review.model import ActiveGrant, AuditResult, Exposure, Snapshot, StandingAccess
from lapse.review.sql import ISLANDS, ask

STEPS = (1, 2)
_EXPOSURE_TABLES = ("grants", "access_observed", "usage", "coverage")

_EXPOSURE = f"""
WITH {ISLANDS.strip()},
bounds AS (
    SELECT CAST($period_start AS TIMESTAMPTZ) AS from_at,
        GREATEST(CAST($period_start AS TIMESTAMPTZ),
            LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))) AS to_at
),
granted AS (
    SELECT g.resource, COALESCE(g.native_role, g.role) AS role, g.beneficiary, g.grant_id,
        GREATEST(g.activated_at, b.from_at) AS from_at, LEAST(COALESCE(g.ended_at, b.to_at), b.to_at) AS to_at
    FROM grants g CROSS JOIN bounds b
    WHERE g.activated_at < b.to_at AND COALESCE(g.ended_at, b.to_at) > b.from_at
),
granted_hours AS (
    SELECT resource, role, sum(date_diff('second', from_at, to_at)) / 3600.0 AS hours,
        count(DISTINCT beneficiary) AS holders
    FROM granted GROUP BY resource, role
),
used_hours AS (
    SELECT g.resource, g.role, sum(GREATEST(0, date_diff('second', GREATEST(u.started_at, g.from_at),
        LEAST(COALESCE(u.ended_at, u.started_at), g.to_at)))) / 3600.0 AS hours
    FROM usage u JOIN granted g ON g.grant_id = u.grant_id
    GROUP BY g.resource, g.role
),
standing AS (
    SELECT a.resource, a.role, count(DISTINCT a.account) AS holders,
        count(DISTINCT a.account) * max(date_diff('second', b.from_at, b.to_at)) / 3600.0 AS hours
    FROM access_observed a CROSS JOIN bounds b
    WHERE a.grant_id IS NULL AND a.holding <> 'nested' AND COALESCE(a.can_login, TRUE)
        AND substr(a.account, 1, 3) <> 'pg_'
    GROUP BY a.resource, a.role
),
covered AS (
    SELECT i.resource FROM islands i CROSS JOIN bounds b WHERE i.from_at <= b.from_at AND i.to_at >= b.to_at
)
SELECT COALESCE(g.resource, s.resource) AS resource, COALESCE(g.role, s.role) AS role,
    COALESCE(s.hours, 0) AS standing_hours, COALESCE(g.hours, 0) AS granted_hours,
    CASE WHEN c.resource IS NULL THEN NULL ELSE COALESCE(u.hours, 0) END AS used_hours,
    COALESCE(s.holders, 0) AS holders_standing, COALESCE(g.holders, 0) AS holders_granted
FROM granted_hours g
FULL OUTER JOIN standing s ON s.resource = g.resource AND s.role = g.role
LEFT JOIN used_hours u ON u.resource = COALESCE(g.resource, s.resource) AND u.role = COALESCE(g.role, s.role)
LEFT JOIN covered c ON c.resource = COALESCE(g.resource, s.resource)
ORDER BY standing_hours + granted_hours DESC, 1, 2
"""  # noqa: S608  a constant of our own is put in


def audit(engine: Engine, snapshot: Snapshot) -> AuditResult:
    """Step 2 on a snapshot that is registered in `engine`."""
    held = holdings(engine, snapshot)
    active = tuple(_active(h) for h in held if h.holding == GRANT)
    standing = tuple(_standing(h) for h in held if h.holding != GRANT)
    assessment = run_detectors(engine, snapshot, STEPS)
    return AuditResult(
        active_grants=active,
        standing=standing,
        exposure=exposure(engine, snapshot),
        figures=exposure_figures(engine, snapshot, settings_of(snapshot.manifest.scope)),
        counts=_counts(snapshot, active, standing),
        findings=assessment.findings,
        runs=assessment.runs,
    )


def exposure(engine: Engine, snapshot: Snapshot) -> tuple[Exposure, ...]:
    """Privilege-hours by role in the period, most first. Standing access counts for the whole period."""
    return tuple(
        Exposure(
            resource=row["resource"],
            role=row["role"],
            standing_hours=round(float(row["standing_hours"]), 3),
            granted_hours=round(float(row["granted_hours"]), 3),
            used_hours=None if row["used_hours"] is None else round(float(row["used_hours"]), 3),
            holders_standing=int(row["holders_standing"]),
            holders_granted=int(row["holders_granted"]),
        )
        for row in ask(engine, snapshot, _EXPOSURE, _EXPOSURE_TABLES)
    )


def _active(held: Holding) -> ActiveGrant:
    return ActiveGrant(
        grant_id=held.grant_id or "",
        resource=held.resource,
        role=held.role,
        account=held.account,
        principal=held.principal,
        state=held.state,
        starts_at=held.window_from,
        ends_at=held.ends_at,
        task=held.task,
        ticket=held.ticket,
        approved_by=held.approved_by,
        usage=held.usage,
        last_used=held.last_used,
    )


def _standing(held: Holding) -> StandingAccess:
    return StandingAccess(
        resource=held.resource,
        account=held.account,
        principal=held.principal,
        role=held.role,
        via=held.via,
        powers=held.powers,
        admin_option=held.admin_option,
        can_login=held.can_login,
        valid_until=held.ends_at,
        known_since=None,
        last_used=held.last_used,
        usage=held.usage,
        reason=_reason(held),
    )


def _reason(held: Holding) -> str:
    if held.excepted:
        return f"on the exception register: {held.excepted}"
    if held.out_of_band:
        return "no grant accounts for it"
    if held.via:
        return f"held through {' > '.join(held.via)}"
    return "no end" if held.ends_at is None else f"ends on the target at {held.ends_at:%Y-%m-%d}"


def _counts(snapshot: Snapshot, active: Sequence[ActiveGrant], standing: Sequence[StandingAccess]) -> dict[str, int]:
    rows = {table.table: table.rows for table in snapshot.manifest.tables if table.file}
    return {
        **rows,
        "active_grants": len(active),
        "standing_access": sum(1 for s in standing if not s.via),
        "inherited_access": sum(1 for s in standing if s.via),
    }
