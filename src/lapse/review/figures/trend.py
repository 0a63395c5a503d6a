"""How a review compares with those before it: from the register of reviews, and from what earlier ones kept.

What an earlier review did not keep is not known, never 0. Called by `stages` for the result, and by `changes` for what
later reviews must know of this one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lapse.domain.reviews import Finding
from lapse.review.figures.buckets import bounds_of
from lapse.review.figures.model import KeyFigures, LagObjective, TrendPoint
from lapse.review.sql import ask

if TYPE_CHECKING:
    from lapse.ports import Engine
    from lapse.review.model import ExpiryLag, PastReview, ReviewResult, Snapshot

MOST_POINTS = 24
_HOUR_S = 3_600
_DAY_S = 86_400

_REVIEWS = """
SELECT review_id, min(started_at) AS started_at, min(period_start) AS period_start, max(period_end) AS period_end,
    count(DISTINCT resource) AS resources, max(sealed_at) AS sealed_at,
    max(due_at) AS due_at
FROM reviews
WHERE started_at < $as_of
GROUP BY review_id
ORDER BY started_at, review_id
"""
_DECISIONS = """
SELECT review_id, decision, count(*) AS n, sum(CASE WHEN by_default THEN 1 ELSE 0 END) AS by_default,
    sum(CASE WHEN decision = 'revoke' AND carried_out_at IS NOT NULL THEN 1 ELSE 0 END) AS carried_out
FROM review_decisions
GROUP BY review_id, decision
ORDER BY review_id, decision
"""


def key_figures(result: ReviewResult) -> KeyFigures:
    """The figures of a review that later ones are compared with."""
    exposure, approvals = result.audit.figures, result.workflows.approvals
    lag = result.workflows.lag[0] if result.workflows.lag else None
    total = exposure.total if exposure else None
    start, end = bounds_of(result.snapshot.manifest)
    return KeyFigures(
        period_hours=round((end - start).total_seconds() / _HOUR_S, 3),
        standing_hours=total.standing if total else None,
        granted_hours=total.granted if total else None,
        used_least_hours=total.used_least if total else None,
        used_most_hours=total.used_most if total else None,
        score=total.score if total else None,
        weighted_score=exposure.weighted.score if exposure else None,
        lag_p95_ms=lag.p95.ms if lag and lag.p95 else None,
        lag_not_ended=lag.not_ended if lag else None,
        objective_met=_objective(lag).met if lag else None,
        decide_p50_ms=approvals.p50_ms if approvals else None,
        decide_p95_ms=approvals.p95_ms if approvals else None,
        approval_rate=approvals.overall.approval_rate if approvals else None,
        different=len(result.workflows.different) if result.workflows.rederived else None,
    )


def _objective(lag: ExpiryLag) -> LagObjective:
    return lag.objective or LagObjective(within_ms=0, share=0)


def trend(engine: Engine, snapshot: Snapshot, past: Sequence[PastReview], now: PastReview) -> tuple[TrendPoint, ...]:
    """Earlier reviews in the order of time, then `now`; the newest `MOST_POINTS` of them."""
    points = {one.review_id: _kept(one) for one in past}
    for row in ask(engine, snapshot, _REVIEWS, ["reviews"]):
        known = points.get(row["review_id"])
        if known is None and row["sealed_at"] is None and row["due_at"] is None:
            continue  # It was begun, and never came to where anything is known or decided.
        points[row["review_id"]] = _registered(row, known.figures if known else None, known.findings if known else None)
    votes = defaultdict(list)
    for row in ask(engine, snapshot, _DECISIONS, ["review_decisions"]):
        votes[row["review_id"]].append(row)
    earlier = [_decided(point, votes[name]) for name, point in points.items() if name != now.review_id]
    start, end = bounds_of(snapshot.manifest)
    last = TrendPoint(
        review_id=now.review_id,
        at=now.at,
        period_start=start,
        period_end=end,
        resources=len(now.resources),
        figures=now.figures,
        findings=_by_severity(now.findings),
    )
    return (*sorted(earlier, key=lambda point: (point.at, point.review_id))[1 - MOST_POINTS :], last)


def _registered(row: Mapping[str, Any], figures: KeyFigures | None, findings: Mapping[str, int] | None) -> TrendPoint:
    return TrendPoint(
        review_id=row["review_id"],
        at=row["started_at"],
        period_start=row["period_start"],
        period_end=row["period_end"],
        resources=int(row["resources"]),
        days_to_seal=_days(row["started_at"], row["sealed_at"]),
        figures=figures,
        findings=findings,
    )


def _kept(past: PastReview) -> TrendPoint:
    return TrendPoint(
        review_id=past.review_id,
        at=past.at,
        resources=len(past.resources),
        figures=past.figures,
        findings=_by_severity(past.findings),
    )


def _decided(point: TrendPoint, rows: Sequence[Mapping[str, Any]]) -> TrendPoint:
    counts = {row["decision"]: int(row["n"]) for row in rows}
    return replace(
        point,
        decisions=counts if rows else None,
        by_default=sum(int(row["by_default"]) for row in rows),
        due=counts.get("revoke", 0),
        carried_out=sum(int(row["carried_out"]) for row in rows),
    )


def _by_severity(findings: Iterable[Finding]) -> dict[str, int]:
    return dict(Counter(str(finding.severity) for finding in findings))


def _days(started: datetime, sealed: datetime | None) -> float | None:
    return None if sealed is None else round((sealed - started).total_seconds() / _DAY_S, 1)
