"""How requests were decided: how long it took, how often the answer was yes, by which set of approvers.

A time to decide begins when the approvers were asked (the stage before was done, or the request made) and ends with
their last vote. Called by `workflows`; `docs/review-figures.md` defines the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lapse.ports import Engine
from lapse.review.figures.model import ApprovalFigures, ApproverSet
from lapse.review.model import Snapshot
from lapse.review.sql import ask

_REQUESTS = """
SELECT r.state, count(*) AS n,
    sum(CASE WHEN r.state = 'approved' AND s.stages IS NULL AND NOT COALESCE(r.break_glass, FALSE) THEN 1 ELSE 0 END)
        AS automatic,
    sum(CASE WHEN COALESCE(r.break_glass, FALSE) THEN 1 ELSE 0 END) AS break_glass,
    sum(CASE WHEN v.delegated > 0 THEN 1 ELSE 0 END) AS delegated,
    sum(CASE WHEN e.subject IS NOT NULL THEN 1 ELSE 0 END) AS escalated
FROM requests r
LEFT JOIN (SELECT request_id, count(*) AS stages FROM stages GROUP BY request_id) s ON s.request_id = r.request_id
LEFT JOIN (
    SELECT request_id, sum(CASE WHEN on_behalf_of IS NOT NULL THEN 1 ELSE 0 END) AS delegated
    FROM decisions GROUP BY request_id
) v ON v.request_id = r.request_id
LEFT JOIN (
    SELECT DISTINCT subject FROM ledger_entries WHERE type = 'request.escalated'
) e ON e.subject = r.request_id
WHERE r.created_at >= $period_start AND r.created_at < $period_end
GROUP BY r.state
ORDER BY r.state
"""

_DECIDED = """
SELECT quantile_disc(wait_ms, 0.5) AS p50, quantile_disc(wait_ms, 0.95) AS p95
FROM (
    SELECT date_diff('millisecond', r.created_at, r.closed_at) AS wait_ms
    FROM requests r JOIN (SELECT DISTINCT request_id FROM decisions) d ON d.request_id = r.request_id
    WHERE r.state IN ('approved', 'denied') AND r.closed_at IS NOT NULL
        AND r.created_at >= $period_start AND r.created_at < $period_end
) w
"""

_STAGES = """
WITH votes AS (
    SELECT request_id, stage, min(decided_at) AS first_at, max(decided_at) AS last_at, count(*) AS votes,
        sum(CASE WHEN verdict = 'approve' THEN 1 ELSE 0 END) AS yes
    FROM decisions GROUP BY request_id, stage
),
stage_votes AS (
    SELECT r.request_id, r.state, r.created_at, r.offer, s.stage, s.position, COALESCE(s.approvers, '') AS approvers,
        v.first_at, v.last_at, COALESCE(v.votes, 0) AS votes, COALESCE(v.yes, 0) AS yes,
        CASE WHEN v.yes < v.votes THEN 'denied' WHEN v.yes >= s.quorum THEN 'approved'
            WHEN r.state = 'expired' THEN 'expired' ELSE 'open' END AS outcome
    FROM stages s
    JOIN requests r ON r.request_id = s.request_id
    LEFT JOIN votes v ON v.request_id = s.request_id AND v.stage = s.stage
    WHERE r.created_at >= $period_start AND r.created_at < $period_end
),
before AS (
    SELECT d.request_id, d.stage, max(b.last_at) AS done_at,
        min(CASE WHEN b.outcome = 'approved' THEN 1 ELSE 0 END) AS done
    FROM stage_votes d
    JOIN stage_votes b ON b.request_id = d.request_id AND b.position < d.position
        AND (b.last_at IS NULL OR d.first_at IS NULL OR b.last_at <= d.first_at)
    GROUP BY d.request_id, d.stage
),
asked AS (
    SELECT d.approvers, d.offer, d.stage, d.outcome, d.votes, d.yes,
        CASE WHEN d.outcome IN ('approved', 'denied')
            THEN date_diff('millisecond', GREATEST(d.created_at, COALESCE(b.done_at, d.created_at)), d.last_at)
        END AS wait_ms
    FROM stage_votes d LEFT JOIN before b ON b.request_id = d.request_id AND b.stage = d.stage
    WHERE d.votes > 0 OR COALESCE(b.done, 1) = 1
)
"""
_FIGURES = """
    count(*) AS asked,
    sum(CASE WHEN outcome = 'approved' THEN 1 ELSE 0 END) AS approved,
    sum(CASE WHEN outcome = 'denied' THEN 1 ELSE 0 END) AS denied,
    sum(CASE WHEN outcome = 'expired' THEN 1 ELSE 0 END) AS expired,
    sum(votes) AS votes, sum(yes) AS yes,
    quantile_disc(wait_ms, 0.5) AS p50, quantile_disc(wait_ms, 0.95) AS p95
FROM asked
"""
_BY_SET = f"""{_STAGES} SELECT approvers, {_FIGURES.strip()} GROUP BY approvers ORDER BY asked DESC, approvers"""
_BY_STAGE = f"""{_STAGES} SELECT approvers, offer, stage, {_FIGURES.strip()} WHERE offer IS NOT NULL
GROUP BY offer, stage, approvers ORDER BY offer, stage, approvers"""
_OVERALL = f"""{_STAGES} SELECT '' AS approvers, {_FIGURES.strip()}"""
_TABLES = ("requests", "stages", "decisions", "ledger_entries")


def approval_figures(engine: Engine, snapshot: Snapshot, rederived: Mapping[str, int]) -> ApprovalFigures | None:
    """The figures of the requests made in the period; None where none were collected.

    `rederived` counts past requests by what deciding them again came to.
    """
    present = snapshot.manifest.present
    if not {"requests", "decisions"} <= present:
        return None
    rows = ask(engine, snapshot, _REQUESTS, _TABLES)
    decided, overall = (ask(engine, snapshot, sql, _TABLES)[0] for sql in (_DECIDED, _OVERALL))
    return ApprovalFigures(
        requests={row["state"]: int(row["n"]) for row in rows},
        automatic=_sum(rows, "automatic") if "stages" in present else 0,
        break_glass=_sum(rows, "break_glass"),
        escalated=_sum(rows, "escalated") if "ledger_entries" in present else None,
        by_delegation=_sum(rows, "delegated"),
        p50_ms=_whole(decided["p50"]),
        p95_ms=_whole(decided["p95"]),
        overall=_set(overall),
        sets=tuple(map(_set, ask(engine, snapshot, _BY_SET, _TABLES))),
        rederived=dict(sorted(rederived.items())),
    )


def stages_of_offers(engine: Engine, snapshot: Snapshot) -> tuple[tuple[str, str, ApproverSet], ...]:
    """(offer, name of the stage, figures) of every stage that requests of the period had under an offer."""
    rows = ask(engine, snapshot, _BY_STAGE, _TABLES)
    return tuple((row["offer"], row["stage"], _set(row)) for row in rows)


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def _set(row: Mapping[str, Any]) -> ApproverSet:
    votes = int(row["votes"] or 0)
    return ApproverSet(
        approvers=row["approvers"],
        asked=int(row["asked"]),
        approved=int(row["approved"] or 0),
        denied=int(row["denied"] or 0),
        expired=int(row["expired"] or 0),
        votes=votes,
        approval_rate=round(int(row["yes"]) / votes, 4) if votes else None,
        p50_ms=_whole(row["p50"]),
        p95_ms=_whole(row["p95"]),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
