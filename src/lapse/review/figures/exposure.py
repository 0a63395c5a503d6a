"""Exposure: privilege-hours held standing and under grants, and used, by tier and over time. With honest bounds.

Overlapping time of one permission counts once. What was used is between what was seen and what may have been: use is
only known where complete telemetry says so. Called by `audit`; `docs/review-figures.md` defines the figures.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lapse.ports import Engine
from lapse.review.figures.buckets import buckets_of, unit_of
from lapse.review.figures.intervals import BOUNDS, buckets_sql, merged, tag_sql
from lapse.review.figures.model import UNTIERED, ExposureFigures, Hours, TierExposure, TimeBucket
from lapse.review.figures.settings import FigureSettings
from lapse.review.model import Exposure, Snapshot
from lapse.review.sql import ISLANDS, ask

TIER = "tier"
"""The tag of a resource or entitlement that says which tier it is in; the entitlement's goes before."""

_TABLES = (
    "grants",
    "access_observed",
    "access_periods",
    "accounts",
    "usage",
    "coverage",
    "entitlements",
    "resources",
)
_NEEDED = {
    "grants": "granted hours",
    "access_observed": "standing hours",
    "usage": "used hours (their upper bound is all that was held)",
}
_OF_TIER, _OF_ROLE = -1, -2
"""Instead of the number of a bucket: rows that are of the whole period."""
_MS_AN_HOUR = 3_600_000
_SCORE_STEPS = 10_000
_PERMISSION = "resource, role, account"

_HELD = f"""
grants_held AS (
    SELECT g.resource, COALESCE(g.native_role, g.role) AS role, COALESCE(g.account, g.beneficiary) AS account,
        g.grant_id, GREATEST(g.activated_at, b.from_at) AS from_at,
        LEAST(COALESCE(g.ended_at, b.to_at), b.to_at) AS to_at
    FROM grants g CROSS JOIN bounds b
    WHERE g.activated_at < b.to_at AND COALESCE(g.ended_at, b.to_at) > b.from_at
),
still_there AS (
    SELECT resource, account, role, min(from_at) AS from_at FROM access_periods
    WHERE grant_id IS NULL AND to_at IS NULL
    GROUP BY resource, account, role
),
standing_held AS (
    SELECT a.resource, a.role, a.account,
        GREATEST(b.from_at, COALESCE(a.since, s.from_at, b.from_at)) AS from_at, b.to_at
    FROM access_observed a CROSS JOIN bounds b
    LEFT JOIN still_there s ON s.resource = a.resource AND s.account = a.account AND s.role = a.role
    WHERE a.grant_id IS NULL AND a.holding <> 'nested' AND COALESCE(a.can_login, TRUE)
        AND substr(a.account, 1, 3) <> 'pg_'
    UNION ALL
    SELECT p.resource, p.role, p.account, GREATEST(p.from_at, b.from_at), LEAST(COALESCE(p.to_at, b.to_at), b.to_at)
    FROM access_periods p CROSS JOIN bounds b
    LEFT JOIN accounts c ON c.resource = p.resource AND c.account = p.account
    WHERE p.grant_id IS NULL AND COALESCE(c.can_login, TRUE) AND substr(p.account, 1, 3) <> 'pg_'
        AND (p.to_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM access_observed o WHERE o.resource = p.resource))
        AND NOT EXISTS (
            SELECT 1 FROM grants g
            WHERE g.resource = p.resource AND g.account = p.account AND COALESCE(g.native_role, g.role) = p.role
                AND g.activated_at <= COALESCE(p.to_at, $as_of) AND COALESCE(g.ended_at, $as_of) >= p.from_at
        )
),
ways AS (
    SELECT 'standing' AS measure, {_PERMISSION}, from_at, to_at FROM standing_held
    UNION ALL
    SELECT 'granted', {_PERMISSION}, from_at, to_at FROM grants_held
    UNION ALL
    SELECT 'held', {_PERMISSION}, from_at, to_at FROM standing_held
    UNION ALL
    SELECT 'held', {_PERMISSION}, from_at, to_at FROM grants_held
),
{merged("ways", "holdings", f"measure, {_PERMISSION}").strip()}"""  # noqa: S608  constants of our own

