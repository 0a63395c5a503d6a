"""What becomes of findings from review to review."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.reviews import Confidence, Finding, FindingState, Severity
from lapse.review.detection.changes import compare, with_states
from lapse.review.model import (
    Adjustments,
    AuditResult,
    DetectorRun,
    PastReview,
    ReviewResult,
    RunStatus,
    Snapshot,
    SnapshotManifest,
    ValidationResult,
    WorkflowResult,
)
from lapse.review.scope import parse_scope

AT = datetime(2026, 10, 1, tzinfo=UTC)


def a_finding(name, *, detector="L1", resource="pg", severity=Severity.HIGH):
    return Finding(
        fingerprint=name, detector=detector, detector_version="1", title="", severity=severity,
        confidence=Confidence.FACT, subject=name, summary=name, would_clear="", remediation="", resource=resource,
    )  # fmt: skip


def past(name, *findings, assessed=("L1",), resources=("pg", "my")):
    return PastReview(review_id=name, at=AT, resources=resources, assessed=assessed, findings=findings)


def a_result(*findings, assessed=("L1",), resources=("pg", "my")):
    manifest = SnapshotManifest(
        evidence_version=1, scope=parse_scope("all", "2026-Q3", review_id="now"), collected_at=AT, tables=(),
        resources=resources,
    )  # fmt: skip
    runs = tuple(
        DetectorRun(
            detector=name, version="1", title="", question="", severity=Severity.HIGH, confidence=Confidence.FACT,
            step=2, status=RunStatus.FOUND,
        )
        for name in assessed
    )  # fmt: skip
    return ReviewResult(
        scope=manifest.scope, snapshot=Snapshot(folder="", manifest=manifest),
        audit=AuditResult(findings=findings, runs=runs), validation=ValidationResult(), workflows=WorkflowResult(),
        adjustments=Adjustments(),
    )  # fmt: skip


def states(result):
    return {f.fingerprint: (f.state, f.first_found) for f in (*result.findings, *result.gone)}


def test_a_finding_is_new_then_open_then_fixed_and_may_come_back():
    history = [past("q1", a_finding("old"), a_finding("twice")), past("q2", a_finding("old"), a_finding("gone"))]
    result = with_states(a_result(a_finding("old"), a_finding("twice"), a_finding("fresh")), history, {})
    assert states(result) == {
        "old": (FindingState.OPEN, "q1"),
        "twice": (FindingState.BACK, "q1"),
        "fresh": (FindingState.NEW, "now"),
        "gone": (FindingState.FIXED, ""),
    }


def test_what_could_not_be_assessed_is_not_fixed():
    result = with_states(a_result(assessed=("L2",)), [past("q2", a_finding("old"))], {})
    assert [f.state for f in result.gone] == [FindingState.UNKNOWN]


def test_what_the_review_is_not_about_is_neither():
    result = with_states(a_result(resources=("my",)), [past("q2", a_finding("old"))], {})
    assert result.gone == ()


def test_an_exception_accepts_a_finding():
    result = with_states(a_result(a_finding("x")), [past("q2", a_finding("x"))], {"x": AT})
    assert states(result)["x"] == (FindingState.ACCEPTED, "q2")


def test_two_reviews_are_compared():
    old = past("q2", a_finding("a"), a_finding("b"), a_finding("c", detector="L2"), assessed=("L1", "L2"))
    new = past("q3", a_finding("b", severity=Severity.CRITICAL), a_finding("d"), assessed=("L1", "L4"))
    found = compare(old, new)
    assert [f.fingerprint for f in found.appeared] == ["d"]
    assert [f.fingerprint for f in found.fixed] == ["a"]
    assert [f.fingerprint for f in found.not_known] == ["c"]
    assert [f.fingerprint for f in found.still] == ["b"]
    assert found.graver == ("b",)
    assert (found.newly_assessed, found.no_longer_assessed) == (("L4",), ("L2",))


NAMES = st.frozensets(st.sampled_from("abcdef"))


@given(st.lists(NAMES, max_size=4), NAMES, NAMES)
def test_every_finding_has_one_state_and_nothing_is_fixed_that_is_there(earlier, now, accepted):
    history = [past(f"q{n}", *map(a_finding, sorted(names))) for n, names in enumerate(earlier)]
    result = with_states(a_result(*map(a_finding, sorted(now))), history, dict.fromkeys(accepted, AT))
    seen = states(result)
    assert seen.keys() == now | (earlier[-1] if earlier else frozenset())
    for name, (state, _) in seen.items():
        assert (state is FindingState.ACCEPTED) == (name in now & accepted)
        assert (state is FindingState.FIXED) == (name not in now)
        if state is FindingState.NEW:
            assert not any(name in names for names in earlier)
        if state is FindingState.BACK:
            assert name not in earlier[-1]
            assert any(name in names for names in earlier)


@given(NAMES, NAMES)
def test_a_comparison_loses_nothing_and_the_other_way_round_is_its_mirror(before, after):
    old, new = past("q2", *map(a_finding, sorted(before))), past("q3", *map(a_finding, sorted(after)))
    there, back = compare(old, new), compare(new, old)
    assert {f.fingerprint for f in (*there.appeared, *there.still, *there.fixed)} == before | after
    assert [f.fingerprint for f in there.appeared] == [f.fingerprint for f in back.fixed]
    assert compare(old, replace(old, review_id="again")).appeared == ()
