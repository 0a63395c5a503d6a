"""Reviews that recur: over the calendar's own periods, none missed and none twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.looks import LONGEST_PAUSE, Look
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


def test_after_a_long_absence_the_latest_period_is_next_and_those_before_are_missed():
    schedule = a_schedule(3, datetime(2026, 4, 1, tzinfo=UTC)).caught_up(datetime(2026, 11, 20, tzinfo=UTC))
    assert schedule.period == "2026-07-01..2026-09-30"
    assert schedule.missed == ("2026-01-01..2026-03-31", "2026-04-01..2026-06-30")
    after = schedule.made_up_for("2026-01-01..2026-03-31")
    assert after.missed == ("2026-04-01..2026-06-30",)
    with pytest.raises(NotFound, match="missed no period"):
        after.made_up_for("2026-01-01..2026-03-31")


@given(TIMES, st.sampled_from(CADENCES), st.integers(0, 4_000))
def test_whatever_the_absence_each_period_is_next_or_missed_exactly_once(at, every, days):
    schedule, now = a_schedule(every, first_after(at, every)), at + timedelta(days=days)
    after = schedule.caught_up(now)
    periods = [parse_period(text) for text in (*after.missed, after.period)]
    assert periods[0].start == parse_period(schedule.period).start
    assert all(one.end == two.start for one, two in itertools.pairwise(periods))
    assert all(one.end <= now for one in periods[:-1])
    assert first_after(after.next_at, every) > now
    assert after.caught_up(now) == after


def looked(schedule, at):
    return schedule.looked(Look(id="lok", at=at, snapshot="", findings=""))


def test_it_is_looked_at_once_a_day_and_after_an_absence_once():
    at = datetime(2026, 8, 17, 23, 59, tzinfo=UTC)
    schedule = replace(a_schedule(3, first_after(at, 3)), continuous=True)
    assert schedule.look_due(at)
    assert not looked(schedule, at).look_due(at + timedelta(seconds=59))
    assert looked(schedule, at).look_due(at + timedelta(minutes=1))
    late = at + timedelta(days=40)
    assert not looked(looked(schedule, at), late).look_due(late)
    assert not replace(schedule, continuous=False).look_due(at)
    assert schedule.looking_back(at) == "2026-05-01..2026-08-17"


@given(st.integers(1, 60))
def test_a_look_that_fails_is_tried_again_after_a_pause_that_grows_up_to_some_hours(times):
    now = datetime(2026, 8, 17, tzinfo=UTC)
    schedule = replace(a_schedule(3, first_after(now, 3)), continuous=True)
    pauses = []
    for _ in range(times):
        schedule = schedule.look_failed("away", now)
        assert not schedule.look_due(now)
        pauses.append(schedule.failure.again_at - now)
        now = schedule.failure.again_at
        assert schedule.look_due(now)
    assert (pauses, schedule.failure.tries) == (sorted(pauses), times)
    assert pauses[-1] <= LONGEST_PAUSE
    assert looked(schedule, now).failure is None
