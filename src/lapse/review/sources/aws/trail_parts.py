"""Files of CloudTrail read into parts: rows of `usage` as an Arrow batch, and what the reader must put together.

Guarantee: memory is bounded by one file (`MOST_WHOLE` bytes; a larger one must have a record a line) and by the rows of
one part. Works in worker processes as well as here. Called by `trail_reader`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from lapse.review.sources.aws.trail_changes import Change
from lapse.review.sources.aws.trail_records import Digest, Fault, Found, Recoded, record_in_line, records_of
from lapse.review.sources.aws.trail_rows import LONGEST_TEXT, Row, Rows, Session, Tally
from lapse.review.sources.aws.trail_who import Who
from lapse.review.sources.aws.unpacked import unpacked
from lapse.review.sources.files import LONGEST_LINE, bounded, opened

PART_ROWS = 20_000
Window: TypeAlias = tuple[float, float]
"""First and last time, in seconds."""
Logged: TypeAlias = tuple[str, Window]
"""The number of an AWS account, and when there were logs of it."""
_HOUR = 3_600_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to read: now, and the gap between windows, both in seconds."""

    now: float
    gap: float


@dataclass
class Part:
    """What some of the records came to.

    `batch` is None or has the columns `who` (a place in `who`), `started_at`, `action`, `object`, `address`, `device`
    and `session_id`; `events` and `hours` (since 1970) have the id and the time of the event of each of its rows.
    `lost` are the times of files of which something could not be read, `unplaced` names those without a time.
    """

    tally: Tally
    size: int = 0
    batch: Any = None
    who: list[Who] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    hours: list[int] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    windows: list[Logged] = field(default_factory=list)
    lost: list[Logged] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    latest: datetime | None = None


def parts_of(files: Iterable[tuple[str, Path]], asked: Asked) -> Iterator[Part]:
    """Read `files`, each with the name that it has in reports."""
    part, rows = Part(Tally()), Rows(asked.now)
    for name, path in files:
        spans: dict[str, Window] = {}
        broken = False
        for found in _found_in(path, name):
            rejected = rows.tally.rejected
            _take(found, name, rows)
            broken = broken or rows.tally.rejected > rejected
            if len(rows.rows) >= PART_ROWS:
                _note_windows(part, rows, spans, asked.gap)
                yield _filled(part, rows)
                part, rows = Part(Tally()), Rows(asked.now)
        _note_windows(part, rows, spans, asked.gap)
        if broken:
            part.lost += spans.items()
            part.unplaced += [] if spans else [name]
        part.size += path.stat().st_size
    yield _filled(part, rows)


def windows_of(times: Iterable[float], gap: float) -> list[Window]:
    """From when to when there are `times` that are at most `gap` apart, in order."""
    found: list[Window] = []
    for at in sorted(times):
        if found and at - found[-1][1] <= gap:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def _take(found: Found, name: str, rows: Rows) -> None:
    if isinstance(found, list):
        rows.take(found, name)
    elif isinstance(found, Recoded):
        rows.tally.recoded += 1
        rows.tally.example("recoded", found.place)
        rows.take(found.records, found.place)
    elif isinstance(found, Digest):
        rows.tally.skipped["a digest file, which has no records"] += 1
    else:
        rows.reject(found)


def _found_in(path: Path, name: str) -> Iterator[Found]:
    whole = unpacked(path)
    if whole.too_large:
        yield from _by_line(path, name)
        return
    if whole.data or not whole.fault:
        yield from records_of(whole.data, name)
    if whole.fault:
        yield Fault(name, whole.fault)


def _by_line(path: Path, name: str) -> Iterator[Found]:
    """Records of a file that is too large to be read as a whole."""
    number, rest, dropping = 0, b"", False
    try:
        with opened(path) as stream:
            for piece in bounded(stream, path):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    number += 1
                    if line.strip() and not dropping:
                        yield from record_in_line(line, f"{name}:{number}")
                    dropping = False
                if len(rest) > LONGEST_LINE:
                    if not dropping:
                        why = f"the line is longer than {LONGEST_LINE} bytes, in a file too large to be read as a whole"
                        yield Fault(f"{name}:{number + 1}", why)
                    rest, dropping = b"", True
    except (OSError, EOFError, zlib.error) as error:
        yield Fault(f"{name}:{number + 1}", f"the file cannot be read further: {error}")
    if rest.strip() and not dropping:
        yield from record_in_line(rest, f"{name}:{number + 1}")


def _note_windows(part: Part, rows: Rows, spans: dict[str, Window], gap: float) -> None:
    """Move the times of logs from `rows` to `part`, and widen `spans`, those of the file that is being read."""
    for number, times in rows.logged.items():
        windows = windows_of(times, gap)
        times.clear()
        part.windows += ((number, window) for window in windows)
        if windows:
            first, last = windows[0][0], windows[-1][1]
            known = spans.get(number, (first, last))
            spans[number] = (min(known[0], first), max(known[1], last))


def _filled(part: Part, rows: Rows) -> Part:
    part.tally, part.who, part.latest = rows.tally, list(rows.who), rows.latest
    part.sessions, part.changes = rows.sessions, rows.changes
    if rows.rows:
        _fill(part, rows.rows)
    return part


def _fill(part: Part, rows: list[Row]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    events, who, times, *texts = zip(*rows, strict=True)
    started = pa.array(times, pa.timestamp("us", tz="UTC"))
    part.events = list(events)
    part.hours = pc.divide(started.cast(pa.int64()), _HOUR).to_pylist()
    columns = [_shortened(pa.array(column, pa.string()), part.tally) for column in texts]
    names = ("who", "started_at", "action", "object", "address", "device", "session_id")
    part.batch = pa.RecordBatch.from_arrays([pa.array(who, pa.int32()), started, *columns], names=names)


def _shortened(texts: Any, tally: Tally) -> Any:
    """`texts` without what is beyond the longest text."""
    import pyarrow.compute as pc

    long = pc.greater(pc.utf8_length(texts), LONGEST_TEXT)
    count = pc.sum(long).as_py()
    if not count:
        return texts
    tally.cut += count
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(texts, 0, LONGEST_TEXT - 1), "…", "")
    return pc.if_else(long, cut, texts)
