"""Instants as RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.times import format_time, parse_time
from support.domain_values import INSTANTS


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T14:00:00Z",
        "2026-03-01t14:00:00z",
        "2026-03-01 14:00:00Z",
        "2026-03-01T14:00:00.000Z",
        "2026-03-01T15:00:00+01:00",
        "2026-03-01T08:30:00-05:30",
    ],
)
def test_every_rfc_3339_spelling_of_an_instant_is_that_instant_in_utc(text):
    at = parse_time(text)

    assert at == datetime(2026, 3, 1, 14, tzinfo=UTC)
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01T14:00:00",
        "2026-03-01T14:00Z",
        "2026-02-30T14:00:00Z",
        "2026-03-01T25:00:00Z",
        "2026-03-01T14:00:00+99:00",
        "2026-03-01T14:00:00.1234567Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "٢٠٢٦-03-01T14:00:00Z",
        "2026-03-01T14:00:00Z\n",
        "2026-03-01T14:00:00Z" + " " * 1_000_000,
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match="is not a time") as refused:
        parse_time(text)
    assert "2026-03-01T14:00:00Z" in refused.value.hint
    assert len(str(refused.value)) < 80


@given(INSTANTS)
def test_written_and_read_back_is_the_same_instant(at):
    assert parse_time(format_time(at)) == at


@given(INSTANTS, INSTANTS)
def test_text_sorts_as_time_does(one, other):
    assert (format_time(one) < format_time(other)) == (one < other)
    assert len(format_time(one)) == len(format_time(other)) == 27


@given(INSTANTS, st.integers(-14 * 60, 14 * 60))
def test_the_zone_in_which_an_instant_is_given_does_not_matter(at, minutes):
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))

    assert format_time(elsewhere) == format_time(at)
    assert parse_time(elsewhere.isoformat()) == at


@given(st.text())
def test_any_text_gives_an_instant_with_a_zone_or_a_refusal(text):
    try:
        at = parse_time(text)
    except InvalidInput:
        return
    assert at.tzinfo is UTC
