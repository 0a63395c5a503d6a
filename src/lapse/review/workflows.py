"""Step 4, workflows: do past decisions re-derive, does access end when promised, and how do approvals go?

Takes a snapshot registered in an engine; returns the result and the snapshot with the tables it derived
(`rederivations`, `approver_sets`), unless they were supplied.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lapse.domain.errors import Corrupt
from lapse.ledger import canonical
from lapse.ledger.entry import Entry
from lapse.ports import Engine
from lapse.review.collection.snapshot import add_derived, register_all
from lapse.review.detection.detector import run_detectors
from lapse.review.figures.approvals import approval_figures
from lapse.review.figures.model import LagObjective
from lapse.review.figures.settings import settings_of
from lapse.review.lag import Lag, by_resource
from lapse.review.model import ExpiryLag, Pattern, Rederivation, Snapshot, WorkflowResult
from lapse.review.replay import DIFFERENT, NOT_DERIVABLE, SAME, Replay
from lapse.review.sql import ask

STEPS = (4,)
_PIECE = 5_000
_MOST_LISTED = 1_000

_LAG = """
SELECT resource, FALSE AS running, date_diff('millisecond', end_due_at, ended_at) AS ms, count(*) AS n
FROM grants
WHERE activated_at IS NOT NULL AND end_due_at IS NOT NULL
    AND ended_at >= $period_start AND ended_at < $period_end
GROUP BY 1, 2, 3
UNION ALL
SELECT resource, TRUE, date_diff('millisecond', end_due_at, CAST($as_of AS TIMESTAMPTZ)), count(*)
FROM grants
WHERE state IN ('activating', 'active', 'revoking', 'revoke_failed') AND ended_at IS NULL AND end_due_at < $as_of
GROUP BY 1, 2, 3
"""

_PATTERNS = """
WITH decided AS (
    SELECT date_diff('millisecond', r.created_at, d.decided_at) AS wait, d.verdict, d.person
    FROM decisions d JOIN requests r ON r.request_id = d.request_id
    WHERE d.decided_at >= $period_start AND d.decided_at < $period_end
),
asked AS (
    SELECT * FROM requests WHERE created_at >= $period_start AND created_at < $period_end
)
SELECT 'approval_wait_p50' AS name, 'Median wait for a decision' AS title, 'ms' AS unit,
    quantile_disc(wait, 0.5) AS value, count(*) AS n FROM decided
UNION ALL
SELECT 'approval_wait_p95', 'Wait for a decision, 95th percentile', 'ms',
    quantile_disc(wait, 0.95), count(*) FROM decided
UNION ALL
SELECT 'decided_within_10s', 'Decisions taken within 10 seconds of the request', '%',
    100.0 * avg(CASE WHEN wait <= 10000 THEN 1 ELSE 0 END), count(*) FROM decided
UNION ALL
SELECT 'denied', 'Votes that said no', '%',
    100.0 * avg(CASE WHEN verdict = 'deny' THEN 1 ELSE 0 END), count(*) FROM decided
UNION ALL
SELECT 'busiest_approver', 'Share of all votes that the busiest approver cast', '%',
    100.0 * max(n) / sum(n), sum(n) FROM (SELECT person, count(*) AS n FROM decided GROUP BY person)
UNION ALL
SELECT 'expired', 'Requests that nobody decided in time', '%',
    100.0 * avg(CASE WHEN state = 'expired' THEN 1 ELSE 0 END), count(*) FROM asked
UNION ALL
SELECT 'extensions', 'Requests that extend a grant', '%',
    100.0 * avg(CASE WHEN extends IS NOT NULL THEN 1 ELSE 0 END), count(*) FROM asked
