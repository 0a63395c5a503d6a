"""Sessions of a PostgreSQL log, put together from lines that may come twice and in any order. Called by `following`."""

from __future__ import annotations

from datetime import datetime

import msgspec

from lapse.review.sources.postgresql.lines import LogLine
from lapse.review.sources.postgresql.periods import Waiting

_MOST_RANGES = 1_000


class Seen(msgspec.Struct):
    """The lines of one session that were read in one format: ranges of their numbers, and from when to when."""

    first: datetime
    last: datetime
    ranges: list[list[int]] = []

    def add(self, line: LogLine) -> bool:
        """Take in a line; False if it was read before."""
        self.first, self.last = min(self.first, line.at), max(self.last, line.at)
        number, ranges = line.number, self.ranges
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
            return True
        for place in range(len(ranges) - 1, -1, -1):
            low, high = ranges[place]
            if low <= number <= high:
                return False
            if number > high:
                self._insert(place + 1, number)
                return True
        self._insert(0, number)
        return True

    def _insert(self, place: int, number: int) -> None:
        ranges = self.ranges
        ranges.insert(place, [number, number])
        for at in (place, place - 1):
            if 0 <= at < len(ranges) - 1 and ranges[at][1] + 1 == ranges[at + 1][0]:
                ranges[at][1] = ranges.pop(at + 1)[1]
        # Forgotten numbers may be counted twice; ranges that are joined over a hole would lose what is in it.
        if len(ranges) > _MOST_RANGES:
            ranges.pop(0)


class Session(msgspec.Struct):
    """One session. `open` is from its first sign of use, `over` once its end was read; then little is kept of it."""

    id: str = ""
    csv: Seen | None = None
    json: Seen | None = None
    open: bool = False
    over: bool = False
    authorized: bool = False
    named: bool = False
    account: str = ""
    database: str = ""
    address: str = ""
    identity: str = ""
    application: str = ""
    grant_id: str = ""
    person: str = ""
    reason: str = ""
    started: datetime | None = None
    waiting: Waiting = msgspec.field(default_factory=Waiting)

    def fresh(self, line: LogLine) -> bool:
        """Whether `line` was not read before: in its own format by its number, in the other one by its time too."""
        same, other = (self.csv, self.json) if line.format == "csv" else (self.json, self.csv)
        if same is None:
            same = Seen(line.at, line.at)
            self.csv, self.json = (same, other) if line.format == "csv" else (other, same)
        twin = other is not None and other.first <= line.at <= other.last
        return same.add(line) and not twin

    def close(self) -> None:
        """Its end was read: only what tells its lines apart is kept."""
        self.open, self.over = False, True
        self.account = self.database = self.address = self.application = self.reason = ""
        self.waiting = Waiting()
