"""From when to when a log goes, and where it has holes: what rows of `coverage` are made from.

Guarantee: two lines with more than the allowed gap between them are never in one window, in whatever order they come,
and a stretch in which something was lost is in no whole part. Memory grows with the number of windows, not of lines.
Called by sources of logs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Span: TypeAlias = tuple[datetime, datetime]
"""From, to; both ends included."""

MOST_WINDOWS = 100_000
"""Windows of one log. What lies about at more separate times than this is not a log; the rest covers nothing."""
_TICK = timedelta(seconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Spans:
    """Stretches of time that are joined where they overlap or are at most `gap` apart.

    Beyond `most` stretches another one is left out, or, if they are `greedy`, joined with its neighbour.
    """

    def __init__(self, gap: timedelta = timedelta(0), *, greedy: bool = False, most: int = MOST_WINDOWS) -> None:
        self._gap, self._greedy, self._most = gap, greedy, most
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []

    def add(self, start: datetime, end: datetime) -> None:
        """Take in `start` to `end`, in either order."""
        start, end = min(start, end), max(start, end)
        if self._starts and self._starts[-1] <= start <= later(self._ends[-1], self._gap):
            self._ends[-1] = max(self._ends[-1], end)
            return
        at = bisect_right(self._starts, start)
        if at and end <= self._ends[at - 1]:
            return
        first, last = self._touched(at, start, end)
        if first == last and len(self._starts) >= self._most:
            if not self._greedy:
                return
            first, last = (at - 1, at) if at else (0, 1)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]

    def _touched(self, at: int, start: datetime, end: datetime) -> tuple[int, int]:
        first = at - 1 if at and start <= later(self._ends[at - 1], self._gap) else at
        limit = later(end, self._gap)
        while at < len(self._starts) and self._starts[at] <= limit:
            at += 1
        return first, at

    def __iter__(self) -> Iterator[Span]:
        yield from zip(self._starts, self._ends, strict=True)

    def has(self, at: datetime) -> bool:
        """Whether `at` is in a stretch."""
        place = bisect_right(self._starts, at)
        return bool(place) and at <= self._ends[place - 1]


class Windows:
    """The windows of one log, line by line. `gap`: without a line for longer, nothing is known of the time between."""

    def __init__(self, gap: timedelta) -> None:
        self._gap = gap
        self._seen, self._lost = Spans(gap), Spans(greedy=True)
        self._last: datetime | None = None
        self._broken = False

    def see(self, at: datetime) -> None:
        """A line is of `at`."""
        if self._broken:
            self._lose(self._last or earlier(at, self._gap), at)
            self._broken = False
        self._last = at
        self._seen.add(at, at)

    def covers(self, start: datetime, end: datetime) -> None:
        """The log says itself that there was nothing to be recorded from `start` to `end`."""
        self._seen.add(start, end)

    def lose(self) -> None:
        """Something between the line before and the next one could not be read."""
        self._broken = True

    def lose_between(self, start: datetime, end: datetime) -> None:
        """Something from `start` to `end` could not be read."""
        self._lose(start, end)

    def new_file(self) -> None:
        """The lines that follow need not come after those before. What was lost last was lost within the gap."""
        if self._broken and self._last is not None:
            self._lose(self._last, later(self._last, self._gap))
        self._broken, self._last = False, None

    def _lose(self, start: datetime, end: datetime) -> None:
        # Wider than a log's clock ticks: parts on both sides would else be taken for one.
        start, end = min(start, end), max(start, end)
        self._lost.add(earlier(start, _TICK), later(end, _TICK))

    def within(self, at: datetime) -> bool:
        """Whether `at` is in a window."""
        return self._seen.has(at)

    def parts(self) -> Iterator[tuple[Span, bool]]:
        """The windows in order, each in pieces: whole ones, and those in which something was lost."""
        self.new_file()
        holes = list(self._lost)
        for window in self._seen:
            yield from _pieces(window, holes)


def later(at: datetime, by: timedelta) -> datetime:
    """`at` plus `by`, at most the end of time."""
    return at + by if at <= _LAST - by else _LAST


def earlier(at: datetime, by: timedelta) -> datetime:
    """`at` less `by`, at least the beginning of time."""
    return at - by if at >= _FIRST + by else _FIRST


def _pieces(window: Span, holes: list[Span]) -> Iterator[tuple[Span, bool]]:
    at, end = window
    whole = True
    for start, until in holes[max(0, bisect_right(holes, window) - 1) :]:
        if start > end:
            break
        if until < at:
            continue
        if at < start:
            yield (at, start), True
        at, whole = min(until, end), False
        yield (max(start, window[0]), at), False
    if whole or at < end:
        yield (at, end), True
