"""Which windows can all be open for how long, and when: what the solver has to know of calendars.

Whether windows are open depends on the day of the week, the clock, and the offset of each time zone. So it is enough
to look at one week of every combination of offsets, and at the time around every change of clocks that differs from
the others. `Calendar.lemmas` is called with what the solver took for granted; it proposes an instant, or says what is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lapse.domain.durations import LONGEST
from lapse.policy.proof.asked import MICROSECONDS, WEEK, AskedModel, microseconds, moment
from lapse.policy.proof.logic import Formula, any_of, both, implies, no, same
from lapse.policy.proof.solver import Found
from lapse.policy.windows import DAY_MINUTES, Window, closes_at, is_open

Windows = tuple[Window, ...]

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_AROUND = timedelta(days=8)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2066, 1, 1, tzinfo=UTC)
"""The rules of every zone are in the data up to 2037; after that each of the 14 kinds of year comes within 28."""

_USUAL = datetime(2027, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ELSEWHEN = tuple(microseconds(weeks * _WEEK) for weeks in (0, 8, 26, -60, 520))
"""At other times of the year, and in other years, the week is the same; a rule may be about one of them."""

_WEEK_MINUTES = 7 * DAY_MINUTES
_LONG = microseconds(LONGEST)


@dataclass(frozen=True, slots=True)
class Cell:
    """From `start` up to `end` (microseconds) nothing opens or closes; `closes` is when each closes, None if shut."""

    start: int
    end: int
    closes: tuple[int | None, ...]


class Calendar:
    """The windows that rules speak of."""

    def __init__(self, asked: AskedModel) -> None:
        self._asked = asked
        self._cells: dict[tuple[Windows, ...], tuple[Cell, ...]] = {}
        self._told = False

    def lemmas(self, found: Found) -> Iterator[Formula]:
        """What is wrong with `found`, if no windows are open as it says; else nothing."""
        windows = self._asked.windows
        begin, length = found.number(self._asked.held_from), found.number(self._asked.duration) * MICROSECONDS
        says = {each: found.true(holds) for each, holds in windows.items()}
        wrong = [each for each in windows if _within(each, begin, length) != says[each]]
        if not wrong:
            return
        if "held_from" in self._asked.phases and not self._told:
            self._told = True
            yield self._week()
        proposal = self._proposal(says, length)
        if proposal is not None:
            found.proposals += [self._so(proposal + apart, length) for apart in _ELSEWHEN]
        else:
            yield self._impossible(says, length)
        for at in {begin, proposal if proposal is not None else begin}:
            yield from (self._here(each, at) for each in windows)

    def _so(self, begin: int, length: int) -> Formula:
        """That the access begins and lasts so, with what that means for every window."""
        asked = self._asked
        now = [same(holds, _within(each, begin, length)) for each, holds in asked.windows.items()]
        return both(asked.held_from == begin, asked.duration * MICROSECONDS == length, *now)

    def _proposal(self, says: Mapping[Windows, bool], length: int) -> int | None:
        """An instant at which they are as the solver says; None if there is none."""
        return next((at for cell in self._of(tuple(says)) if (at := _instant(cell, list(says.values()), length))), None)

    def _impossible(self, says: Mapping[Windows, bool], length: int) -> Formula:
        """That these cannot be so together for so long: as few of them as will do, and for how long they can."""
        core = dict(says)
        for each in says:
            fewer = {other: value for other, value in core.items() if other != each}
            if self._proposal(fewer, length) is None:
                core = fewer
        cells = self._of(tuple(core))
        spans = _joined(span for cell in cells if (span := _lengths(cell, list(core.values()))))
        duration = self._asked.duration
        possible = any_of(both(duration >= least, duration <= most) for least, most in spans)
        return implies(both(*(same(self._asked.windows[each], value) for each, value in core.items())), possible)

    def _here(self, windows: Windows, at: int) -> Formula:
        """What is exactly so for access that begins around `at`."""
        asked, (start, end, closing) = self._asked, _around(windows, moment(at))
        around = both(asked.held_from >= start, asked.held_from < end)
        if closing is None:
            return implies(around, no(asked.windows[windows]))
        within = asked.held_from + asked.duration * MICROSECONDS <= closing
        return implies(around, same(asked.windows[windows], within))

    def _week(self) -> Formula:
        """How what windows do goes with the time of the week in UTC, of which conditions speak, too."""
        asked, groups = self._asked, tuple(self._asked.windows)
        phase, length = asked.phase(asked.held_from), asked.duration * MICROSECONDS
        found: dict[tuple[object, ...], Formula] = {}
        for cell in self._of(groups):
            start, long = cell.start % WEEK, cell.end - cell.start
            closes = [None if closing is None else closing - cell.start for closing in cell.closes]
            for begin in {start, start - WEEK if start + long > WEEK else start}:
                within = [False if closing is None else phase + length <= begin + closing for closing in closes]
                says = (same(asked.windows[each], is_so) for each, is_so in zip(groups, within, strict=True))
                found[begin, long, *closes] = both(phase >= begin, phase < begin + long, *says)
        return any_of(found.values())

    def _of(self, groups: tuple[Windows, ...]) -> tuple[Cell, ...]:
        if groups not in self._cells:
            self._cells[groups] = tuple(_cells(groups))
        return self._cells[groups]


def _within(windows: Windows, begin: int, length: int) -> bool:
    """Whether all of it is, as the evaluator sees it."""
    at = moment(begin)
    return is_open(windows, at) and closes_at(windows, at, at + timedelta(microseconds=length)) is None


def _instant(cell: Cell, says: Sequence[bool], length: int) -> int | None:
    """A beginning in `cell` from which access of that length is within those that are true, and no others."""
    last = min([cell.end - 1, *(closing - length for closing, yes in _pairs(cell, says) if yes)])
    after = max((closing - length for closing, yes in _pairs(cell, says) if not yes), default=cell.start - MICROSECONDS)
    if _shut(cell, says):
        return None
    whole = max(cell.start, after + MICROSECONDS)
    first = whole if whole <= last else max(cell.start, after + 1)
    return first if first <= last else None


def _lengths(cell: Cell, says: Sequence[bool]) -> tuple[int, int] | None:
    """From how many seconds to how many access that begins in `cell` can last if those that are true hold it."""
    until = min((closing for closing, yes in _pairs(cell, says) if yes), default=cell.start + _LONG)
    beyond = max((closing for closing, yes in _pairs(cell, says) if not yes), default=cell.start - 1)
    if _shut(cell, says) or beyond >= until:
        return None
    least, most = -(-(beyond - cell.end + 2) // MICROSECONDS), (until - cell.start) // MICROSECONDS
    return (max(least, 1), most) if max(least, 1) <= most else None


def _shut(cell: Cell, says: Sequence[bool]) -> bool:
    """Whether one is shut that should be open."""
    return any(closing is None and yes for closing, yes in zip(cell.closes, says, strict=True))


def _pairs(cell: Cell, says: Sequence[bool]) -> Iterator[tuple[int, bool]]:
    """When those close that are open, and whether they should hold it."""
    return ((closing, yes) for closing, yes in zip(cell.closes, says, strict=True) if closing is not None)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    union: list[tuple[int, int]] = []
    for least, most in sorted(spans):
        if union and least <= union[-1][1] + 1:
            union[-1] = (union[-1][0], max(most, union[-1][1]))
        else:
            union.append((least, most))
    return union


def _cells(groups: tuple[Windows, ...]) -> Iterator[Cell]:
    """Every cell of every stretch of time that differs from the others."""
    windows = [window for group in groups for window in group]
    for start, end in _stretches(tuple(sorted({window.timezone for window in windows}))):
        at = start
        while at < end:
            after = min([end, *(window.next_change(at) for window in windows)])
            yield Cell(microseconds(at), microseconds(after), tuple(_closing(group, at) for group in groups))
            at = after


def _closing(windows: Windows, at: datetime) -> int | None:
    if not is_open(windows, at):
        return None
    closing = closes_at(windows, at, at + _AROUND)
    if closing is None and not _always(windows):
        closing = closes_at(windows, at, at + LONGEST + _DAY)
    return microseconds(at + LONGEST + _DAY if closing is None else closing)


@lru_cache(maxsize=1024)
def _always(windows: Windows) -> bool:
    """Whether the clocks of one place show no time that is not in one of them."""
    open_minutes: dict[str, set[int]] = {}
    for window in windows:
        length = (window.end - window.start - 1) % DAY_MINUTES + 1
        minutes = (day * DAY_MINUTES + window.start + minute for day in window.days for minute in range(length))
        open_minutes.setdefault(window.timezone, set()).update(minute % _WEEK_MINUTES for minute in minutes)
    return any(len(minutes) == _WEEK_MINUTES for minutes in open_minutes.values())


def _around(windows: Windows, at: datetime) -> tuple[int, int, int | None]:
    """From when to when nothing opens or closes, and when it closes that is open then."""
    start = end = max(at - _AROUND, _FIRST)
    while end <= at:
        start, end = end, min(window.next_change(end) for window in windows)
    return microseconds(start), microseconds(end), _closing(windows, at)


@lru_cache(maxsize=64)
def _stretches(zones: tuple[str, ...]) -> tuple[tuple[datetime, datetime], ...]:
    """Times to look at: a week of every combination of offsets, and what is around every change of clocks."""
    places = [ZoneInfo(zone) for zone in zones]
    changes = sorted({change for zone in zones for change in _changes(zone)})
    found: dict[object, tuple[datetime, datetime]] = {}
    for at in sorted([*changes, _USUAL], key=lambda one: abs(one - _USUAL)):
        near = [other for other in changes if abs(other - at) < 2 * _AROUND]
        week = (at - _FIRST) % _WEEK
        key = (week, _offsets(places, at - _SECOND), tuple((other - at, _offsets(places, other)) for other in near))
        found.setdefault(key, (at - _AROUND, at + _AROUND))
        found.setdefault(_offsets(places, at), (at + _AROUND, at + _AROUND + _WEEK))
    return tuple(found.values())


def _offsets(places: Sequence[ZoneInfo], at: datetime) -> tuple[timedelta | None, ...]:
    return tuple(at.astimezone(place).utcoffset() for place in places)


@lru_cache(maxsize=64)
def _changes(zone: str) -> tuple[datetime, ...]:
    """The instants at which the clocks of `zone` change."""
    place, changes = [ZoneInfo(zone)], []
    at = _FIRST
    while at < _LAST:
        low, high = at, at + _WEEK
        if _offsets(place, low) != _offsets(place, high):
            while high - low > _SECOND:
                middle = low + (high - low) // 2 // _SECOND * _SECOND
                low, high = (middle, high) if _offsets(place, middle) == _offsets(place, low) else (low, middle)
            changes.append(high)
        at += _WEEK
    return tuple(changes)
