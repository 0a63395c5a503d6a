"""Reviews that recur: over the calendar's own periods, none missed and none twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.schedules import CADENCES, ReviewSchedule, first_after
from lapse.review.scope import parse_period

TIMES = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def a_schedule(every, next_at):
    return ReviewSchedule(
        name="x", scope="all", every_months=every, next_at=next_at, created_by="root", created_at=next_at
    )


def test_a_quarter_is_reviewed_when_it_is_over():
    due = first_after(datetime(2026, 8, 17, 9, tzinfo=UTC), 3)
    assert due == datetime(2026, 10, 1, tzinfo=UTC)
    assert a_schedule(3, due).period == "2026-07-01..2026-09-30"
    assert a_schedule(3, due).started("rev_1").next_at == datetime(2027, 1, 1, tzinfo=UTC)


@given(TIMES, st.sampled_from(CADENCES))
def test_periods_follow_one_another_without_gap_or_overlap(at, every):
    schedule = a_schedule(every, first_after(at, every))
    assert schedule.next_at > at
    before = parse_period(schedule.period)
    after = parse_period(schedule.started("rev_1").period)
    assert before.start <= at < before.end == schedule.next_at
    assert after.start == before.end


@pytest.mark.parametrize("every", [0, -3, 5, 7, 24])
def test_months_that_do_not_divide_a_year_are_refused(every):
    with pytest.raises(InvalidInput, match="does not divide a year"):
        first_after(datetime(2026, 1, 1, tzinfo=UTC), every)
