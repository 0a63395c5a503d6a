"""Every detector against its cases, and what holds for all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lapse.domain.errors import InvalidInput
from lapse.domain.reviews import Confidence
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.detection.cases import AS_OF, cases_of, run_case
from lapse.review.detection.detector import all_detectors, fingerprint, parse_detector, run_detector
from lapse.review.detection.detector_pages import detector_page, index_page
from lapse.review.model import RunStatus
from lapse.review.scope import ReviewScope, parse_period

CATALOGUE = {
    *(f"M{number}" for number in range(1, 15)),
    *(f"L{number}" for number in range(1, 19)),
    *(f"R{number}" for number in range(1, 10)),
    *(f"C{number}" for number in range(1, 28)),
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


def test_every_detector_of_the_catalogue_is_there_with_pass_and_fail_cases():
    assert BY_ID.keys() == CATALOGUE
    for detector in BY_ID.values():
        cases = cases_of(detector.id)
        assert any(case.finds for case in cases), detector.id
        assert any(not case.finds for case in cases), detector.id


@pytest.mark.parametrize("detector", BY_ID.values(), ids=BY_ID)
def test_without_its_evidence_a_detector_is_not_assessed_and_names_the_tables(tmp_path, detector):
    nothing = replace(empty_snapshot(tmp_path).manifest, tables=())
    findings, run = run_detector(one_engine(), nothing, detector)
    assert findings == ()
    assert run.status is RunStatus.NOT_ASSESSED
    assert run.missing == (*detector.needs, *(" or ".join(group) for group in detector.one_of))


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


def test_the_pages_about_detectors_are_the_ones_generated_from_their_files():
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "detectors.md").read_text("utf-8") == index_page(all_detectors())
    pages = {page.stem: page.read_text("utf-8") for page in (docs / "detectors").iterdir()}
    assert pages == {detector.id: detector_page(detector) for detector in all_detectors()}


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
