"""How much and how often: budgets, cool-downs, quotas, rates and break-glass, beside a slow and obvious oracle."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.policy import History, PastGrant, PastRequest, Status, evaluate
from support.policy_world import HOUR, NOTHING, TUESDAY, ask, limit, offer, policy

READER = "pg-prod/reader"
MINUTE = timedelta(minutes=1)


def held(*spans, since=TUESDAY - 1000 * HOUR, entitlement=READER):
    """A history with grants from and to so many hours after the question."""
    grants = [
        PastGrant(entitlement=entitlement, begins_at=TUESDAY + a * HOUR, ends_at=TUESDAY + b * HOUR) for a, b in spans
    ]
    return History(since=since, grants=tuple(grants))


def asked(*hours_ago, offer="read", automatic=True, **facts):
    made = [PastRequest(at=TUESDAY - h * HOUR, offer=offer, automatic=automatic) for h in hours_ago]
    return History(since=TUESDAY - 1000 * HOUR, requests=tuple(made), **facts)


def answer(text, **facts):
    return evaluate(policy(text), ask(**facts))


BUDGET = offer("budget: {most: 3h, per: 1d}")


def test_a_budget_counts_what_was_held_in_any_stretch_and_this_request():
    assert answer(BUDGET, history=held((-5, -3))).allowed
    denied = answer(BUDGET, hours=2, history=held((-5, -3)))
    assert denied.reason == "no offer fits: `read` allows 3h of `pg-prod/reader` in any 1d (4h with this)"
    assert denied.hint == "ask for 1h or less"
    assert answer(BUDGET, hours=2, history=held((-30, -26))).allowed
    assert answer(BUDGET, hours=2, history=held((-5, -3), entitlement="pg-dev/reader")).allowed


def test_a_budget_counts_what_is_to_come_and_overlaps_once():
    assert not answer(BUDGET, hours=2, history=held((5, 7))).allowed
    assert answer(BUDGET, hours=2, history=held((-1, 0.5), (-1, 1))).allowed


@pytest.mark.parametrize("rule", ["budget: {most: 3h, per: 1d}", "cooldown: 1h", "auto_approve: {most: 1, per: 1h}"])
def test_what_nobody_looked_up_is_a_denial(rule):
    text = offer(approved_by="").replace("auto_approve: true", rule) if "auto" in rule else offer(rule)
    for history in (None, held(since=TUESDAY)):
        evaluation = answer(text, history=history)
        assert not evaluation.allowed
        assert evaluation.offers[0].status is Status.FAILED
        assert "what there was before is not known" in evaluation.reason


def test_a_cooldown_keeps_two_stretches_apart_and_lets_one_go_on():
    text = offer("cooldown: 3h\nmax_total: 6h")
    assert answer(text, history=held((-9, -3))).allowed
    denied = answer(text, history=held((-3, -1)))
    assert denied.reason.endswith("3h without `pg-prod/reader` in between (the last ended 2026-03-03T09:00:00Z)")
    assert denied.hint == "start at 2026-03-03T12:00:00Z or later"
    assert answer(text, history=held((-2, 0)), total_duration=3 * HOUR, is_extension=True).allowed
    assert not answer(text, history=held((2, 3))).allowed
    assert answer(text, history=held((4, 5))).allowed


def test_automatic_approval_is_used_up_per_offer_and_comes_back():
    text = offer("", approved_by="").replace("auto_approve: true", "auto_approve: {most: 2, per: 1d}")
    assert answer(text, history=asked(1)).allowed
    assert answer(text, history=asked(1, 25)).allowed
    assert answer(text, history=asked(1, 2, offer="other")).allowed
    assert answer(text, history=asked(1, 2, automatic=False)).allowed
    denied = answer(text, history=asked(1, 2))
    assert denied.reason == (
        "no offer fits: `read` is approved automatically 2 times in any 1d for one person (2 so far)"
    )


def test_a_quota_bounds_requests_and_those_that_wait():
    text = offer() + limit("quota: {most: 2, per: 1h, pending: 3}", "flood")
    assert answer(text, history=asked(0.5)).allowed
    assert "accepts 2 requests of one requester in any 1h (2 so far)" in answer(text, history=asked(0.5, 0.1)).reason
    assert "lets 3 requests of one requester wait at a time (3 so far)" in answer(text, history=asked(pending=3)).reason
    assert not answer(text, history=None).allowed


EMERGENCY = """
    offers:
      - name: emergency
        to: anyone
        entitlements: "pg-*/*"
        max_duration: 1h
        break_glass: {review_within: 1d, reviewers: [group:security]}
"""


def test_break_glass_is_asked_for_and_reviewed_afterwards():
    assert not answer(EMERGENCY).allowed
    assert "has to be asked for" in answer(EMERGENCY).reason
    evaluation = answer(EMERGENCY, break_glass=True)
    assert evaluation.reason == "offer `emergency` allows it at once as break-glass, to be reviewed within 1d"
    assert evaluation.terms.break_glass
    assert not evaluation.terms.automatic
    assert evaluation.terms.post_review.reviewers == ("group:security",)


def test_no_second_break_glass_while_the_review_of_one_is_overdue():
    overdue = History(since=TUESDAY, overdue_reviews=("aft_1",))
    assert "overdue (aft_1)" in answer(EMERGENCY, break_glass=True, history=overdue).reason
    assert not answer(EMERGENCY, break_glass=True, history=None).allowed


def test_where_the_same_is_offered_without_break_glass_that_is_taken():
    text = (
        EMERGENCY
        + """
      - name: normal
        to: anyone
        entitlements: "pg-*/*"
        max_duration: 30m
        auto_approve: true
    """
    )
    assert answer(text, hours=0.5, break_glass=True).chosen == "normal"
    assert answer(text, hours=1, break_glass=True).chosen == "emergency"


spans = st.lists(
    st.tuples(st.integers(-60, 60), st.integers(1, 20)).map(lambda span: (span[0], span[0] + span[1])), max_size=6
)


def fullest(intervals, per):
    """Minutes held in the fullest stretch of `per` minutes that touches the question, minute by minute."""
    minutes = {m for a, b in intervals for m in range(a, b)}
    begin, end = intervals[-1]
    return max(sum(1 for m in minutes if start <= m < start + per) for start in range(begin - per + 1, end))


@given(held_spans=spans, length=st.integers(1, 30), most=st.integers(1, 40), per=st.integers(40, 90))
def test_a_budget_is_never_exceeded_in_any_stretch(held_spans, length, most, per):
    text = offer(f"budget: {{most: {most}m, per: {per}m}}")
    history = History(
        since=NOTHING.since,
        grants=tuple(
            PastGrant(entitlement=READER, begins_at=TUESDAY + a * MINUTE, ends_at=TUESDAY + b * MINUTE)
            for a, b in held_spans
        ),
    )
    allowed = answer(text, hours=length / 60, history=history).allowed
    assert allowed == (fullest([*held_spans, (0, length)], per) <= most)