_USED = f"""
uses AS (
    SELECT u.resource, u.account, u.role, u.grant_id, u.started_at AS from_at,
        GREATEST(COALESCE(u.ended_at, u.started_at), u.started_at + to_seconds($glimpse_s)) AS to_at
    FROM usage u CROSS JOIN bounds b
    WHERE u.started_at < b.to_at
),
roles_held AS (
    SELECT DISTINCT {_PERMISSION} FROM holdings WHERE measure = 'held'
),
accounts_held AS (
    SELECT resource, account, count(*) AS roles FROM roles_held GROUP BY resource, account
),
matched AS (
    SELECT g.resource, g.role, g.account, TRUE AS certain, u.from_at, u.to_at
    FROM uses u JOIN grants_held g ON g.grant_id = u.grant_id
    UNION ALL
    SELECT h.resource, h.role, h.account, n.role IS NOT NULL OR a.roles = 1, u.from_at, u.to_at
    FROM uses u
    JOIN roles_held h ON h.resource = u.resource AND h.account = u.account
    JOIN accounts_held a ON a.resource = h.resource AND a.account = h.account
    LEFT JOIN roles_held n ON n.resource = u.resource AND n.account = u.account AND n.role = u.role
    WHERE u.grant_id IS NULL AND (n.role IS NULL OR n.role = h.role)
),
covered AS (
    SELECT i.resource, GREATEST(i.from_at, b.from_at) AS from_at, LEAST(i.to_at, b.to_at) AS to_at
    FROM islands i CROSS JOIN bounds b
    WHERE i.from_at < b.to_at AND i.to_at > b.from_at
    UNION ALL
    SELECT h.resource, b.from_at, b.from_at FROM (SELECT DISTINCT resource FROM roles_held) h CROSS JOIN bounds b
),
gaps AS (
    SELECT c.resource, c.to_at AS from_at,
        COALESCE(lead(c.from_at) OVER (PARTITION BY c.resource ORDER BY c.from_at, c.to_at), b.to_at) AS to_at
    FROM covered c CROSS JOIN bounds b
),
traces AS (
    SELECT {_PERMISSION}, 'used_least' AS measure, from_at, to_at FROM matched WHERE certain
    UNION ALL
    SELECT {_PERMISSION}, 'used_most', from_at, to_at FROM matched
    UNION ALL
    SELECT r.resource, r.role, r.account, 'used_most', g.from_at, g.to_at
    FROM gaps g JOIN roles_held r ON r.resource = g.resource
    WHERE g.from_at < g.to_at
),
within AS (
    SELECT t.measure, h.resource, h.role, h.account,
        GREATEST(t.from_at, h.from_at) AS from_at, LEAST(t.to_at, h.to_at) AS to_at
    FROM traces t
    JOIN holdings h ON h.resource = t.resource AND h.role = t.role AND h.account = t.account
    WHERE h.measure = 'held' AND h.from_at < t.to_at AND t.from_at < h.to_at
),
{merged("within", "used", f"measure, {_PERMISSION}").strip()}"""  # noqa: S608  constants of our own

_TIERS = f"""
entitlement_tiers AS (
    SELECT resource, COALESCE(native_role, role) AS role, min(NULLIF({tag_sql("tags", TIER)}, '')) AS tier
    FROM entitlements GROUP BY resource, COALESCE(native_role, role)
),
resource_tiers AS (
    SELECT resource, min(NULLIF({tag_sql("tags", TIER)}, '')) AS tier FROM resources GROUP BY resource
),
everything AS (
    SELECT measure, {_PERMISSION}, from_at, to_at FROM holdings
    UNION ALL
    SELECT measure, {_PERMISSION}, from_at, to_at FROM used
),
placed AS (
    SELECT x.measure, COALESCE(e.tier, r.tier, '{UNTIERED}') AS tier, x.resource, x.role, x.account, x.from_at, x.to_at
    FROM everything x
    LEFT JOIN entitlement_tiers e ON e.resource = x.resource AND e.role = x.role
    LEFT JOIN resource_tiers r ON r.resource = x.resource
)"""  # noqa: S608  constants of our own

