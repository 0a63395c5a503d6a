"""Figures as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lapse.domain.reviews import ItemDecision
from lapse.review.report import words
from support.reviews import an_item


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (999, "999 ms"), (1_000, "1 s"), (2_400, "2.4 s"), (200_000, "3.3 min"), (5_400_000, "1.5 h"),
     (813_000_000, "9.4 d"), (-1_500, "-1.5 s")],
)  # fmt: skip
def test_lag_in_the_largest_fitting_unit(ms, text):
    assert words.lag(ms) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 h"), (0.05, "< 0.1 h"), (3.5, "3.5 h"), (12_960, "12,960 h"), (140.2, "140 h")]
)
def test_hours(value, text):
    assert words.hours(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(timedelta(hours=8), "8 h"), (timedelta(days=3, hours=4, minutes=5), "3 d 4 h 5 min"), (None, "no maximum"),
     (timedelta(0), "0 min"), (timedelta(minutes=90), "1 h 30 min")],
)  # fmt: skip
def test_durations(value, text):
    assert words.duration(value) == text


def test_a_share_is_never_rounded_up_to_all():
    assert words.share(0.99999) == "99.9 %"
    assert words.share(1.0) == "100 %"


def test_times_are_shown_in_utc():
    at = datetime(2026, 8, 3, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert words.day(at) == "2 Aug 2026"
    assert words.moment(at) == "2 Aug 2026, 23:30 UTC"
    assert words.moment(None) == words.NONE
    assert words.day(datetime(2026, 1, 1, tzinfo=UTC)) == "1 Jan 2026"


def test_evidence_of_any_shape():
    assert words.evidence_text([1, None, True, {"a": [2]}]) == f"1, {words.NONE}, yes, a: 2"
    assert words.evidence_text([]) == "none"


def test_evidence_columns_are_those_of_all_rows():
    assert words.evidence_columns([{"a": 1}, {"b": 2, "a": 3}]) == ["a", "b"]


def test_counts():
    assert words.count(1, "finding") == "1 finding"
    assert words.count(12_345, "finding") == "12,345 findings"
    assert words.count(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, ""),
        ({"decision": ItemDecision.KEEP}, ""),
        ({"decision": ItemDecision.REVOKE}, "not carried out yet"),
        ({"decision": ItemDecision.REVOKE, "outcome": "given back"}, "given back"),
        ({"decision": ItemDecision.SHORTEN}, "left to the policy"),
        ({"decision": ItemDecision.SHORTEN, "until": datetime(2027, 1, 1, tzinfo=UTC)}, "not carried out yet"),
        ({"decision": ItemDecision.NARROW, "carried_out_at": datetime(2027, 1, 1, tzinfo=UTC)}, "carried out"),
    ],
)
def test_how_far_a_decision_is_carried_out(facts, text):
    assert words.carried_out(an_item("a", **facts)) == text
