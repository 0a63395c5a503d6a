"""Puts the parts of CloudTrail's files together: who it was, what was counted already, when there were logs.

Guarantee: files come in the order of the times in their names, and parts in the order of files, however many processes
read them; so the result is always the same. Called by the kind of source `cloudtrail`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from lapse.review.collection.identities import Hints
from lapse.review.evidence import TABLES
from lapse.review.sources.aws.names import ResourceNames
from lapse.review.sources.aws.trail_changes import Change, change_row, periods
from lapse.review.sources.aws.trail_parts import Part
from lapse.review.sources.aws.trail_rows import Session
from lapse.review.sources.aws.trail_seen import Seen
from lapse.review.sources.aws.trail_who import Who
from lapse.review.sources.notes import Notes
from lapse.review.sources.reading import Reading
from lapse.review.sources.windows import Span, Windows, earlier, later

MOST_CHANGES = 500_000
"""Changes of rights that are put together; what is beyond is a gap."""
MOST_ACCOUNTS = 10_000
DELIVERY = timedelta(days=1)
"""A file has events of so long before it was delivered, at most; usually it is some minutes."""
_MOST_KNOWN = 100_000
_STAMP = re.compile(r"(\d{8}T\d{4})Z", re.ASCII)
_COUNTED = "seen already"
_NOTES = {
    "late": "events are later than now: a clock is wrong, or they were made up",
    "recoded": "records that are not UTF-8 were read as Windows-1252",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What is said of the trail: whether it records every management event, and every data event as well."""

    complete: bool
    actions: bool


