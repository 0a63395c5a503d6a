"""What is known of findings after one look after another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.looks import Look, counts, current, known_hash
from lapse.domain.reviews import Confidence, Finding, FindingState, Severity
from lapse.domain.schedules import ReviewSchedule
from lapse.review.detection.known import after_look, updated
from lapse.review.model import PastReview

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NEW, OPEN, BACK = FindingState.NEW, FindingState.OPEN, FindingState.BACK
ACCEPTED, FIXED, UNKNOWN = FindingState.ACCEPTED, FindingState.FIXED, FindingState.UNKNOWN


def a_finding(name, *, detector="L1", resource="pg", severity=Severity.HIGH, accepted=False, summary="x"):
    return Finding(
        fingerprint=name, detector=detector, detector_version="1", title="", severity=severity,
        confidence=Confidence.FACT, subject=name, summary=summary, would_clear="", remediation="", resource=resource,
        state=ACCEPTED if accepted else NEW,
    )  # fmt: skip


class Days:
    """One look a day."""

    def __init__(self):
        self.schedule = ReviewSchedule(
            name="prod", scope="all", every_months=3, next_at=START, created_by="ann", created_at=START
        )
        self.known, self.at = [], START - DAY

    def look(self, *findings, assessed=("L1",), resources=("pg", "my"), unread=()):
        self.at += DAY
        seen = PastReview(
            review_id=f"look_{self.at:%d}", at=self.at, resources=resources, assessed=assessed, findings=findings,
            unread=dict.fromkeys(unread, "away"),
        )  # fmt: skip
        changes = after_look(self.schedule, self.known, seen)
        self.known = updated(self.known, changes)
        self.schedule = self.schedule.looked(Look(id=seen.review_id, at=self.at, snapshot="", findings=""))
        return {c.after.finding.fingerprint for c in changes if c.on_record}

    def state(self, name):
        (one,) = [one for one in self.known if one.finding.fingerprint == name]
        one = one.at_look(self.at)
        return one.finding.state, (one.since - START) // DAY, (one.last_seen - START) // DAY


def test_a_finding_is_new_then_open_then_fixed_then_back_again():
    days = Days()
    assert days.look(a_finding("x")) == {"x"}
    assert days.state("x") == (NEW, 0, 0)
    assert days.look(a_finding("x")) == set()
    assert days.state("x") == (OPEN, 0, 1)
    assert days.look() == {"x"}
    assert days.state("x") == (FIXED, 0, 1)
    assert days.look() == set()
    assert days.look(a_finding("x")) == {"x"}
    assert days.state("x") == (BACK, 4, 4)
    assert days.look(a_finding("x")) == set()
    assert days.state("x") == (OPEN, 4, 5)


def test_what_is_not_assessed_or_not_read_is_not_known_and_goes_on_when_it_is_found_again():
    for hidden in ({"assessed": ()}, {"unread": ("pg",)}, {"resources": ("my",)}):
        days = Days()
        days.look(a_finding("x"))
        assert days.look(**hidden) == {"x"}
        assert days.state("x") == (UNKNOWN, 0, 0)
        assert days.look(**hidden) == set()
        assert days.look(a_finding("x")) == {"x"}
        assert days.state("x") == (OPEN, 0, 3)


def test_what_was_not_known_is_fixed_once_it_was_looked_for():
    days = Days()
    days.look(a_finding("x"), a_finding("nowhere", resource=""))
    assert days.look(unread=("my",)) == {"x", "nowhere"}
    assert (days.state("x")[0], days.state("nowhere")[0]) == (FIXED, UNKNOWN)
    assert days.look() == {"nowhere"}
    assert days.state("nowhere") == (FIXED, 0, 0)


def test_an_exception_accepts_a_finding_and_its_end_opens_it_again():
    days = Days()
    days.look(a_finding("x"))
    assert days.look(a_finding("x", accepted=True)) == {"x"}
    assert days.state("x") == (ACCEPTED, 0, 1)
    assert days.look(a_finding("x")) == {"x"}
    assert days.state("x") == (OPEN, 0, 2)


def test_other_words_are_kept_but_go_on_no_record_and_another_severity_does():
    days = Days()
    days.look(a_finding("x", summary="for 1 day"))
    assert days.look(a_finding("x", summary="for 2 days")) == set()
    assert days.known[0].finding.summary == "for 2 days"
    assert days.look(a_finding("x", severity=Severity.CRITICAL)) == {"x"}


def test_of_a_resource_that_is_only_named_in_a_file_findings_are_fixed_too():
    days = Days()
    days.look(a_finding("x", resource="elsewhere"))
    days.look()
    assert days.state("x")[0] is FIXED


def test_current_findings_are_counted_and_have_one_hash_whatever_their_order():
    days = Days()
    days.look(a_finding("a"), a_finding("b"))
    days.look(a_finding("b"), a_finding("c", severity=Severity.CRITICAL))
    assert counts(days.known, days.at) == {"fixed": 1, "new": 1, "open": 1}
    assert [one.finding.fingerprint for one in current(days.known, days.at)] == ["c", "b"]
    assert len(current(days.known, days.at, fixed=True)) == 3
    assert known_hash(days.known, days.at) == known_hash(reversed(days.known), days.at)
    days.look(a_finding("b"), a_finding("c"))
    assert counts(days.known, days.at) == {"open": 2}


LOOKS = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from("abcd")),
        st.frozensets(st.sampled_from("abcd")),
        st.sampled_from([(), ("L1",)]),
        st.sampled_from([(), ("pg",)]),
    ),
    max_size=6,
)


@given(LOOKS)
def test_every_finding_ever_seen_has_one_state_and_is_fixed_only_by_a_look_that_could_have_seen_it(looks):
    days, ever = Days(), set()
    for there, accepted, assessed, unread in looks:
        seen = there if assessed and not unread else frozenset()
        ever |= seen
        before = {one.id: one for one in days.known}
        on_record = days.look(
            *(a_finding(name, accepted=name in accepted) for name in sorted(seen)), assessed=assessed, unread=unread
        )
        assert {one.finding.fingerprint for one in days.known} == ever
        for one in days.known:
            name, was = one.finding.fingerprint, before.get(one.id)
            state = days.state(name)[0]
            assert (state in {NEW, OPEN, BACK, ACCEPTED}) == (name in seen)
            assert (state is ACCEPTED) == (name in seen & accepted)
            assert one.since <= one.changed_at <= days.at
            if state is FIXED and (was is None or was.finding.state is not FIXED):
                assert assessed
                assert not unread
            assert (name in on_record) == (was is None or was.finding.state is not one.finding.state)
