"""When repeated access occurs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.recurrence import occurrences, read_recurrence, recurrence_words
from lapse.domain.requests import Recurrence

MARCH = datetime(2026, 3, 27, 12, tzinfo=UTC)


def repeats(days=tuple(range(7)), at="02:30", timezone="Europe/Berlin", last=4):
    hours, minutes = at.split(":")
    return Recurrence(
        days=days,
        at_minute=int(hours) * 60 + int(minutes),
        timezone=timezone,
        until=MARCH + timedelta(days=last),
    )


def test_the_clock_there_counts_on_either_side_of_a_change():
    found = occurrences(repeats(at="22:00"), MARCH)
    assert [f"{at:%d %H:%M}" for at in found] == ["27 21:00", "28 21:00", "29 20:00", "30 20:00"]


def test_a_time_that_the_clock_skips_is_when_it_jumps_over_it():
    assert [f"{at:%d %H:%M}" for at in occurrences(repeats(), MARCH)] == [
        "28 01:30",
        "29 01:30",
        "30 00:30",
        "31 00:30",
    ]


def test_a_time_that_comes_twice_is_the_first():
    october = datetime(2026, 10, 24, 12, tzinfo=UTC)
    twice = Recurrence(days=(6,), at_minute=150, timezone="Europe/Berlin", until=october + timedelta(days=1))
    assert occurrences(twice, october) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC),)


def test_only_the_days_named_and_only_what_is_to_come():
    assert [f"{at:%a}" for at in occurrences(repeats(days=(4, 0), at="23:00"), MARCH)] == ["Fri", "Mon"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"days": ()}, "the days or the time of day"),
        ({"days": (7,)}, "the days or the time of day"),
        ({"at": "24:00"}, "the days or the time of day"),
        ({"timezone": "Mars/Base"}, "`Mars/Base` is not a time zone"),
        ({"last": 91}, "more than 90 days away"),
        ({"last": 80}, "80 occurrences, 60 at most"),
        ({"last": 0}, "no such day before the end"),
    ],
)
def test_what_cannot_be_repeated(change, words):
    with pytest.raises(InvalidInput, match=words):
        occurrences(repeats(**change), MARCH)


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("Sat, sun", (5, 6)),
        ("fri-mon", (0, 4, 5, 6)),
        ("wed", (2,)),
        ("mon,mon-tue", (0, 1)),
        ("daily", tuple(range(7))),
    ],
)
def test_days_are_read_as_people_write_them(days, found):
    assert read_recurrence(days, "9:05", "Europe/Berlin", "2026-03-31").days == found


def test_a_day_is_meant_with_its_last_minute_there():
    found = read_recurrence("mon-fri", "22:00", "America/New_York", "2026-03-31")
    assert found.until == datetime(2026, 4, 1, 3, 59, 59, tzinfo=UTC)
    assert read_recurrence("mon", "22:00", "UTC", "2026-03-31T12:00:00Z").until == datetime(2026, 3, 31, 12, tzinfo=UTC)
    assert recurrence_words(found) == "mon-fri 22:00 America/New_York until 2026-03-31 23:59"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"days": "monday"}, "`monday` is no day"),
        ({"days": ""}, "`` is no day"),
        ({"days": "mon-"}, "`mon-` is no day"),
        ({"days": "mon," * 1000}, "names no day"),
        ({"at": "24:00"}, "`24:00` is not a time of day"),
        ({"at": "9"}, "`9` is not a time of day"),
        ({"at": "9" * 1000}, "is not a time of day"),
        ({"at": "\u0669:\u0660\u0660"}, "is not a time of day"),
        ({"timezone": "Mars/Base"}, "`Mars/Base` is not a time zone"),
        ({"timezone": "../../etc/passwd"}, "is not a time zone"),
        ({"timezone": "x" * 5000}, "is not a time zone"),
        ({"timezone": "a\0b"}, "is not a time zone"),
        ({"until": "2026-02-30"}, "`2026-02-30` is not a day"),
        ({"until": "tomorrow"}, "`tomorrow` is not a time"),
        ({"until": "9999-12-31"}, "`9999-12-31` is not a day"),
    ],
)
def test_what_is_no_repetition_is_one_sentence(change, words):
    given = {"days": "mon-fri", "at": "22:00", "timezone": "America/New_York", "until": "2026-03-31", **change}
    with pytest.raises(InvalidInput, match=words) as caught:
        read_recurrence(**given)
    assert "\n" not in caught.value.message


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    since=st.integers(0, 2 * 365 * 24 * 60).map(
        lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    length=st.integers(1, 60),
)
def test_every_occurrence_is_on_its_day_at_its_time_unless_the_clock_skips_it(days, minute, zone, since, length):
    repeats = Recurrence(
        days=tuple(sorted(days)), at_minute=minute, timezone=zone, until=since + timedelta(days=length)
    )
    try:
        found = occurrences(repeats, since)
    except InvalidInput:
        found = ()
    assert list(found) == sorted(set(found))
    for at in found:
        there = at.astimezone(ZoneInfo(zone))
        late = (there.hour * 60 + there.minute - minute) % (24 * 60)
        skipped = there.replace(fold=0).utcoffset() != (there - timedelta(hours=3)).replace(fold=0).utcoffset()
        assert late == 0 or (skipped and late <= 60)
        assert since <= at <= repeats.until
        assert there.weekday() in days
