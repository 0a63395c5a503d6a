"""When windows are open, remembered as stretches of time, so that each is worked out once. Called by `features`."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from lapse.policy.windows import Window, closes_at, is_open, opens_at

_LONGEST_STRETCH = timedelta(days=7)
MOST_STRETCHES = 50_000


class Calendar:
    """The openings of some windows. What is known grows with the stretches that are asked about, up to a bound."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self._windows = windows
        self._starts: list[datetime] = []
        self._stretches: list[tuple[datetime, datetime, bool, bool]] = []

    def room(self, begin: datetime, duration: timedelta) -> timedelta | str | None:
        """How long from `begin` on the windows stay open, at most `duration`; None if they are closed.

        Text says why that cannot be told.
        """
        try:
            return self._room(begin, duration)
        except (ArithmeticError, ValueError, LookupError, OSError) as error:
            return str(error)

    def _room(self, begin: datetime, duration: timedelta) -> timedelta | None:
        at = bisect_right(self._starts, begin) - 1
        if at < 0 or begin >= self._stretches[at][1]:
            at = self._learn(begin)
        _, end, opened, known = self._stretches[at]
        if not opened:
            return None
        if begin + duration <= end:
            return duration
        if known:
            return end - begin
        closing = closes_at(self._windows, begin, begin + duration)
        return duration if closing is None else closing - begin

    def _learn(self, begin: datetime) -> int:
        """Work out the stretch that begins with `begin`, up to the next change if that is near; where it is kept."""
        opened = is_open(self._windows, begin)
        change = closes_at(self._windows, begin, begin + _LONGEST_STRETCH) if opened else opens_at(self._windows, begin)
        if len(self._starts) >= MOST_STRETCHES:
            self._starts.clear()
            self._stretches.clear()
        at = bisect_right(self._starts, begin)
        self._starts.insert(at, begin)
        self._stretches.insert(at, (begin, change or begin + _LONGEST_STRETCH, opened, change is not None))
        return at