"""


def workflows(engine: Engine, snapshot: Snapshot) -> tuple[WorkflowResult, Snapshot]:
    """Step 4 on a snapshot that is registered in `engine`; the derived tables are registered as well."""
    snapshot = derive(engine, snapshot)
    counted = ask(
        engine, snapshot, "SELECT outcome, count(*) AS n FROM rederivations GROUP BY outcome", ["rederivations"]
    )
    by_outcome = {row["outcome"]: int(row["n"]) for row in counted}
    assessment = run_detectors(engine, snapshot, STEPS)
    result = WorkflowResult(
        rederived=sum(by_outcome.values()),
        same=by_outcome.get(SAME, 0),
        different=_listed(engine, snapshot, DIFFERENT),
        not_derivable=_listed(engine, snapshot, NOT_DERIVABLE),
        lag=expiry_lags(engine, snapshot),
        counts={f"rederivations {outcome}": n for outcome, n in sorted(by_outcome.items())},
        patterns=patterns(engine, snapshot),
        approvals=approval_figures(engine, snapshot, by_outcome),
        findings=assessment.findings,
        runs=assessment.runs,
    )
    return result, snapshot


def derive(engine: Engine, snapshot: Snapshot) -> Snapshot:
    """The snapshot with its derived tables; without ledger, policies and requests nothing can be derived."""
    if not {"ledger_entries", "policies", "requests"} <= snapshot.manifest.present:
        return snapshot
    if {"rederivations", "approver_sets"} <= snapshot.manifest.present:
        return snapshot
    replay = Replay(_policies(engine, snapshot))
    for entry in _entries(engine, snapshot):
        replay.feed(entry)
    requests = ask(engine, snapshot, "SELECT request_id, state FROM requests ORDER BY request_id", ["requests"])
    known = [(row["request_id"], row["state"]) for row in requests]
    source = "replay of the ledger"
    snapshot = add_derived(snapshot, "rederivations", map(_row, replay.results(known)), source)
    snapshot = add_derived(snapshot, "approver_sets", _approvers(replay, (name for name, _ in known)), source)
    register_all(engine, snapshot)
    return snapshot


def expiry_lags(engine: Engine, snapshot: Snapshot) -> tuple[ExpiryLag, ...]:
    """Lag over everything, then by resource; () where there are no grants on record."""
    if "grants" not in snapshot.manifest.present:
        return ()
    lags: dict[str, list[Lag]] = defaultdict(list)
    early: dict[str, int] = defaultdict(int)
    for row in ask(engine, snapshot, _LAG, ["grants"]):
        ms, count = int(row["ms"]), int(row["n"])
        lags[row["resource"]].append(Lag(ms, row["running"], count))
        early[row["resource"]] += count if ms < 0 else 0
    return by_resource(lags, early, _objective(snapshot))


def _objective(snapshot: Snapshot) -> LagObjective:
    settings = settings_of(snapshot.manifest.scope)
    return LagObjective(within_ms=round(settings.objective.total_seconds() * 1000), share=settings.objective_share)


def patterns(engine: Engine, snapshot: Snapshot) -> tuple[Pattern, ...]:
    """How requests and approvals went; a figure without a population is left out."""
    if not {"requests", "decisions"} <= snapshot.manifest.present:
        return ()
    return tuple(
        Pattern(
            name=row["name"],
            title=row["title"],
            value=round(float(row["value"]), 2),
            unit=row["unit"],
            population=int(row["n"]),
        )
        for row in ask(engine, snapshot, _PATTERNS, ["requests", "decisions"])
        if row["n"] and row["value"] is not None
    )


def _policies(engine: Engine, snapshot: Snapshot) -> Mapping[str, Mapping[str, str]]:
    rows = ask(engine, snapshot, "SELECT policy_version, files FROM policies", ["policies"])
    found: dict[str, Mapping[str, str]] = {}
    for row in rows:
        try:
            files = json.loads(row["files"])
        except ValueError:
            continue
        if isinstance(files, dict) and all(isinstance(text, str) for text in files.values()):
            found[row["policy_version"]] = files
    return found


def _entries(engine: Engine, snapshot: Snapshot) -> Iterator[Entry]:
    """Entries in order, piece by piece; one that cannot be read is left to the ledger's own checks."""
    table = snapshot.manifest.table("ledger_entries")
    last = ask(engine, snapshot, "SELECT max(seq) AS last FROM ledger_entries", ["ledger_entries"])[0]["last"]
    if table is None or last is None:
        return
    for start in range(0, int(last) + 1, _PIECE):
        sql = f"SELECT body FROM ledger_entries WHERE seq >= {start} AND seq < {start + _PIECE} ORDER BY seq"  # noqa: S608  numbers of our own
        for row in ask(engine, snapshot, sql, ["ledger_entries"]):
            try:
                yield canonical.decode(row["body"].encode("utf-8"))
            except Corrupt:
                continue


def _approvers(replay: Replay, requests: Iterable[str]) -> Iterator[dict[str, Any]]:
    for request_id in requests:
        interested = replay.interested(request_id)
        for stage, persons in sorted(replay.approver_sets(request_id).items()):
            for person in sorted(persons):
                row = {"request_id": request_id, "stage": stage, "person": person}
                yield row | {"interested": person in interested}


def _row(found: Rederivation) -> dict[str, Any]:
    return {
        "request_id": found.request_id,
        "recorded": found.recorded,
        "derived": found.derived,
        "outcome": found.outcome,
        "policy_version": found.policy_version or None,
        "differences": ";".join(found.differences) or None,
    }


def _listed(engine: Engine, snapshot: Snapshot, outcome: str) -> tuple[Rederivation, ...]:
    """The first thousand of an outcome; all are in the table."""
    sql = f"SELECT * FROM rederivations WHERE outcome = '{outcome}' ORDER BY request_id LIMIT {_MOST_LISTED}"  # noqa: S608  constants
    return tuple(
        Rederivation(
            request_id=row["request_id"],
            recorded=row["recorded"],
            derived=row["derived"],
            outcome=row["outcome"],
            policy_version=row["policy_version"] or "",
            differences=tuple((row["differences"] or "").split(";")) if row["differences"] else (),
        )
        for row in ask(engine, snapshot, sql, ["rederivations"])
    )
