"""A made-up year with planted problems: every one is found, and nothing that was not planted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lapse.domain.data import from_data, to_data
from lapse.domain.reviews import Confidence, ItemDecision, Usage
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.entrypoints.demo.history import write_history
from lapse.review.adjust.model import ProposalKind
from lapse.review.collect import collect_imports
from lapse.review.model import ReviewResult, RunStatus
from lapse.review.scope import parse_scope
from lapse.review.snapshot import load_snapshot
from lapse.review.stages import run_stages


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("history"), grants=1_200)


@pytest.fixture(scope="module")
def result(history, tmp_path_factory) -> ReviewResult:
    folder = tmp_path_factory.mktemp("review") / "snapshot"
    snapshot = collect_imports(history.folder, parse_scope("all", history.period), folder, history.now)
    return run_stages(DuckDbEngine, snapshot)


def test_every_planted_problem_is_found_and_nothing_else(history, result):
    planted = {(one.detector, one.subject) for one in history.planted}
    found = {(finding.detector, finding.subject) for finding in result.findings}
    assert planted - found == set()
    assert found - planted == set()


def test_every_detector_could_be_assessed_on_the_year(result):
    assert {run.detector: run.reason for run in result.not_assessed} == {}
    assert {run.status for run in result.runs} == {RunStatus.FOUND}


def test_all_decisions_re_derive_but_the_forged_ones(history, result):
    forged = {one.subject for one in history.planted if one.detector == "C9"}
    assert {one.request_id for one in result.workflows.different} == forged
    assert result.workflows.not_derivable == ()
    assert result.workflows.same == result.workflows.rederived - len(forged)


def test_nothing_was_wrong_with_the_evidence_itself(result):
    assert result.snapshot.manifest.problems == ()
    assert all(table.reconciled for table in result.snapshot.manifest.tables)


def test_lag_counts_what_has_not_ended(result):
    overall = result.workflows.lag[0]
    assert overall.not_ended == 1
    assert overall.p50.ms < 1_000
    assert overall.longest.lower_bound
    assert overall.longest.ms > 24 * 3_600_000


def test_a_revocation_is_only_recommended_on_facts(result):
    facts = {f.fingerprint for f in result.findings if f.confidence is Confidence.FACT}
    for item in result.items:
        if item.recommendation is ItemDecision.REVOKE:
            assert item.usage is Usage.UNUSED or set(item.findings) & facts


def test_items_say_what_to_do_about_each_permission(result):
    items = {(i.resource, i.account, i.role): i for i in result.items}
    by_hand = items["pg-billing", "fred", "billing_writer"]
    assert by_hand.recommendation is ItemDecision.REVOKE
    assert "no grant accounts for it" in by_hand.recommendation_reason
    excepted = items["pg-orders", "ada", "orders_reader"]
    assert excepted.recommendation is ItemDecision.KEEP
    assert excepted.usage is Usage.UNKNOWN  # nine hours of its year have no telemetry
    assert result.items[0].risk >= result.items[-1].risk


def test_shorter_maxima_are_proposed_with_what_they_rest_on(result):
    shorter = [one for one in result.adjustments.proposals if one.kind is ProposalKind.DURATION]
    assert shorter
    for proposal in shorter:
        assert proposal.covers >= 0.99
        assert proposal.samples >= 20
        assert proposal.proposed < proposal.current


def test_the_result_is_plain_data_and_the_snapshot_can_be_read_again(result):
    assert from_data(ReviewResult, json.loads(json.dumps(to_data(result)))) == result
    assert load_snapshot(Path(result.snapshot.folder)) == result.snapshot


def test_the_same_seed_gives_the_same_year(history, tmp_path):
    again = write_history(tmp_path, grants=1_200)
    assert again.planted == history.planted
    for file in sorted(history.folder.glob("*.csv")):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()
