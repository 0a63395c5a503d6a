"""Which events were counted already, in bounded memory: CloudTrail may deliver one twice, and folders overlap.

Copies of an event have one id and one time. The ids are kept by hour; beyond `MOST_IDS`, the hour that was not met for
longest is let go. Files are read in the order of the times in their names, so hours come close together. An event of
an hour that was let go is counted, and the caller is told how many there were. Called by `trail_reader`.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_IDS = 1_000_000
"""Ids remembered, of about 90 bytes each."""


class Seen:
    """Remembers ids of events by hour. `unsure` counts events that may have been seen in an hour that was let go."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self.unsure = 0
        self._most = most
        self._count = 0
        self._hours: dict[int, set[bytes]] = {}
        self._let_go: set[int] = set()

    def are_new(self, events: Sequence[bytes], hours: Sequence[int]) -> list[bool] | None:
        """For each event of the hour beside it whether it comes for the first time; None: all of them do.

        An empty id is of no event that could be told from others: it is always new.
        """
        if hours and min(hours) == max(hours) and self._all_new(events, hours[0]):
            return None
        return [self.is_new(event, hour) for event, hour in zip(events, hours, strict=True)]

    def is_new(self, event: bytes, hour: int) -> bool:
        """The same for one event."""
        if not event:
            return True
        known = self._of(hour)
        if event in known:
            return False
        known.add(event)
        self._added(1, hour, 1)
        return True

    def _all_new(self, events: Sequence[bytes], hour: int) -> bool:
        """Take in many events of one hour at once, if there is none among them that was seen."""
        ids = set(events)
        known = self._of(hour)
        if len(ids) < len(events) or b"" in ids or not known.isdisjoint(ids):
            return False
        known |= ids
        self._added(len(ids), hour, len(events))
        return True

    def _of(self, hour: int) -> set[bytes]:
        known = self._hours.pop(hour, set())
        self._hours[hour] = known
        return known

    def _added(self, ids: int, hour: int, events: int) -> None:
        if hour in self._let_go:
            self.unsure += events
        self._count += ids
        while self._count > self._most:
            oldest = next(iter(self._hours))
            self._count -= len(self._hours.pop(oldest))
            self._let_go.add(oldest)
