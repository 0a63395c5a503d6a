"""The arithmetic of shifts, also where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.policy.windows import Window
from lapse.rotas.shifts import Layer, Plan, Shift, instant

BERLIN = "Europe/Berlin"
ZONES = st.sampled_from(
    [BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca",
     "America/St_Johns", "Europe/Dublin", "Asia/Gaza"]
)  # fmt: skip
DAYS = st.dates(date(2007, 1, 1), date(2035, 12, 31))
HOUR = timedelta(hours=1)


def berlin(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


@st.composite
def layers(draw):
    return Layer(
        people=tuple(draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True))),
        starts=draw(DAYS),
        timezone=draw(ZONES),
        days=draw(st.integers(1, 30)),
        hand_over=draw(st.integers(0, 1439)),
    )


def slowly(layer, at):
    """Who is on call, by writing down one hand-over after the other as a clock on the wall would show it."""
    zone, turn, day = ZoneInfo(layer.timezone), None, layer.starts
    while first_shown(day, layer.hand_over, zone) <= at:
        turn = 0 if turn is None else turn + 1
        day += timedelta(days=layer.days)
    return None if turn is None else layer.people[turn % len(layer.people)]


def first_shown(day, minutes, zone):
    """The first instant at which clocks show that time of that day or later, found by looking at every minute."""
    wanted = datetime.combine(day, time.min) + timedelta(minutes=minutes)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes) - timedelta(hours=15)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += timedelta(minutes=1)
    return at


@given(layers(), st.timedeltas(timedelta(days=-3), timedelta(days=70)))
def test_the_quick_way_and_the_slow_way_agree(layer, after):
    at = datetime(layer.starts.year, layer.starts.month, layer.starts.day, tzinfo=UTC) + after
    assert layer.on_call(at) == slowly(layer, at)


@given(layers(), st.integers(0, 5_000))
def test_every_instant_belongs_to_one_turn_and_turns_touch(layer, turn):
    begins, ends = layer.begins(turn), layer.begins(turn + 1)
    assert begins <= ends
    if begins == ends:
        return  # a whole day that a place skipped
    assert layer.turn(begins) == turn
    assert layer.turn(ends - timedelta(microseconds=1)) == turn
    assert layer.turn(begins - timedelta(microseconds=1)) == (turn - 1 if turn else None)
    assert layer.on_call(begins) == layer.people[turn % len(layer.people)]


@given(layers(), st.integers(0, 2_000))
def test_a_hand_over_is_at_its_time_of_day_there_unless_that_is_skipped(layer, turn):
    zone = ZoneInfo(layer.timezone)
    shown = layer.begins(turn).astimezone(zone)
    wanted = datetime.combine(layer.starts, time.min)
    wanted += timedelta(days=turn * layer.days, minutes=layer.hand_over)
    assert shown.replace(tzinfo=None) >= wanted
    before = (layer.begins(turn) - timedelta(seconds=1)).astimezone(zone)
    assert before.replace(tzinfo=None) < wanted


@given(ZONES, DAYS, st.integers(0, 1439))
def test_an_instant_is_the_first_at_which_clocks_show_it(zone, day, minutes):
    assert instant(day, minutes, zone) == first_shown(day, minutes, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("day", "minutes", "at"),
    [
        (date(2026, 3, 28), 540, "2026-03-28T08:00:00+00:00"),
        (date(2026, 3, 29), 540, "2026-03-29T07:00:00+00:00"),
        (date(2026, 3, 29), 150, "2026-03-29T01:00:00+00:00"),
        (date(2026, 10, 25), 150, "2026-10-25T00:30:00+00:00"),
        (date(2026, 10, 25), 540, "2026-10-25T08:00:00+00:00"),
    ],
)
def test_berlin_when_clocks_change(day, minutes, at):
    assert instant(day, minutes, BERLIN) == datetime.fromisoformat(at)


def test_the_shift_in_which_clocks_change_is_an_hour_shorter_or_longer():
    layer = Layer(people=("ann", "bob"), starts=date(2026, 3, 1), timezone=BERLIN, days=1)
    spring, autumn = (date(2026, 3, 28) - layer.starts).days, (date(2026, 10, 24) - layer.starts).days
    assert layer.begins(spring + 1) - layer.begins(spring) == 23 * HOUR
    assert layer.begins(autumn + 1) - layer.begins(autumn) == 25 * HOUR


def test_a_layer_has_a_beginning_and_an_end():
    layer = Layer(people=("ann",), starts=date(2026, 3, 2), ends=date(2026, 3, 9), timezone=BERLIN)
    assert layer.on_call(berlin("2026-03-02T08:59")) is None
    assert layer.on_call(berlin("2026-03-02T09:00")) == "ann"
    assert layer.on_call(berlin("2026-03-09T08:59")) == "ann"
    assert layer.on_call(berlin("2026-03-09T09:00")) is None


def test_a_layer_can_be_for_times_of_the_week_only():
    office = Window(days=(0, 1, 2, 3, 4), start=540, end=1020, timezone=BERLIN)
    layer = Layer(people=("ann",), starts=date(2026, 3, 2), timezone=BERLIN, windows=(office,))
    assert layer.on_call(berlin("2026-03-06T16:59")) == "ann"
    assert layer.on_call(berlin("2026-03-06T17:00")) is None
    assert layer.on_call(berlin("2026-03-07T12:00")) is None


def test_layers_and_shifts_are_on_call_together_and_overrides_alone():
    day = berlin("2026-03-02T09:00")
    plan = Plan(
        layers=(
            Layer(people=("ann",), starts=date(2026, 3, 2), timezone=BERLIN),
            Layer(people=("bob",), starts=date(2026, 3, 2), timezone=BERLIN),
        ),
        shifts=(Shift(who="cat", begins=day + HOUR, ends=day + 2 * HOUR),),
        overrides=(
            Shift(who="dan", begins=day + 3 * HOUR, ends=day + 5 * HOUR),
            Shift(who="", begins=day + 4 * HOUR, ends=day + 6 * HOUR),
        ),
    )
    both = {"ann", "bob"}
    people = [plan.on_call(day + n * HOUR) for n in range(-1, 7)]
    assert people == [set(), both, both | {"cat"}, both, {"dan"}, {"dan"}, set(), both]
