"""What the solver knows of calendars is what the evaluator sees, on every day and around every change of clocks."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy.proof.asked import AskedModel, microseconds, moment
from lapse.policy.proof.calendar import Calendar, _instant, _lengths
from lapse.policy.windows import Window, closes_at, is_open

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
MINUTES = st.integers(0, 95).map(lambda quarter: quarter * 15)
WINDOWS = st.builds(
    lambda days, start, length, zone: Window(
        days=tuple(sorted(days)), start=start, end=(start + length - 1) % 1440 + 1, timezone=zone
    ),
    st.sets(st.integers(0, 6), min_size=1),
    MINUTES,
    st.integers(1, 96).map(lambda quarter: quarter * 15),
    ZONES,
)
GROUPS = st.lists(st.lists(WINDOWS, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2, unique=True).map(tuple)
TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001


def within(windows, begin, length):
    return is_open(windows, begin) and closes_at(windows, begin, begin + length) is None


@settings(max_examples=120, deadline=None)
@given(GROUPS, TIMES, st.integers(1, 60 * 48))
def test_whatever_happens_at_some_time_the_calendar_says_can_happen(groups, begin, minutes):
    calendar, length = Calendar(AskedModel()), timedelta(minutes=minutes)
    says = [within(group, begin, length) for group in groups]
    cells = calendar._of(groups)
    spans = [span for cell in cells if (span := _lengths(cell, says))]
    assert any(least <= length.total_seconds() <= most for least, most in spans)
    assert any(_instant(cell, says, microseconds(length)) is not None for cell in cells)


@settings(max_examples=120, deadline=None)
@given(GROUPS, st.integers(1, 60 * 48), st.lists(st.booleans(), min_size=2, max_size=2))
def test_an_instant_that_the_calendar_names_is_as_it_says(groups, minutes, wanted):
    calendar, length = Calendar(AskedModel()), timedelta(minutes=minutes)
    says = wanted[: len(groups)]
    instants = [_instant(cell, says, microseconds(length)) for cell in calendar._of(groups)]
    for at in [one for one in instants if one is not None][:5]:
        assert [within(group, moment(at), length) for group in groups] == says
