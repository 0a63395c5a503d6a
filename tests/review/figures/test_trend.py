"""A review among those before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lapse.domain.data import from_data, to_data
from lapse.domain.reviews import Severity
from lapse.review.detection.changes import past_review
from lapse.review.figures.model import Hours, KeyFigures
from lapse.review.figures.trend import MOST_POINTS, key_figures, trend
from lapse.review.model import PastReview, ReviewResult
from lapse.review.stages import run_stages
from support.evidence_rows import evidence, snapshot_of
from support.sample_findings import FINDINGS

BEFORE = datetime(2026, 4, 3, tzinfo=UTC)


def registered(name, at, **more):
    return {"review_id": name, "resource": "pg", "started_at": at, **more}


def decided(name, decision, number, **more):
    return {"item_id": f"{name}{number}", "review_id": name, "decision": decision, **more}


def past(name, at, **more):
    return PastReview(review_id=name, at=at, resources=("pg",), **more)


def of(tmp_path, tables, earlier=()):
    now = past("rev_1", datetime(2026, 10, 1, tzinfo=UTC), figures=KeyFigures(score=0.5), findings=FINDINGS[:2])
    with evidence(tmp_path / "s", tables) as (engine, snapshot):
        return trend(engine, snapshot, earlier, now)


def test_registers_and_kept_results_come_together_in_the_order_of_time(tmp_path):
    kept = past("q1", BEFORE, figures=KeyFigures(score=0.25), findings=FINDINGS[:3])
    tables = {
        "reviews": [
            registered("q2", BEFORE + timedelta(days=90), due_at=BEFORE + timedelta(days=104)),
            registered("begun only", BEFORE + timedelta(days=91)),
            registered("q1", BEFORE, sealed_at=BEFORE + timedelta(days=9)),
            registered("q1", BEFORE, resource="my"),
        ],
        "review_decisions": [
            *(decided("q1", "revoke", n, carried_out_at=BEFORE if n else None) for n in range(3)),
            decided("q1", "keep", 9, by_default=True),
        ],
    }
    q1, q2, now = of(tmp_path, tables, [kept])
    assert (q1.review_id, q2.review_id, now.review_id) == ("q1", "q2", "rev_1")
    assert (q1.resources, q1.days_to_seal, q1.decisions) == (2, 9.0, {"keep": 1, "revoke": 3})
    assert (q1.due, q1.carried_out, q1.by_default) == (3, 2, 1)
    assert q1.figures.score == 0.25
    assert sum(q1.findings.values()) == 3
    assert (q2.figures, q2.findings, q2.decisions, q2.days_to_seal) == (None, None, None, None)
    assert now.figures.score == 0.5


def test_a_review_that_only_its_kept_result_knows_is_in_it_too(tmp_path):
    first, _ = of(tmp_path, {}, [past("files-1", BEFORE, figures=KeyFigures(score=0.75))])
    assert (first.review_id, first.at, first.resources, first.figures.score) == ("files-1", BEFORE, 1, 0.75)


def test_the_newest_are_shown(tmp_path):
    earlier = [past(f"r{n:03}", BEFORE + timedelta(days=n)) for n in range(40)]
    points = of(tmp_path, {}, earlier)
    assert len(points) == MOST_POINTS
    assert [point.review_id for point in points[-2:]] == ["r039", "rev_1"]


def test_a_whole_review_says_its_key_figures_and_later_ones_show_them(tmp_path):
    from lapse.engines.duckdb_engine import DuckDbEngine

    tables = {
        "access_observed": [{"resource": "pg", "account": "etl", "role": "r", "holding": "direct", "can_login": True}],
        "grants": [],
    }
    first = run_stages(DuckDbEngine, snapshot_of(tmp_path / "one", tables))
    assert first.audit.figures.total == Hours(standing=2208, held=2208, used_most=2208, score=0.0)
    assert from_data(ReviewResult, to_data(first)) == first
    found = key_figures(first)
    assert (found.standing_hours, found.score, found.period_hours, found.approval_rate) == (2208, 0.0, 2208, None)
    before = replace(past_review(first), review_id="before", at=BEFORE)
    second = run_stages(DuckDbEngine, snapshot_of(tmp_path / "two", tables | {"access_observed": []}), past=[before])
    old, new = second.trend
    assert (old.figures.score, new.figures.score) == (0.0, None)
    assert set(old.findings) <= {str(severity) for severity in Severity}
