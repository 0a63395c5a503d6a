"""Durations: what people write, what data holds, what is refused."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lapse.domain.durations import LONGEST, check_duration, human_duration, iso_duration, parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import is_printable
from support.domain_values import HONEST_DURATIONS, LENGTHS


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("2h", timedelta(hours=2)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        (" 2h 30m ", timedelta(hours=2, minutes=30)),
        ("90m", timedelta(minutes=90)),
        ("1w2d", timedelta(days=9)),
        ("45s", timedelta(seconds=45)),
        ("PT2H30M", timedelta(hours=2, minutes=30)),
        ("P1DT12H", timedelta(days=1, hours=12)),
        ("P2W", timedelta(days=14)),
        ("P3D", timedelta(days=3)),
        ("366d", LONGEST),
    ],
)
def test_people_and_data_write_durations(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "P",
        "PT",
        "P1DT",
        "two hours",
        "2",
        "2 hours",
        "-2h",
        "+2h",
        "1.5h",
        "2h2h",
        "30m2h",
        "P1M",
        "P1Y",
        "P1W2D",
        "pt2h",
        "٢h",
        "2h\n; drop table",
        "\x00",
        "1h" * 100,
        "9" * 4_000 + "s",
        "1000000000s",
    ],
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0h0m", "PT0S", "P0D", "P0W"])
def test_nothing_lasts_no_time(text):
    with pytest.raises(InvalidInput, match="not longer than zero"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["366d1s", "999999999s", "P367D", "365000d", "999999999w", "P999999999W"])
def test_a_thousand_years_are_not_temporary(text):
    with pytest.raises(InvalidInput, match="is longer than 366 days") as refused:
        parse_duration(text)
    assert text in str(refused.value)


def test_a_negative_duration_is_refused_and_named():
    with pytest.raises(InvalidInput, match="`-2h` is not longer than zero"):
        check_duration(timedelta(hours=-2))


@given(HONEST_DURATIONS)
def test_both_spellings_are_read_back_as_the_same_duration(duration):
    assert parse_duration(iso_duration(duration)) == duration
    assert parse_duration(human_duration(duration)) == duration


@given(LENGTHS)
@example(timedelta(microseconds=1))
@example(timedelta(days=-1, microseconds=1))
@example(timedelta(0))
def test_the_iso_spelling_loses_nothing(duration):
    assert msgspec.convert(iso_duration(duration), timedelta) == duration


@given(st.text())
def test_any_text_gives_a_duration_in_range_or_a_refusal(text):
    try:
        duration = parse_duration(text)
    except InvalidInput as refused:
        assert refused.hint  # noqa: PT017  both outcomes are right, and the refusal must help
        assert is_printable(str(refused))  # noqa: PT017
    else:
        assert timedelta(0) < duration <= LONGEST


@given(st.from_regex(r"P?([0-9]{1,12}[WDHMSwdhms]){0,3}T?([0-9]{1,12}[WDHMSwdhms]){0,3}", fullmatch=True))
def test_nearly_right_text_gives_a_duration_in_range_or_a_refusal(text):
    test_any_text_gives_a_duration_in_range_or_a_refusal.hypothesis.inner_test(text)


def test_spellings_are_short():
    assert iso_duration(timedelta(0)) == "PT0S"
    assert iso_duration(timedelta(days=1)) == "P1D"
    assert iso_duration(timedelta(days=1, seconds=5)) == "P1DT5S"
    assert iso_duration(timedelta(seconds=0.25)) == "PT0.25S"
    assert iso_duration(timedelta(hours=-2)) == "-PT2H"
    assert human_duration(timedelta(0)) == "0s"
    assert human_duration(timedelta(milliseconds=900)) == "0s"
    assert human_duration(timedelta(days=1, hours=2, minutes=3, seconds=4)) == "1d2h3m4s"
    assert human_duration(timedelta(minutes=-5)) == "-5m"
