"""Frameworks: every clause in exactly one, every detector placed, and nothing called met that was not looked at."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.errors import Corrupt, InvalidInput
from lapse.domain.reviews import Confidence, FindingState
from lapse.review.detection.detector import all_detectors
from lapse.review.frameworks import Outcome, all_frameworks, clause_results, frameworks_named
from lapse.review.frameworks.catalog import completed, parse_framework, unplaced
from lapse.review.frameworks.documents import framework_documents
from lapse.review.model import AuditResult, DetectorRun, RunStatus
from lapse.review.seal import seal
from lapse.review.terms import ReviewTerms, check_terms
from support.sample_findings import FINDINGS
from support.sample_review import SampleSigner, renamed, sample_contents, sample_result

NAMES = {
    "dora", "fedramp-ksi", "gdpr", "hipaa", "iso-27001-2022", "nis2", "nist-800-53-r5", "pci-dss-4.0.1", "soc2",
    "sox-itgc",
}  # fmt: skip
TEXT = "id: x\ntitle: X\nchecked: by nobody\nclauses:\n  - {id: X 1, title: a thing, detectors: [C1]}\n"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


def run(detector, status):
    known = next(d for d in all_detectors() if d.id == detector)
    return DetectorRun(
        detector=detector, version="1", title=known.title, question=known.question, severity=known.severity,
        confidence=known.confidence, step=known.step, status=status, missing=known.needs, clauses=known.clauses,
    )  # fmt: skip


def judged(result, clause, runs, findings=()):
    framework = next(f for f in all_frameworks() if any(c.id == clause for c in f.clauses))
    stages = replace(
        result, audit=AuditResult(runs=runs, findings=findings),
        validation=replace(result.validation, runs=(), findings=()),
        workflows=replace(result.workflows, runs=(), findings=()),
        adjustments=replace(result.adjustments, runs=(), findings=()),
    )  # fmt: skip
    return next(one for one in clause_results(stages, framework) if one.clause.id == clause)


def test_all_ten_are_there_and_say_how_they_were_checked():
    assert {one.id for one in all_frameworks()} == NAMES
    assert all(len(one.checked) > 60 for one in all_frameworks())


def test_every_clause_that_a_detector_names_is_in_exactly_one_framework():
    assert unplaced(all_frameworks(), all_detectors()) == ()
    ids = [clause.id for one in all_frameworks() for clause in one.clauses]
    assert len(ids) == len(set(ids))


def test_the_files_and_the_front_matter_of_detectors_say_the_same():
    by_clause = {clause.id: set(clause.detectors) for one in all_frameworks() for clause in one.clauses}
    for detector in all_detectors():
        for clause in detector.clauses:
            assert detector.id in by_clause[clause]


def test_every_detector_is_evidence_for_something():
    placed = {name for one in all_frameworks() for clause in one.clauses for name in clause.detectors}
    assert placed == {detector.id for detector in all_detectors()}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text + "  - {id: X 1, title: again, detectors: [C1]}\n", "is in `x` and in `x`"),
        (lambda text: text.replace("C1", "Z9"), "which is no detector"),
    ],
)
def test_contradictions_are_refused(change, problem):
    with pytest.raises(Corrupt, match=problem):
        completed([parse_framework(change(TEXT), "x.yaml")], all_detectors())


@pytest.mark.parametrize("text", ["", "[", "id: y\ntitle: Y\nchecked: z\nclauses: []\n", "id: x\n"])
def test_what_is_no_framework_is_refused(text):
    with pytest.raises(Corrupt):
        parse_framework(text, "x.yaml")


@pytest.mark.parametrize("name", ["SOC 2", "soc2", "SOC-2", "tsc"])
def test_people_may_call_a_framework_by_several_names(name):
    assert [one.id for one in frameworks_named([name])] == ["soc2"]


def test_a_framework_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidInput, match="there is no framework `soc3`") as caught:
        frameworks_named(["soc3"])
    assert "sox-itgc" in caught.value.hint


def test_a_clause_whose_detectors_were_all_not_assessed_is_never_met(result):
    blind = run("R1", RunStatus.NOT_ASSESSED)
    one = judged(result, "NIST 800-53 PS-4", (blind,))
    assert one.outcome is Outcome.NOT_ASSESSED
    assert one.missing == ("access_observed", "principals")
    assert judged(result, "NIST 800-53 PS-4", ()).outcome is Outcome.NOT_ASSESSED


def test_met_means_that_every_detector_ran(result):
    clear, blind = run("M1", RunStatus.CLEAR), run("R4", RunStatus.NOT_ASSESSED)
    assert judged(result, "NIST 800-53 AC-2b", (clear, run("R4", RunStatus.CLEAR))).outcome is Outcome.MET
    partly = judged(result, "NIST 800-53 AC-2b", (clear, blind))
    assert (partly.outcome, partly.blind) == (Outcome.PARTLY, ("R4",))
    assert partly.sentence == "nothing was found by those that ran; not assessed: R4"


def test_findings_say_which_of_them_are_statistical_or_accepted(result):
    found = (
        replace(FINDINGS[0], detector="C2", confidence=Confidence.ADVICE),
        replace(FINDINGS[1], detector="C1", state=FindingState.ACCEPTED),
    )
    one = judged(result, "NIST 800-53 AC-5", (run("C1", RunStatus.FOUND), run("C2", RunStatus.FOUND)), found)
    assert one.outcome is Outcome.FINDINGS
    assert one.sentence.startswith("2 findings (1 statistical, 1 accepted as exceptions); not assessed: ")


def test_each_framework_has_a_page_a_table_and_data(result):
    paths = {"tables/grants.parquet", "items.csv", "findings.json"}
    documents = dict(framework_documents(result, all_frameworks(), "A review", paths))
    assert set(documents) == {"frameworks/index.json"} | {
        f"frameworks/{name}/{file}" for name in NAMES for file in ("index.html", "clauses.csv", "clauses.json")
    }
    (nist,) = frameworks_named(["nist"])
    rows = list(csv.DictReader(io.StringIO(documents["frameworks/nist-800-53-r5/clauses.csv"].decode(), newline="")))
    data = json.loads(documents["frameworks/nist-800-53-r5/clauses.json"])["clauses"]
    assert [row["clause"] for row in rows] == [one["id"] for one in data] == [clause.id for clause in nist.clauses]
    for one in data:
        assert set(one["files"]) <= paths
    reviewed = next(one for one in data if one["id"] == "NIST 800-53 AC-2j")
    assert "items.csv" in reviewed["files"]
    index = json.loads(documents["frameworks/index.json"])["frameworks"]
    assert all(sum(one["clauses"].values()) for one in index)


def test_the_same_review_gives_the_same_documents(result):
    first, second = (dict(framework_documents(result, all_frameworks(), "A", set())) for _ in range(2))
    assert first == second


def test_hostile_names_do_nothing_on_the_page(result):
    page = dict(framework_documents(renamed(result, "<script>x</script>\u202e"), all_frameworks(), "<b>", set()))
    html = page["frameworks/soc2/index.html"].decode()
    assert "<script" not in html
    assert "<b>" not in html
    assert "\u202e" not in html


def test_a_review_cannot_be_started_for_a_framework_that_there_is_not():
    with pytest.raises(InvalidInput, match="there is no framework `soc9`"):
        check_terms(ReviewTerms(frameworks=("SOC 2", "soc9")), Catalog())
    check_terms(ReviewTerms(frameworks=("SOC 2", "dora")), Catalog())


def test_only_the_frameworks_in_scope_have_a_folder(tmp_path):
    signer = SampleSigner()
    contents = sample_contents(tmp_path / "snapshot", signer)
    scope = replace(contents.result.scope, frameworks=("SOC 2", "hipaa"))
    narrowed = replace(contents, result=replace(contents.result, scope=scope))
    folder = seal(narrowed, signer=signer, into=tmp_path / "sealed").folder
    assert {path.name for path in (folder / "frameworks").iterdir()} == {"hipaa", "soc2", "index.json"}
