"""Windows: times of the week, on the clocks of one place, in which access may be held.

A window is open at an instant if the wall clock there shows a time in it. So it is right across midnight and when
clocks change: an hour that is skipped is not open, an hour that comes twice is open twice. Used by the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` to `end` (minutes after midnight, `end` up to 1440) on `days` (0 is Monday) in `timezone`.

    Where `end` is not after `start` the window runs into the next day; `days` name the day it starts on.
    """

    days: tuple[int, ...]
    start: int
    end: int
    timezone: str

    def is_open(self, at: datetime) -> bool:
        """Whether the clock in `timezone` shows a time in the window at the instant `at`."""
        local = at.astimezone(ZoneInfo(self.timezone))
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)

    def next_change(self, after: datetime) -> datetime:
        """An instant after `after` before which the window neither opens nor closes."""
        zone = ZoneInfo(self.timezone)
        today = after.astimezone(zone).date()
        shown = next(instant for instant in _edges(self.start, self.end, self.timezone, today) if instant > after)
        return _clock_change(zone, after, shown) or shown

    def __str__(self) -> str:
        return f"{_days_text(self.days)} {_clock(self.start)}-{_clock(self.end)} {self.timezone}"


def is_open(windows: Iterable[Window], at: datetime) -> bool:
    """Whether any of `windows` is open at `at`."""
    return any(window.is_open(at) for window in windows)


def closes_at(windows: tuple[Window, ...], begin: datetime, horizon: datetime) -> datetime | None:
    """The first instant from `begin` on, up to `horizon`, at which none of `windows` is open; None if there is none."""
    at = begin
    while is_open(windows, at):
        at = min(window.next_change(at) for window in windows)
        if at >= horizon:
            return None
    return at


def opens_at(windows: tuple[Window, ...], begin: datetime) -> datetime | None:
    """The first instant from `begin` on, within nine days, at which one of `windows` is open."""
    at = begin
    while not is_open(windows, at):
        at = min(window.next_change(at) for window in windows)
        if at > begin + 9 * _DAY:
            return None
    return at


@lru_cache(maxsize=4096)
def _edges(start: int, end: int, timezone: str, today: date) -> tuple[datetime, ...]:
    """The instants at which the clocks show `start` or `end`, today and on the next two days, in order."""
    zone, days = ZoneInfo(timezone), (today, today + _DAY, today + 2 * _DAY)
    return tuple(sorted(_instant(*edge, zone, fold) for edge in product(days, (start, end)) for fold in (0, 1)))


def _instant(day: date, minutes: int, zone: ZoneInfo, fold: int) -> datetime:
    days, minute = divmod(minutes, DAY_MINUTES)
    hour, minute = divmod(minute, 60)
    day += timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold).astimezone(UTC)


def _clock_change(zone: ZoneInfo, after: datetime, before: datetime) -> datetime | None:
    """The first whole second between the two at which the clocks there show another offset; None if they do not."""
    offset = after.astimezone(zone).utcoffset()
    low, high = after.replace(microsecond=0).astimezone(UTC), before - _SECOND
    if high <= low or high.astimezone(zone).utcoffset() == offset:
        return None
    while high - low > _SECOND:
        middle = low + (high - low) // 2 // _SECOND * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _days_text(days: tuple[int, ...]) -> str:
    if len(days) == len(DAYS):
        return "daily"
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):  # noqa: PLR2004  two days are listed
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