_PLACED = f"""
SELECT p.measure, p.tier, b.number, '' AS resource, '' AS role, count(*) AS permissions,
    sum(date_diff('millisecond', GREATEST(p.from_at, b.from_at), LEAST(p.to_at, b.to_at))) AS ms
FROM placed p JOIN buckets b ON p.from_at < b.to_at AND b.from_at < p.to_at
GROUP BY p.measure, p.tier, b.number
UNION ALL
SELECT measure, tier, {_OF_TIER}, '', '', count(*), 0
FROM (SELECT DISTINCT measure, tier, {_PERMISSION} FROM placed) d
GROUP BY measure, tier
UNION ALL
SELECT measure, tier, {_OF_ROLE}, resource, role, count(DISTINCT account),
    sum(date_diff('millisecond', from_at, to_at))
FROM placed
GROUP BY measure, tier, resource, role
ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608  constants of our own


def exposure_figures(
    engine: Engine, snapshot: Snapshot, settings: FigureSettings
) -> tuple[ExposureFigures, tuple[Exposure, ...]]:
    """The figures of a snapshot that is registered in `engine`, and the same hours by role, most first."""
    buckets = buckets_of(snapshot.manifest)
    parts = (BOUNDS, buckets_sql(buckets), ISLANDS, _HELD, _USED, _TIERS)
    sql = "WITH " + ",\n".join(part.strip() for part in parts) + _PLACED
    glimpse = {"glimpse_s": round(settings.glimpse.total_seconds())}
    rows = ask(engine, snapshot, sql, _TABLES, glimpse)
    missing = tuple(f"{what}: there is no evidence in `{t}`" for t, what in _NEEDED.items() if _absent(snapshot, t))
    figures = _figures(rows, buckets, settings)
    return replace(figures, unit=unit_of(snapshot.manifest), missing=missing), _by_role(rows)


def _by_role(rows: Iterable[Mapping[str, Any]]) -> tuple[Exposure, ...]:
    hours: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    holders: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row["number"] == _OF_ROLE:
            key = (row["resource"], row["role"])
            hours[key][row["measure"]] = int(row["ms"])
            holders[key][row["measure"]] = int(row["permissions"])
    found = [_role(*key, hours_of(ms), holders[key]) for key, ms in hours.items()]
    return tuple(sorted(found, key=lambda e: (-(e.standing_hours + e.granted_hours), e.resource, e.role)))


def _role(resource: str, role: str, hours: Hours, holders: Mapping[str, int]) -> Exposure:
    return Exposure(
        resource=resource,
        role=role,
        standing_hours=hours.standing,
        granted_hours=hours.granted,
        used_hours=hours.used_least if hours.use_known else None,
        holders_standing=holders.get("standing", 0),
        holders_granted=holders.get("granted", 0),
    )


def _absent(snapshot: Snapshot, table: str) -> bool:
    return table not in snapshot.manifest.present


def _figures(
    rows: Iterable[Mapping[str, Any]], buckets: Sequence[TimeBucket], settings: FigureSettings
) -> ExposureFigures:
    sums: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    permissions: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        if row["number"] == _OF_TIER:
            permissions[row["tier"], row["measure"]] = int(row["permissions"])
        elif row["number"] >= 0:
            sums[row["tier"]][row["number"]][row["measure"]] += int(row["ms"])
    tiers = [
        TierExposure(
            tier=tier,
            weight=settings.weight(tier),
            hours=hours_of(_added(found.values())),
            over_time=tuple(hours_of(found[number]) for number in range(len(buckets))),
            standing_permissions=permissions[tier, "standing"],
            granted_permissions=permissions[tier, "granted"],
        )
        for tier, found in sorted(sums.items())
    ]
    everything = [found for tier in sums.values() for found in tier.values()]
    weighed = [(settings.weight(tier), found) for tier, by in sums.items() for found in by.values()]
    return ExposureFigures(
        unit="",
        buckets=tuple(buckets),
        tiers=tuple(sorted(tiers, key=lambda t: (-t.weight, t.tier == UNTIERED, t.tier))),
        total=hours_of(_added(everything)),
        weighted=hours_of(_weighed(weighed)),
        over_time=tuple(hours_of(_added(by[n] for by in sums.values())) for n in range(len(buckets))),
    )


def _added(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for one in several:
        for measure, ms in one.items():
            total[measure] += ms
    return total


def _weighed(several: Iterable[tuple[float, Mapping[str, int]]]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for weight, one in several:
        for measure, ms in one.items():
            total[measure] += weight * ms
    return total


def hours_of(ms: Mapping[str, float]) -> Hours:
    """Hours from milliseconds by measure. The score is rounded down: it is 1 only where nothing stands."""
    standing, held = ms.get("standing", 0), ms.get("held", 0)
    return Hours(
        standing=_hours(standing),
        granted=_hours(ms.get("granted", 0)),
        held=_hours(held),
        used_least=_hours(ms.get("used_least", 0)),
        used_most=_hours(ms.get("used_most", 0)),
        score=math.floor(_SCORE_STEPS * (1 - standing / held)) / _SCORE_STEPS if held else None,
    )


def _hours(ms: float) -> float:
    return round(ms / _MS_AN_HOUR, 3)
