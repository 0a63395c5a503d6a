"""Tickets from a file that some other system exports: CSV, a JSON list, or one JSON object a line.

Read again when it changes, in a thread, row by row where the format allows. A row without a number or a state is left
out and counted; a number that is there twice with different states is not known to be open. A file that is missing,
too large, too old, or has no row that can be read says nothing: then all its tickets are unreachable.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import msgspec

from lapse.domain.durations import human_duration
from lapse.domain.errors import Unavailable
from lapse.domain.names import shown
from lapse.policy.values import TicketStatus
from lapse.ports import Clock
from lapse.tickets.found import NOWHERE, Found
from lapse.web.answers import text_at

LARGEST_FILE = 64 << 20
LARGEST_LIST = 16 << 20
"""Bytes of a JSON list, which is read as a whole; one object a line may be as large as CSV."""

MOST_ROWS = 500_000
MOST_WORDS = 100_000
LONGEST_CELL = 10_000
_ONLY_UNDECIDED = "it is in the export more than once, with different states"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the export calls what is needed: headings of CSV, or names of members (JSON pointers may be used)."""

    number: str = "number"
    state: str = "state"
    title: str = "title"
    assignee: str = "assignee"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """The file, its columns, the states that mean open, and how old it may be."""

    path: Path
    open_states: frozenset[str]
    columns: Columns = field(default_factory=Columns)
    oldest: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file said: tickets by number (case folded), and how many rows could not be used."""

    tickets: Mapping[str, Found]
    broken: int
    first_broken: int


Stamp = tuple[int, int, int]


class ExportSource:
    """Finds tickets in an export."""

    def __init__(self, export: ExportFile, clock: Clock) -> None:
        self._export, self._clock = export, clock
        self._stamp: Stamp | None = None
        self._rows = Rows({}, 0, 0)
        self._reading = asyncio.Lock()

    async def find(self, number: str) -> Found:
        """The ticket in the file as it is now."""
        rows = await self._current()
        return rows.tickets.get(number.strip().casefold(), NOWHERE)

    async def summary(self) -> str:
        """How much was read, for people: `12 tickets, 1 row unusable (the first is row 3)`."""
        rows = await self._current()
        text = f"{len(rows.tickets)} ticket{'s' * (len(rows.tickets) != 1)}"
        if rows.broken:
            text += f", {rows.broken} row{'s' * (rows.broken != 1)} unusable (the first is row {rows.first_broken})"
        return text

    async def close(self) -> None:
        """Nothing is held open."""

    async def _current(self) -> Rows:
        async with self._reading:
            stamp = await asyncio.to_thread(self._checked)
            if stamp != self._stamp:
                # The stamp was taken before: a file that changes while it is read is read again next time.
                self._rows = await asyncio.to_thread(read_export, self._export)
                self._stamp = stamp
            return self._rows

    def _checked(self) -> Stamp:
        """Which version of the file is there; it must not be too large or too old."""
        path = self._export.path
        try:
            status = path.stat()
        except OSError as error:
            raise Unavailable(f"the export `{path.name}` cannot be read: {error.strerror}") from None
        if status.st_size > LARGEST_FILE:
            raise Unavailable(f"the export `{path.name}` is larger than {LARGEST_FILE >> 20} MiB")
        age = self._clock.now() - datetime.fromtimestamp(status.st_mtime, UTC)
        if age > self._export.oldest:
            raise Unavailable(f"the export `{path.name}` is {human_duration(age)} old and may be wrong by now")
        return status.st_mtime_ns, status.st_size, status.st_ino


def read_export(export: ExportFile) -> Rows:
    """Everything the file says.

    Raises:
        Unavailable: it cannot be read, is no text, has too many rows, or none that can be used.
    """
    try:
        with export.path.open(encoding="utf-8-sig", newline="") as file:
            found = _collected(_rows_of(export.path, file), export)
    except UnicodeDecodeError:
        raise Unavailable(f"the export `{export.path.name}` is not UTF-8 text") from None
    except OSError as error:
        raise Unavailable(f"the export `{export.path.name}` cannot be read: {error.strerror}") from None
    if found.broken and not found.tickets:
        raise Unavailable(f"no row of the export `{export.path.name}` has a number and a state")
    return found


def _collected(rows: Iterator[object], export: ExportFile) -> Rows:
    tickets: dict[str, Found] = {}
    broken = first = 0
    for place, row in enumerate(rows, 1):
        if place > MOST_ROWS:
            raise Unavailable(f"the export `{export.path.name}` has more than {MOST_ROWS} rows")
        number, found = _ticket(row, export)
        if found is None:
            broken, first = broken + 1, first or place
            continue
        earlier = tickets.get(number)
        if earlier is not None and earlier.state != found.state:
            found = Found(status=TicketStatus.UNKNOWN, note=_ONLY_UNDECIDED)
        tickets[number] = found
    return Rows(tickets, broken, first)


def _ticket(row: object, export: ExportFile) -> tuple[str, Found | None]:
    columns = export.columns
    number, state = _cell(row, columns.number).casefold(), _cell(row, columns.state)
    if not number or not state:
        return "", None
    is_open = state.casefold() in export.open_states
    found = Found(
        status=TicketStatus.OPEN if is_open else TicketStatus.CLOSED,
        state=state,
        title=_cell(row, columns.title, longest=200),
        assignee=_cell(row, columns.assignee),
    )
    return number, found


def _cell(row: object, name: str, longest: int = 120) -> str:
    if not isinstance(row, dict):
        return ""
    if name.startswith("/"):
        return text_at(row, name, longest=longest)
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return shown(str(value).strip(), longest=longest)


def _rows_of(path: Path, file: TextIO) -> Iterator[object]:
    match path.suffix.lower():
        case ".json":
            yield from _listed(path, file)
        case ".jsonl" | ".ndjson":
            yield from _lines(file)
        case _:
            yield from _table(path, file)


def _listed(path: Path, file: TextIO) -> Iterator[object]:
    text = file.read(LARGEST_LIST + 1)
    if len(text) > LARGEST_LIST:
        raise Unavailable(
            f"the export `{path.name}` is a list of more than {LARGEST_LIST >> 20} MiB",
            hint="write one object a line, in a file that ends in .jsonl",
        )
    value = _decoded(text)
    if not isinstance(value, list):
        raise Unavailable(f"the export `{path.name}` is not a JSON list")
    yield from value


def _lines(file: TextIO) -> Iterator[object]:
    while line := file.readline(MOST_WORDS):
        if not line.strip():
            continue
        yield _decoded(line)


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        return None


def _table(path: Path, file: TextIO) -> Iterator[object]:
    """Rows as maps; one whose number of cells differs from the headings is broken as a whole."""
    lines = csv.reader(file, _dialect(file), strict=True)
    try:
        headings = [cell.strip() for cell in next(lines, [])]
    except csv.Error:
        headings = []
    if len(set(headings)) != len(headings) or not headings:
        raise Unavailable(f"the export `{path.name}` has no headings, or one twice")
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        if cells:
            yield _as_map(headings, cells)


def _as_map(headings: list[str], cells: list[str]) -> dict[str, str] | None:
    if len(cells) != len(headings) or any(len(cell) > LONGEST_CELL for cell in cells):
        return None
    return dict(zip(headings, cells, strict=True))


def _dialect(file: TextIO) -> type[csv.Dialect]:
    """Comma, semicolon or tab: whichever the headings have most of."""
    first = file.readline(MOST_WORDS)
    file.seek(0)

    class Found(csv.excel):
        delimiter = max(",;\t", key=first.count)

    return Found
