"""What a simulated world leaves behind: rows of evidence, the ledger in order, and the labels of what is wrong in it.

Guarantee: ledger entries get their place in the order in which they are recorded. Rows go to a `Sink` at once, so that
memory does not grow with the world. Called by everything in this package that happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lapse.ledger import canonical
from lapse.ledger.entry import Entry
from lapse.review.collection import rows

Row = Mapping[str, Any]


class Sink(Protocol):
    """Where rows of evidence go."""

    def add(self, table: str, row: Row) -> None:
        """Take one row of an evidence table; keys that are missing are null."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One label: the detector that is to find it, and the subject it is to name.

    `strength` is there for anomalies that are planted by degrees, in per cent: 100 is as plain as it gets.
    """

    detector: str
    subject: str
    what: str
    strength: int | None = None


@dataclass(slots=True)
class Books:
    """The rows so far (counted), the ledger so far with the time of its last entry, and what was planted."""

    sink: Sink
    planted: list[Planted] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    last_at: datetime | None = None
    _next: int = 0
    _ids: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, row: Row) -> None:
        """One row of evidence."""
        self.counts[table] += 1
        self.sink.add(table, row)

    def add_all(self, table: str, found: Iterable[Row]) -> None:
        """Several rows of evidence."""
        for row in found:
            self.add(table, row)

    def record(self, entry: Entry) -> int:
        """The next entry of the ledger; returns its place."""
        seq, self._next, self.last_at = self._next, self._next + 1, entry.at
        self.add("ledger_entries", rows.ledger_row(seq, entry, canonical.encode(entry)))
        if entry.type.startswith(("grant.", "drift.", "target.")):
            self.add("enforcement_events", rows.event_row(seq, entry))
        return seq

    def lose_entry(self) -> int:
        """An entry that somebody removed from the ledger; returns the place of the one after it."""
        self._next += 1
        return self._next

    def plant(self, detector: str, subject: str, what: str, strength: int | None = None) -> None:
        """Note that `detector` is to find `subject`."""
        self.planted.append(Planted(detector=detector, subject=subject, what=what, strength=strength))

    def new_id(self, prefix: str) -> str:
        """An id like `req_00000017`, counted by prefix."""
        self._ids[prefix] += 1
        return f"{prefix}_{self._ids[prefix]:08d}"
