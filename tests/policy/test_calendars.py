"""Openings that are remembered are those that the windows have."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy import calendars as calendars_module
from lapse.policy.calendars import Calendar
from lapse.policy.windows import Window, closes_at, is_open
from support.policy_world import HOUR, TUESDAY

WINDOWS = st.lists(
    st.builds(
        lambda days, start, length, zone: Window(
            days=tuple(sorted(days)), start=60 * start, end=60 * ((start + length) % 24), timezone=zone
        ),
        st.sets(st.integers(0, 6), min_size=1),
        st.integers(0, 23),
        st.integers(1, 23),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
ASKED = st.lists(st.tuples(st.integers(0, 24 * 60), st.sampled_from([0.5, 1, 4, 30])), min_size=1, max_size=8)


@settings(max_examples=80, deadline=None)
@given(WINDOWS, ASKED)
def test_the_room_is_what_the_windows_leave(windows, asked):
    calendar = Calendar(windows)
    for half_hours, hours in asked:
        begin, length = TUESDAY + half_hours * HOUR / 2, hours * HOUR
        expected = None
        if is_open(windows, begin):
            closing = closes_at(windows, begin, begin + length)
            expected = length if closing is None else closing - begin
        assert calendar.room(begin, length) == expected


ALWAYS = (Window(days=tuple(range(7)), start=0, end=1440, timezone="UTC"),)


def test_what_never_closes_has_room_for_everything():
    calendar = Calendar(ALWAYS)
    for days in (0, 1, 6, 9, 30):
        assert calendar.room(TUESDAY + timedelta(days=days), timedelta(days=20)) == timedelta(days=20)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(calendars_module, "MOST_STRETCHES", 2)
    calendar = Calendar((Window(days=(1, 2, 3), start=540, end=1020, timezone="UTC"),))
    for days in range(60):
        assert calendar.room(TUESDAY + timedelta(days=days), HOUR) in {None, HOUR}
    assert len(calendar._starts) <= 2


def test_a_time_that_no_clock_shows_is_said():
    nowhere = (Window(days=(1,), start=0, end=60, timezone="Nowhere/Land"),)
    assert "Nowhere/Land" in str(Calendar(nowhere).room(TUESDAY, HOUR))
