"""A made-up organization with planted anomalies: every one is found, and nothing that was not planted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lapse.domain.data import from_data, to_data
from lapse.domain.reviews import Confidence, ItemDecision, Usage
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.snapshot import load_snapshot
from lapse.review.detection.detector import all_detectors
from lapse.review.model import ReviewResult, RunStatus
from lapse.review.simulation import Size
from lapse.review.stages import Stages
from support.simulation import ADVICE, reviewed, snapshot_of

pytestmark = pytest.mark.timeout(400)
"""The first test waits for the world and its review, which takes long where many tests run at a time."""

SIZE = Size(people=64, days=92, seed=90_210)
"""Not one of the seeds that were looked at while the detectors were written; `make bench` tries more of them."""

PLAIN = 100


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return reviewed(SIZE, tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def result(world) -> ReviewResult:
    return world.result


def test_what_detectors_of_facts_find_is_what_was_planted_and_nothing_else(world):
    planted = {key for key in world.planted if key[0] not in ADVICE}
    found = {key for key in world.found if key[0] not in ADVICE}
    assert planted - found == set()
    assert found - planted == set()


def test_what_was_planted_plainly_is_found_by_detectors_that_only_advise(world):
    plain = {key for key, one in world.planted.items() if one.strength == PLAIN}
    assert {detector for detector, _ in plain} == ADVICE - {"R8"}
    assert plain - world.found == set()
    rare = {key for key, one in world.planted.items() if key[0] == "R8" and (one.strength or 0) > 90}
    assert rare
    assert rare - world.found == set()


def test_a_look_between_reviews_finds_what_a_review_finds(world, tmp_path):
    with Stages(DuckDbEngine(threads=2), snapshot_of(world.world, tmp_path / "look")) as stages:
        found = stages.found()
    assert {one.fingerprint for one in found.findings} == {one.fingerprint for one in world.result.findings}
    assert {run.detector: run.status for run in found.runs} == {run.detector: run.status for run in world.result.runs}


def test_advice_is_seldom_given_for_nothing(world):
    for_nothing = {key for key in world.found - world.planted.keys() if key[0] in ADVICE}
    assert len(for_nothing) <= 4


def test_something_is_planted_for_every_detector(world):
    assert {detector for detector, _ in world.planted} == {detector.id for detector in all_detectors()}
    assert all(one.what for one in world.planted.values())


def test_every_detector_could_be_assessed(result):
    assert {run.detector: run.reason for run in result.not_assessed} == {}
    assert {run.status for run in result.runs} == {RunStatus.FOUND}


def test_all_decisions_re_derive_but_the_forged_ones(world, result):
    forged = {subject for detector, subject in world.planted if detector == "C9"}
    assert {one.request_id for one in result.workflows.different} == forged
    assert result.workflows.not_derivable == ()
    assert result.workflows.same == result.workflows.rederived - len(forged)


def test_nothing_was_wrong_with_the_evidence_itself(result):
    assert result.snapshot.manifest.problems == ()
    assert all(table.reconciled for table in result.snapshot.manifest.tables)


def test_lag_counts_what_has_not_ended(world, result):
    overall = result.workflows.lag[0]
    assert overall.not_ended == sum(1 for detector, _ in world.planted if detector == "L6")
    assert overall.p50.ms < 1_000
    assert overall.longest.lower_bound
    assert overall.longest.ms > 24 * 3_600_000


def test_a_revocation_is_only_recommended_on_facts(result):
    facts = {f.fingerprint for f in result.findings if f.confidence is Confidence.FACT}
    for item in result.items:
        if item.recommendation is ItemDecision.REVOKE:
            assert item.usage is Usage.UNUSED or set(item.findings) & facts


def test_items_say_what_to_do_about_each_permission(world, result):
    items = {f"{i.resource}/{i.account}/{i.role}": i for i in result.items}
    by_hand = items[next(subject for detector, subject in world.planted if detector == "L2")]
    assert by_hand.recommendation is ItemDecision.REVOKE
    assert "no grant accounts for it" in by_hand.recommendation_reason
    excepted = next(i for i in result.items if i.account.endswith("-dump"))
    assert excepted.recommendation is ItemDecision.KEEP
    assert excepted.usage is Usage.USED
    assert result.items[0].risk >= result.items[-1].risk


def test_the_result_is_plain_data_and_the_snapshot_can_be_read_again(result):
    assert from_data(ReviewResult, json.loads(json.dumps(to_data(result)))) == result
    assert load_snapshot(Path(result.snapshot.folder)) == result.snapshot


def test_the_labels_are_beside_the_evidence(world):
    labels = json.loads((world.world.folder / "planted.json").read_text("utf-8"))
    assert {(one["detector"], one["subject"]) for one in labels} == world.planted.keys()
    lines = (world.world.folder / "planted.csv").read_text("utf-8").splitlines()
    assert lines[0] == "detector,subject,what,strength"
    assert len(lines) == len(labels) + 1