class TrailReader:
    """Takes parts in and writes what they come to; `finish` writes what is known only at the end."""

    def __init__(self, reading: Reading, names: ResourceNames, gap: timedelta) -> None:
        self._reading, self._names, self._gap = reading, names, gap
        self._notes, self._seen = Notes(), Seen()
        self._known: dict[Who, str | None] = {}
        self._windows: dict[str, Windows] = {}
        self._whole = True
        self._lost: list[datetime] = []
        self._changes: list[Change] = []
        self._left_out = 0

    def take(self, part: Part) -> None:
        """Write the rows of `part` that are new, and count all of its records."""
        new = self._seen.are_new(part.events, part.hours) if part.batch is not None else None
        again = 0 if new is None else new.count(False)
        self._count(part, again)
        if part.batch is not None and again < len(part.events):
            self._write(part, new if again else None)
        sessions, changes = part.sessions, part.changes
        if new is not None and again:
            sessions, changes = _once(sessions, part.events, new), _once(changes, part.events, new)
        self._reading_sessions(sessions)
        self._keep(changes)
        self._note_times(part)

    def lost(self, name: str) -> None:
        """Nothing of the file `name` could be read, so nobody knows what it was about."""
        delivered = time_in(name)
        if delivered is None:
            self._whole = False
            what = "files of which nobody knows the time could not be read: no window is complete"
            self._notes.add("coverage", what, name)
        else:
            self._lost.append(delivered)

    def finish(self, claims: Claims) -> None:
        """Write windows and periods, and report what was wrong."""
        begins: dict[str, datetime] = {}
        for windows, delivered in product(self._windows.values(), self._lost):
            windows.lose_between(earlier(delivered, DELIVERY), delivered)
        for number, windows in sorted(self._windows.items()):
            for span, whole in windows.parts():
                begins.setdefault(number, span[0])
                row = self._window(number, span, complete=claims.complete and whole and self._whole)
                self._reading.add("coverage", row | {"actions": claims.actions and bool(row["complete"])})
        self._write_periods(begins)
        if self._left_out:
            self._reading.gap("access_periods", f"{self._left_out} changes of rights are more than can be put together")
        if self._seen.unsure:
            what = "events of an hour whose ids were let go: some of them may have been counted twice"
            self._notes.add("usage", what, count=self._seen.unsure)
        self._notes.report(self._reading)

    def _count(self, part: Part, again: int) -> None:
        reading, tally = self._reading, part.tally
        reading.tell(part.size)
        reading.used(tally.used - again)
        for reason, records in (tally.skipped + Counter({_COUNTED: again})).items():
            reading.skip(reason, records)
        for number, fault in enumerate(tally.faults):
            reading.reject(fault.place, fault.why, 1 if number else tally.rejected - len(tally.faults) + 1)
        for what, says in _NOTES.items():
            if count := getattr(tally, what):
                self._notes.add("usage", says, count=count)
                for example in tally.examples.get(what, ()):
                    self._notes.add("usage", says, example, count=0)
        if tally.cut:
            self._notes.add("usage", "texts that were too long were cut", count=tally.cut)

    def _write(self, part: Part, new: Sequence[bool] | None) -> None:
        import pyarrow as pa

        batch = part.batch if new is None else part.batch.filter(pa.array(new))
        who = batch.column("who")
        people = {
            "resource": [self._names.of(one.number) for one in part.who],
            "account": [one.account for one in part.who],
            "principal": [self._principal(one) for one in part.who],
        }
        columns = {name: pa.array(values, pa.string()).take(who) for name, values in people.items()}
        columns["source"] = pa.array([self._reading.source] * batch.num_rows, pa.string())
        schema = TABLES["usage"].schema()
        arrays = [
            columns[one.name]
            if one.name in columns
            else batch.column(one.name)
            if one.name in batch.schema.names
            else pa.nulls(batch.num_rows, one.type)
            for one in schema
        ]
        self._reading.add_batch("usage", pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _principal(self, who: Who) -> str | None:
        if who in self._known:
            return self._known[who]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        hints = Hints(mail=who.login if "@" in who.login else "", login=who.login, session=who.session)
        found = self._known[who] = self._reading.principal(self._names.of(who.number), who.account, hints)
        return found

    def _reading_sessions(self, sessions: Iterable[Session]) -> None:
        for one in sessions:
            self._reading.add(
                "sessions",
                {
                    "session_id": one.session_id,
                    "resource": self._names.of(one.who.number),
                    "account": one.who.account,
                    "started_at": one.started_at,
                    "principal": self._principal(one.by) or self._principal(one.who),
                    "protocol": one.protocol,
                    "address": one.address or None,
                    "device": one.device or None,
                    "source": self._reading.source,
                },
            )

    def _keep(self, changes: Sequence[Change]) -> None:
        room = MOST_CHANGES - len(self._changes)
        self._changes += changes[:room]
        self._left_out += max(0, len(changes) - room)

    def _note_times(self, part: Part) -> None:
        for number, (first, last) in part.windows:
            start, end = _moment(first), _moment(last)
            self._reading.at(start)
            self._reading.at(end)
            if number in self._windows or len(self._windows) < MOST_ACCOUNTS:
                self._windows.setdefault(number, Windows(self._gap)).covers(start, end)
            else:
                what = "logs of more AWS accounts than can be told apart: the others are not covered"
                self._notes.add("coverage", what, number)
        for number, (first, last) in part.lost:
            start, end = earlier(_moment(first), self._gap), later(_moment(last), self._gap)
            if number in self._windows:
                self._windows[number].lose_between(start, end)
        for name in part.unplaced:
            self.lost(name)
        if part.latest is not None:
            self._reading.at(part.latest)

    def _window(self, number: str, span: Span, *, complete: bool) -> dict[str, Any]:
        return {
            "resource": self._names.of(number),
            "from_at": span[0],
            "to_at": span[1],
            "complete": complete,
            "source": self._reading.source,
        }

    def _write_periods(self, begins: dict[str, datetime]) -> None:
        for period in periods(self._changes, begins):
            change = period.change
            resource = self._names.of(change.number)
            row = change_row(period, resource, self._reading.source)
            kind, _, login = change.account.partition("/")
            own = Who(change.number, change.account, login if kind == "user" else "")
            row["principal"] = None if kind == "group" else self._principal(own)
            if period.known:
                row["changed_by"] = self._principal(change.by) or change.by.account
            else:
                what = "rights were taken away that the logs do not show given: they are listed since the logs begin"
                self._notes.add("access_periods", what, f"{change.account} {change.role}")
            self._reading.add("access_periods", row)


def time_in(name: str) -> datetime | None:
    """When a file was delivered, as its name says."""
    found = _STAMP.search(name)
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def _once(found: Sequence[Any], events: Sequence[bytes], new: Sequence[bool]) -> list[Any]:
    """Those of `found` whose event is new, each once; what has no id is always new."""
    left = {event for event, is_new in zip(events, new, strict=True) if is_new}
    kept = []
    for one in found:
        if not one.event or one.event in left:
            left.discard(one.event)
            kept.append(one)
    return kept


def _moment(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)
