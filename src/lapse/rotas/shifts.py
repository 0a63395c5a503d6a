"""The arithmetic of shifts, on the clocks of one place.

A layer hands over every so many days at one time of day *there*: 09:00 stays 09:00 when clocks change, and the shift in
which they change is an hour longer or shorter. A hand-over at a time that is skipped happens when the clocks go on; one
at a time that comes twice happens the first time. Pure: called by `files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lapse.policy.windows import Window, is_open

_DAY = timedelta(days=1)
_MINUTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`people` in turn, each for `days` days, from `starts` on (the first hand-over) until `ends`.

    `hand_over` is in minutes after midnight. `windows` restrict the layer to times of the week, if there are any.
    """

    people: tuple[str, ...]
    starts: date
    timezone: str
    days: int = 7
    hand_over: int = 540
    ends: date | None = None
    windows: tuple[Window, ...] = ()

    def on_call(self, at: datetime) -> str | None:
        """Who has the shift at the instant `at`; nobody before the first and after the last, or outside the windows."""
        turn = self.turn(at)
        if turn is None or (self.windows and not is_open(self.windows, at)):
            return None
        return self.people[turn % len(self.people)]

    def turn(self, at: datetime) -> int | None:
        """How many hand-overs there were between the first and `at`; None outside the layer's time."""
        if at < self.begins(0) or (self.ends is not None and at >= self._instant(self.ends)):
            return None
        local = at.astimezone(ZoneInfo(self.timezone)).date()
        turn = (local - self.starts).days // self.days
        return turn if self.begins(turn) <= at else turn - 1

    def begins(self, turn: int) -> datetime:
        """When the shift number `turn` (from 0) begins, in UTC."""
        return self._instant(self.starts + turn * self.days * _DAY)

    def _instant(self, day: date) -> datetime:
        return instant(day, self.hand_over, self.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One stretch, from `begins` to (not including) `ends`, of one person, or (`nobody`) of none."""

    who: str
    begins: datetime
    ends: datetime

    def covers(self, at: datetime) -> bool:
        """Whether `at` is in it."""
        return self.begins <= at < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Layers and single shifts: all of them are on call together. While an override lasts, only overrides count."""

    layers: tuple[Layer, ...] = ()
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Shift, ...] = field(default=())

    def on_call(self, at: datetime) -> frozenset[str]:
        """Everybody on call at `at`; nobody in a gap."""
        replacing = [shift.who for shift in self.overrides if shift.covers(at)]
        if replacing:
            return frozenset(who for who in replacing if who)
        turns = (layer.on_call(at) for layer in self.layers)
        single = (shift.who for shift in self.shifts if shift.covers(at))
        return frozenset(who for who in (*turns, *single) if who)


def instant(day: date, minutes: int, timezone: str) -> datetime:
    """The instant, in UTC, at which clocks in `timezone` first show that time of that day or a later one."""
    hour, minute = divmod(minutes, _MINUTES)
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(timezone))
    found = local.astimezone(UTC)
    back = found.astimezone(local.tzinfo).replace(tzinfo=None)
    if back == local.replace(tzinfo=None):
        return found
    return _end_of_gap(local)


def _end_of_gap(local: datetime) -> datetime:
    """`local` is skipped: the clocks go on where the offset before the gap and the one after it meet."""
    before, after = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    low, high = (local - _DAY).astimezone(UTC), (local + _DAY).astimezone(UTC)
    if before is None or after is None:
        return local.astimezone(UTC)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(local.tzinfo).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
