from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy.windows import Window, closes_at, is_open, opens_at

MINUTE = timedelta(minutes=1)
NIGHTS = Window(days=(0, 1, 2, 3, 4), start=22 * 60, end=6 * 60, timezone="Europe/Berlin")
WHOLE_DAYS = Window(days=tuple(range(7)), start=0, end=1440, timezone="UTC")


def berlin(text, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-06 21:59", False),
        ("2026-03-06 22:00", True),
        ("2026-03-07 05:59", True),  # Saturday morning belongs to Friday's night
        ("2026-03-07 06:00", False),
        ("2026-03-07 22:30", False),
        ("2026-03-09 03:00", False),  # Monday morning would belong to Sunday's night
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(at, expected):
    assert NIGHTS.is_open(berlin(at)) is expected


def test_the_hour_that_is_skipped_in_spring_is_not_open():
    early = Window(days=(6,), start=120, end=180, timezone="Europe/Berlin")
    assert opens_at((early,), berlin("2026-03-29 00:00")) == berlin("2026-04-05 02:00")


def test_the_hour_that_comes_twice_in_autumn_is_open_twice():
    early = Window(days=(6,), start=120, end=150, timezone="Europe/Berlin")
    first, second = berlin("2026-10-25 02:00"), berlin("2026-10-25 02:00", fold=1)
    assert second - first == timedelta(hours=1)
    assert closes_at((early,), first, first + timedelta(hours=3)) == berlin("2026-10-25 02:30")
    assert opens_at((early,), berlin("2026-10-25 02:30")) == second


def test_a_night_is_an_hour_longer_when_clocks_go_back_and_shorter_when_they_go_forward():
    every_night = Window(days=tuple(range(7)), start=22 * 60, end=6 * 60, timezone="Europe/Berlin")
    for evening, hours in (("2026-10-24 22:00", 9), ("2026-03-28 22:00", 7), ("2026-05-01 22:00", 8)):
        begin = berlin(evening)
        assert closes_at((every_night,), begin, begin + timedelta(days=1)) == begin + timedelta(hours=hours)


def test_windows_that_touch_are_one():
    morning = Window(days=(0,), start=480, end=720, timezone="Europe/Berlin")
    afternoon = Window(days=(0,), start=720, end=1080, timezone="Europe/Berlin")
    begin = berlin("2026-03-02 09:00")
    assert closes_at((morning, afternoon), begin, begin + timedelta(days=1)) == berlin("2026-03-02 18:00")


def test_whole_days_do_not_close():
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert closes_at((WHOLE_DAYS,), begin, begin + timedelta(days=366)) is None


def test_what_closes_exactly_at_the_end_does_not_close_before():
    begin = berlin("2026-03-02 22:00")
    assert closes_at((NIGHTS,), begin, begin + timedelta(hours=8)) is None
    assert closes_at((NIGHTS,), begin, begin + timedelta(hours=8, seconds=1)) == begin + timedelta(hours=8)


def test_a_window_that_is_never_reached_does_not_open():
    skipped = Window(days=(6,), start=125, end=126, timezone="Europe/Berlin")
    assert opens_at((skipped,), berlin("2026-03-22 03:00")) is None


def test_windows_read_well():
    assert str(NIGHTS) == "mon-fri 22:00-06:00 Europe/Berlin"
    assert str(WHOLE_DAYS) == "daily 00:00-24:00 UTC"
    assert str(Window(days=(5, 6), start=0, end=60, timezone="UTC")) == "sat,sun 00:00-01:00 UTC"


# Zones whose clocks change by an hour, by half an hour, at midnight, in the other hemisphere, or never.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "UTC")
CHANGES = [
    datetime.fromisoformat(f"2026-{day}T00:00:00Z")
    for day in ("03-08", "03-29", "04-05", "09-06", "10-04", "10-25", "11-01", "06-15")
]
MINUTES = st.one_of(st.sampled_from([0, 60, 120, 150, 180, 1380, 1439]), st.integers(0, 1439))


@st.composite
def windows(draw):
    start, end = draw(MINUTES), draw(st.one_of(MINUTES, st.just(1440)))
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    if start == end:
        end = start + 1
    return Window(days=tuple(sorted(days)), start=start, end=end, timezone=draw(st.sampled_from(ZONES)))


def slowly_open(window, at):
    """The definition, word for word: does the clock there show a time that the window has?"""
    local = at.astimezone(ZoneInfo(window.timezone))
    shown = local.weekday() * 1440 + local.hour * 60 + local.minute
    length = (window.end - window.start) % 1440 or 1440
    return any((shown - (day * 1440 + window.start)) % (7 * 1440) < length for day in window.days)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(windows(), min_size=1, max_size=2),
    st.sampled_from(CHANGES),
    st.integers(-2880, 2880),
    st.integers(1, 1800),
)
def test_windows_agree_with_a_clock_that_is_read_every_minute(found, change, offset, length):
    begin = change + offset * MINUTE
    found = tuple(found)
    clock = [any(slowly_open(w, begin + n * MINUTE) for w in found) for n in range(length)]
    assert [is_open(found, begin + n * MINUTE) for n in range(0, length, 7)] == clock[::7]
    shut = next((n for n, opened in enumerate(clock) if not opened), None)
    expected = None if shut is None else begin + shut * MINUTE
    assert closes_at(found, begin, begin + length * MINUTE) == expected
    first = next((n for n, opened in enumerate(clock) if opened), None)
    opening = opens_at(found, begin)
    if first is None:
        assert opening is None or opening >= begin + length * MINUTE
    else:
        assert opening == begin + first * MINUTE
