"""What happened to people, as the ledger's changes of the catalog have it: moved, left, came back.

A move is a change of department, manager or title. That somebody was put into the catalog does not say that they
joined then: the catalog may be younger than they are. Called by `ledger_rows`, entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lapse.domain.data import Json
from lapse.ledger.entry import Entry

_PRINCIPAL = "catalog.principal."
_OF_THE_JOB = ("department", "manager", "title")


@dataclass
class PeopleHistory:
    """Events of people, in the ledger's order."""

    _events: list[tuple[str, datetime, str, str | None, str | None]] = field(default_factory=list)

    def note(self, entry: Entry) -> None:
        """Take in one entry."""
        if entry.type.startswith(_PRINCIPAL):
            name = entry.subject.partition(":")[2]
            before, after = entry.before or {}, entry.after or {}
            for event, what, detail in _events(entry.type.removeprefix(_PRINCIPAL), before, after):
                self._events.append((name, entry.at, event, what, detail))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of `people_events`."""
        for name, at, event, what, detail in self._events:
            yield {"principal": name, "happened_at": at, "event": event, "field": what, "detail": detail}


def _events(
    change: str, before: Mapping[str, Json], after: Mapping[str, Json]
) -> Iterator[tuple[str, str | None, str | None]]:
    if change == "remove":
        yield "left", None, "no longer in the catalog"
    elif after.get("active") is False:
        yield "left", "active", "switched off"
    elif after.get("left_at"):
        yield "left", "left_at", f"left at {after['left_at']}"
    elif before.get("active") is False or before.get("left_at"):
        yield "joined", None, "back again"
    if change == "change":
        for what in _OF_THE_JOB:
            if what in after or what in before:
                old, new = before.get(what) or "none", after.get(what) or "none"
                yield "moved", what, f"{what}: {old} to {new}"
