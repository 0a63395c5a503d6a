"""What every log of events needs: its files, each event counted once, its times checked, its windows of coverage.

Guarantee: an event that is later than the log was taken is reported and used, but makes no coverage; a stretch in
which something was lost is in no window that is complete. Called by kinds of sources whose files are logs of JSON
events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.clocks import flag, gap_of, taken_at
from lapse.review.sources.files import files_below, name_below
from lapse.review.sources.json_values import decoded, json_objects
from lapse.review.sources.notes import Notes
from lapse.review.sources.once import SEEN, Once
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options
from lapse.review.sources.windows import Windows

T = TypeVar("T")
U = TypeVar("U")
LONGEST_TEXT = 2_000
"""Characters of one text of evidence; what is longer is cut, and counted."""
LOG_OPTIONS = {
    "complete": "`yes` if every use of the resource is in the log, and no file of it is missing (default `no`)",
    "gap": "without an event for longer than this, nothing is known of the time between (default 1h)",
    "taken_at": "when the files were taken; events after that are reported (default now)",
}
LOG_NAMES = re.compile(r".*\.(?:json|jsonl|ndjson|log|txt|gz)(?:[.-].*)?", re.IGNORECASE | re.DOTALL)
_LATE = "events are later than now: a clock is wrong, or they were made up"


class EventLog:
    """One log while it is read. `table` is the one that its problems are put down to.

    Raises:
        InvalidInput: an option makes no sense.
    """

    def __init__(self, reading: Reading, options: Options, table: str = "usage") -> None:
        self.reading, self.notes = reading, Notes()
        self.taken_at, self.complete = taken_at(options), flag(options, "complete")
        self.last: datetime | None = None
        self._table = table
        self._once, self._windows = Once(), Windows(gap_of(options))

    def events(self, path: Path, decoder: msgspec.json.Decoder[T]) -> Iterator[tuple[str, T]]:
        """(place, value) of each object in the files of `path`; what is none is rejected."""
        for file in self.files(path, LOG_NAMES):
            name = name_below(path, file)
            for place, data in self.watched(json_objects(file, name, self.reading)):
                value = self.decoded(decoder, place, data)
                if value is not None:
                    yield place, value

    def files(self, path: Path, names: re.Pattern[str]) -> list[Path]:
        """The files of `path` whose names match `names`; others of a folder are reported.

        Raises:
            InvalidInput: there is none in the folder.
        """
        if path.is_file():
            return [path]
        found = files_below(path)
        logs = [file for file in found if names.fullmatch(file.name)]
        if not logs:
            raise InvalidInput(
                f"`{shown(str(path), 200)}` has no file of this kind in it",
                hint="their names must say what they are, e.g. `audit.log`, `events.json` or `log.jsonl.gz`",
            )
        others = [name_below(path, file) for file in found if file not in set(logs)]
        if others:
            what = "files that are not of this kind by their names were not read"
            self.reading.problem("", what, rows=len(others), examples=others[:5])
        return logs

    def watched(self, found: Iterable[U]) -> Iterator[U]:
        """What was found in one file, while the windows notice whatever of it was rejected."""
        before = self.reading.rejected
        for one in found:
            if self.reading.rejected != before:
                self._windows.lose()
            yield one
            before = self.reading.rejected
        if self.reading.rejected != before:
            self._windows.lose()
        self._windows.new_file()

    def decoded(self, decoder: msgspec.json.Decoder[T], place: str, data: bytes) -> T | None:
        """The value in `data`; None, and rejected, if it is none."""
        try:
            value, odd = decoded(decoder, data)
        except ValueError as error:
            self.reject(place, str(error))
            return None
        if odd:
            self.recoded(place)
        return value

    def recoded(self, place: str) -> None:
        """A record was not UTF-8: a name in it may be spelled otherwise than it was meant."""
        self.notes.add("", "records that are not UTF-8 were read as Windows-1252", place)

    def reject(self, place: str, why: str) -> None:
        """An event cannot be read."""
        self.reading.reject(place, why)
        self._windows.lose()

    def is_new(self, at: datetime, *identity: str) -> bool:
        """Whether the event was not counted yet; if it was, it is skipped."""
        if self._once.is_new(at, *identity):
            return True
        self.reading.skip(SEEN)
        return False

    def see(self, at: datetime, place: str) -> None:
        """The event at `place` is of `at`."""
        self.reading.at(at)
        if at > self.taken_at:
            self.notes.add(self._table, _LATE, f"{place}: {at.isoformat()}")
            return
        self.last = at if self.last is None else max(self.last, at)
        self._windows.see(at)

    def text(self, text: str | None, longest: int = LONGEST_TEXT) -> str | None:
        """`text` as evidence can hold it: None if there is none, cut where it is too long."""
        if not text:
            return None
        if len(text) > longest:
            self.notes.add(self._table, "texts that were too long were cut", count=1)
            text = text[:longest]
        return tidy(text)

    def cover(self, resources: Iterable[str], *, actions: bool = False, because: str = "") -> None:
        """Write the windows of the log for `resources`; `because` says why they are not complete, whatever is said."""
        complete = self.complete and not because
        if self.complete and because:
            self.reading.problem("coverage", f"the option says that every use is in the log: not believed, {because}")
        windows = list(self._windows.parts())
        for resource in sorted(resources):
            for (start, end), whole in windows:
                row = {"resource": resource, "from_at": start, "to_at": end, "source": self.reading.source}
                self.reading.add("coverage", row | {"complete": complete and whole, "actions": actions and whole})

    def finish(self) -> None:
        """Report what was wrong."""
        self._once.report(self.notes, self._table)
        self.notes.report(self.reading)


def tidy(text: str) -> str:
    """`text` without what a Parquet file or a database cannot hold: NUL and halves of characters."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
