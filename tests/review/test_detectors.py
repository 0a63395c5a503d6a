"""Every detector against its cases, and what holds for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lapse.domain.errors import InvalidInput
from lapse.domain.reviews import Confidence
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.cases import AS_OF, cases_of, run_case
from lapse.review.detector import all_detectors, detectors_markdown, fingerprint, parse_detector, run_detector
from lapse.review.model import RunStatus
from lapse.review.scope import ReviewScope, parse_period
from lapse.review.snapshot import SnapshotWriter

REQUIRED = {
    *("L1", "L2", "L4", "L5", "L6", "L7", "L10", "R1", "R5"),
    *("C1", "C6", "C8", "C9", "C24", "M1", "M2", "M8", "M13"),
}
BY_ID = {detector.id: detector for detector in all_detectors()}
CASES = [(detector.id, case) for detector in all_detectors() for case in cases_of(detector.id)]


def one_engine():
    return DuckDbEngine(threads=1)


@pytest.mark.parametrize(("detector", "case"), CASES, ids=[f"{d}: {c.name}" for d, c in CASES])
def test_a_detector_finds_what_its_case_says_and_nothing_else(tmp_path, detector, case):
    result = run_case(one_engine, BY_ID[detector], case, tmp_path / "snapshot")
    assert sorted(result.found) == sorted(case.finds)
    assert result.passed
    assert result.status is (RunStatus.FOUND if case.finds else RunStatus.CLEAR)


def test_every_required_detector_is_there_with_pass_and_fail_cases():
    assert BY_ID.keys() >= REQUIRED
    for detector in BY_ID.values():
        cases = cases_of(detector.id)
        assert any(case.finds for case in cases), detector.id
        assert any(not case.finds for case in cases), detector.id


@pytest.mark.parametrize("detector", BY_ID.values(), ids=BY_ID)
def test_without_its_evidence_a_detector_is_not_assessed_and_names_the_tables(tmp_path, detector):
    snapshot = empty_snapshot(tmp_path)
    findings, run = run_detector(one_engine(), snapshot.manifest, detector)
    assert findings == ()
    assert run.status is RunStatus.NOT_ASSESSED
    assert run.missing == detector.needs


def test_nothing_found_in_incomplete_evidence_is_not_a_pass(tmp_path):
    def collected(writer):
        writer.begin("access_observed", "a target")
        writer.gap("access_observed", "pg: pg_authid could not be read")

    snapshot = empty_snapshot(tmp_path, collected)
    engine = one_engine()
    engine.register("access_observed", str(tmp_path / "snapshot" / "access_observed.parquet"))
    _, run = run_detector(engine, snapshot.manifest, BY_ID["L1"])
    assert run.status is RunStatus.NOT_ASSESSED
    assert "pg_authid could not be read" in run.reason


def test_a_threshold_that_the_detector_does_not_have_is_refused(tmp_path):
    scope = ReviewScope(selector="all", period=parse_period("2026-Q3"), thresholds={"L5": {"objective": 3}})
    snapshot = SnapshotWriter(tmp_path / "snapshot", scope, AS_OF).finish(())
    with pytest.raises(InvalidInput, match="`objective` of detector L5"):
        run_detector(one_engine(), snapshot.manifest, BY_ID["L5"])


def test_a_fingerprint_tells_fields_apart_and_stays():
    assert fingerprint("L1", "pg", "ann", "x") != fingerprint("L1", "pgann", "", "x")
    assert fingerprint("L1", "pg", "ann", "x") == fingerprint("L1", "pg", "ann", "x")


def test_only_facts_are_about_the_record_alone():
    assert BY_ID["L2"].confidence is Confidence.FACT
    assert BY_ID["C16"].confidence is Confidence.ADVICE


def test_the_page_of_detectors_is_the_one_generated_from_their_files():
    assert (Path(__file__).parents[2] / "docs" / "detectors.md").read_text("utf-8") == detectors_markdown()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 1", "does not open with front matter"),
        ("/*\nid: [\n*/\nSELECT 1", "is not YAML"),
        ("/*\nid: X\n*/\nSELECT 1", "cannot be read"),
    ],
)
def test_a_file_that_is_no_detector_is_refused_with_its_name(text, says):
    with pytest.raises(Exception, match=re.escape(says)):
        parse_detector(text, "X1.sql")


def empty_snapshot(tmp_path, collected=lambda writer: None):
    writer = SnapshotWriter(tmp_path / "snapshot", ReviewScope(selector="all", period=parse_period("2026-Q3")), AS_OF)
    collected(writer)
    return writer.finish(())
