"""What a source writes through: rows into a snapshot, and a tally of everything that it could not use.

Guarantee: each record of a source is counted once, as used, skipped (with the reason) or rejected (with examples), and
the report that goes into the manifest says so. A source never drops a record silently, and never guesses one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lapse.domain.names import shown
from lapse.review.collection.identities import Hints, Identities
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.model import Problem, SourceReport

_EXAMPLES = 5
_BATCH = 20_000
_PIECE = 1 << 20
Row = Mapping[str, Any]


class Reading:
    """One source while it is read into `writer`. `tell` is called with the number of bytes read since the last call.

    `identities` says whom an account belongs to, by the rules of the review.
    """

    def __init__(
        self,
        writer: SnapshotWriter,
        kind: str,
        place: str,
        identities: Identities,
        tell: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self.kind, self.place, self.tell = kind, place, tell
        self._writer, self._identities = writer, identities
        self._waiting: dict[str, list[Row]] = {}
        self._tables: list[str] = []
        self._used = self._rejected = self._files = self._bytes = 0
        self._skipped: Counter[str] = Counter()
        self._examples: list[str] = []
        self._hashes: dict[str, str] = {}
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def source(self) -> str:
        """How rows of this source name it."""
        return f"{self.kind} {self.place}"

    @property
    def rejected(self) -> int:
        """Records that could not be read so far."""
        return self._rejected

    def begin(self, *tables: str) -> None:
        """This source fills `tables`, even if with no rows."""
        for table in tables:
            self._writer.begin(table, self.source)
            self._tables.append(table)

    def add(self, table: str, row: Row) -> None:
        """A row of `table`; columns that are missing are null. Says nothing of records, see `used`."""
        waiting = self._waiting.setdefault(table, [])
        waiting.append(row)
        if len(waiting) >= _BATCH:
            self._writer.add(table, waiting)
            self._waiting[table] = []

    def add_batch(self, table: str, batch: Any) -> None:
        """Rows of `table` as an Arrow record batch with the table's schema."""
        self._writer.add_batch(table, batch)

    def used(self, records: int = 1) -> None:
        """So many records became rows."""
        self._used += records

    def skip(self, reason: str, records: int = 1) -> None:
        """So many records are sound, but no evidence: `reason` says why, in a few words that do not vary."""
        self._skipped[reason] += records

    def reject(self, where: str, why: str, records: int = 1) -> None:
        """So many records cannot be read; `where` is file and line."""
        self._rejected += records
        if len(self._examples) < _EXAMPLES:
            self._examples.append(f"{where}: {shown(why, 200)}")

    def gap(self, table: str, what: str) -> None:
        """Part of what the source should have of `table` could not be read."""
        self._writer.gap(table, f"{self.source}: {what}")

    def problem(self, table: str, what: str, *, rows: int = 0, examples: Iterable[str] = ()) -> None:
        """Something is wrong with the evidence, though it could be read."""
        found = tuple(shown(one, 200) for one in examples)
        self._writer.problem(Problem(table=table, source=self.source, what=what, rows=rows, examples=found))

    def file(self, name: str, path: Path) -> None:
        """A file is about to be read: it goes into the manifest by `name`, with its hash."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
                size += len(piece)
        self._files += 1
        self._bytes += size
        self._hashes[name] = digest.hexdigest()

    def at(self, moment: datetime) -> None:
        """A record is of `moment`: the report says from when to when the source goes."""
        if self._first is None or moment < self._first:
            self._first = moment
        if self._last is None or moment > self._last:
            self._last = moment

    def principal(self, resource: str, account: str, hints: Hints | None = None) -> str | None:
        """Whom `account` of `resource` belongs to; what could not be resolved is listed in `account_links`."""
        return self._identities.of(resource, account, hints)

    def named_by(self, hints: Hints) -> str | None:
        """Whom `hints` alone name: the holder of one credential, where several open one account."""
        return self._identities.named_by(hints)

    def finish(self) -> SourceReport:
        """Write what waits; says what became of every record."""
        for table, rows in self._waiting.items():
            self._writer.add(table, rows)
        self._waiting = {}
        if self._rejected:
            for table in self._tables:
                self.gap(table, f"{self._rejected} records could not be read")
            what = "records that could not be read"
            self.problem(next(iter(self._tables), ""), what, rows=self._rejected, examples=self._examples)
        return SourceReport(
            kind=self.kind,
            place=self.place,
            tables=tuple(self._tables),
            files=self._files,
            bytes=self._bytes,
            records=self._used + self._rejected + self._skipped.total(),
            used=self._used,
            rejected=self._rejected,
            skipped=dict(self._skipped),
            examples=tuple(self._examples),
            hashes=dict(self._hashes),
            first_at=self._first,
            last_at=self._last,
        )
