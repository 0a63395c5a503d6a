"""What sources of logs share: windows with holes, state in bounded memory, local times, lapse's own marks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.gateway.postgres.session import application_name
from lapse.review.sources.clocks import Clock
from lapse.review.sources.marks import Mark, is_probe, mark_of_application, mark_of_key_id
from lapse.review.sources.spill import Spill
from lapse.review.sources.windows import Spans, Windows

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GAP = 60
minutes = st.lists(st.integers(min_value=0, max_value=2_000), max_size=40)


def at(minute):
    return START + timedelta(minutes=minute)


def minute(moment):
    return (moment - START).total_seconds() / 60


# Windows


@given(times=minutes)
def test_windows_are_the_same_in_whatever_order_lines_come(times):
    in_order, as_given = Windows(HOUR), Windows(HOUR)
    for one in sorted(times):
        in_order.see(at(one))
    for one in times:
        as_given.see(at(one))
    parts = list(as_given.parts())
    assert parts == list(in_order.parts())
    assert all(whole for _, whole in parts)
    assert [minute(start) for (start, _), _ in parts] == firsts(sorted(set(times)))
    assert all(as_given.within(at(one)) for one in times)


def firsts(times):
    """Those that come more than the gap after the one before."""
    return [one for before, one in zip([-GAP - 1, *times], times, strict=False) if one - before > GAP]


@given(events=st.lists(st.tuples(st.integers(min_value=0, max_value=600), st.booleans()), min_size=1, max_size=40))
def test_nothing_that_was_lost_lies_in_a_whole_part(events):
    windows, lost, before = Windows(HOUR), [], None
    for when, is_lost in events:
        if is_lost:
            windows.lose()
            lost.append((before, when))
        windows.see(at(when))
        before = when
    parts = list(windows.parts())
    for since, until in lost:
        begun = until - GAP if since is None else since
        for (start, end), whole in parts:
            overlap = min(end, at(max(begun, until))) - max(start, at(min(begun, until)))
            assert not whole or overlap <= timedelta(0)
    covered = Spans()
    for (start, end), _ in parts:
        covered.add(start, end)
    assert all(covered.has(at(when)) for when, _ in events)


def test_what_is_lost_at_the_end_of_a_file_was_lost_within_the_gap():
    windows = Windows(HOUR)
    windows.see(at(0))
    windows.lose()
    windows.new_file()
    windows.see(at(30))
    windows.see(at(90))
    (cut, rest) = windows.parts()
    assert (minute(cut[0][1]), cut[1], rest[1]) == (60 + 1 / 60, False, True)


def test_a_loss_between_two_lines_of_one_moment_is_a_hole_all_the_same():
    windows = Windows(HOUR)
    windows.see(at(0))
    windows.see(at(10))
    windows.lose()
    windows.see(at(10))
    windows.see(at(20))
    assert [whole for _, whole in windows.parts()] == [True, False, True]


@pytest.mark.parametrize("edge", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_ends_of_time_are_no_error(edge):
    windows = Windows(HOUR)
    windows.lose()
    windows.see(edge)
    windows.lose()
    assert [span[0].year for span, _ in windows.parts()] == [edge.year]


@given(times=minutes)
def test_there_are_never_more_windows_than_allowed(times):
    modest, greedy = Spans(most=3), Spans(most=3, greedy=True)
    for one in times:
        modest.add(at(one), at(one))
        greedy.add(at(one), at(one))
    assert len(list(modest)) <= 3
    assert len(list(greedy)) <= 3
    assert all(greedy.has(at(one)) for one in times)
    assert all(one in times for span in modest for one in map(minute, span))


# State


class Count(msgspec.Struct):
    value: int = 0


@given(names=st.lists(st.text(max_size=3), max_size=60), most=st.integers(min_value=2, max_value=8))
def test_whatever_was_put_in_is_found_again(names, most):
    expected = {}
    with Spill(Count, most) as counts:
        for name in names:
            expected[name] = expected.get(name, 0) + 1
            count = counts.get(name)
            if count is None:
                counts.put(name, Count(1))
            else:
                count.value += 1
        assert sorted(count.value for count in counts.values()) == sorted(expected.values())
        assert {name: counts.get(name).value for name in expected} == expected
        assert counts.get("never") is None


# Times


@given(moment=st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2037, 1, 1)))  # noqa: DTZ001  local
def test_a_time_and_its_abbreviation_are_one_instant(moment):
    for name in ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "UTC"):
        zone = ZoneInfo(name)
        instant = moment.replace(microsecond=0, tzinfo=UTC)
        local = instant.astimezone(zone)
        assert Clock(zone).read(local.replace(tzinfo=None), local.tzname()) == instant


@given(text=st.text(max_size=10))
def test_any_abbreviation_is_read_or_refused(text):
    for clock in (Clock(None), Clock(ZoneInfo("Europe/Berlin"))):
        try:
            found = clock.read(datetime(2026, 7, 1), text)  # noqa: DTZ001  local
        except ValueError:
            continue
        assert found.tzinfo is not None


# Marks


def test_marks_are_those_that_the_gateway_writes():
    class Admission:
        class session:  # noqa: N801  a stand-in for a value
            principal, grant_id, program = "ann@example.com", "gra_0123456789abcdef", "psql"

    assert mark_of_application(application_name(Admission)) == Mark("gra_0123456789abcdef", "ann@example.com")
    Admission.session.principal = "a" * 60
    assert mark_of_application(application_name(Admission)) is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("lapse grant gra_1 of ann", Mark("gra_1", "ann")),
        ("lapse grant gra_1 by gateway", Mark("gra_1", "")),
        ("lapse grant gra_1 of ann and bob", None),
        ("lapse grant gra_1", None),
        ("lapse grant g;1 of ann", None),
    ],
)
def test_key_ids(text, mark):
    assert mark_of_key_id(text) == mark
    assert not is_probe(text)
