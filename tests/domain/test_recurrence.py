"""When repeated access occurs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.errors import InvalidInput
from lapse.domain.recurrence import occurrences
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
