"""Records out of CSV, JSON and Parquet files, as maps, in bounded memory.

Guarantee: every record is given with its place, or rejected through `Reading`: rows with too many or too few cells,
files that end early, bytes that are no text, values that no calendar has. Called by `reader`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.event_logs import EventLog
from lapse.review.sources.files import byte_lines
from lapse.review.sources.json_values import json_objects
from lapse.review.sources.mapping.model import SourceMapping
from lapse.review.sources.mapping.paths import values_at
from lapse.review.sources.postgresql.fields import CutOff, csv_records
from lapse.review.sources.reading import Reading

Record: TypeAlias = dict[str, Any]
NAMES = {
    "json": re.compile(r".*\.(?:json|jsonl|ndjson|log|txt)(?:[.-].*)?", re.IGNORECASE | re.DOTALL),
    "csv": re.compile(r".*\.(?:csv|tsv|txt)(?:[.-].*)?", re.IGNORECASE | re.DOTALL),
    "parquet": re.compile(r".*\.parquet(?:\.gz)?", re.IGNORECASE | re.DOTALL),
}
ANY_NAME = re.compile(r".*\.(?:json|jsonl|ndjson|log|csv|tsv|parquet)(?:[.-].*)?", re.IGNORECASE | re.DOTALL)
MOST_ROW_GROUP = 2 << 30
"""Bytes of a row group of a Parquet file, unpacked, as it says itself; a larger one is not read."""
_ROWS_AT_ONCE = 1_000
_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def format_of(file: Path, mapping: SourceMapping) -> str:
    """What the file is: as the mapping says, else by its name.

    Raises:
        InvalidInput: neither says.
    """
    if mapping.format:
        return mapping.format
    name = file.name.lower()
    if ".parquet" in name:
        return "parquet"
    if ".csv" in name or ".tsv" in name:
        return "csv"
    if NAMES["json"].fullmatch(name):
        return "json"
    hint = "write `format: json`, `csv` or `parquet` into the mapping"
    raise InvalidInput(f"the name of `{shown(file.name)}` does not say what it is", hint=hint)


def records_of(file: Path, name: str, mapping: SourceMapping, log: EventLog) -> Iterator[tuple[str, Record]]:
    """(place, record) of each record in the file, which is registered as `name`."""
    match format_of(file, mapping):
        case "csv":
            found = _csv(file, name, mapping.delimiter, log)
        case "parquet":
            found = _parquet(file, name, log.reading)
        case _:
            found = _json(file, name, log)
    for place, value in found:
        yield from _inside(value, place, mapping, log.reading)


def _inside(value: Record, place: str, mapping: SourceMapping, reading: Reading) -> Iterator[tuple[str, Record]]:
    if mapping.records is None:
        yield place, value
        return
    items = list(values_at(value, mapping.records))
    if not items and not _has_list(value, mapping):
        reading.reject(place, f"there is nothing at `{mapping.records.text}`")
    for number, item in enumerate(items, start=1):
        where = f"{place} item {number}"
        if isinstance(item, dict):
            yield where, item
        else:
            reading.reject(where, "it is no record")


def _has_list(value: Record, mapping: SourceMapping) -> bool:
    """Whether the list in which records would be is there, and empty."""
    path = mapping.records
    if path is None or not path.steps or path.steps[-1] is not None:
        return False
    shorter = type(path)(path.text, path.root, path.steps[:-1])
    return any(isinstance(one, list) for one in values_at(value, shorter))


def _json(file: Path, name: str, log: EventLog) -> Iterator[tuple[str, Record]]:
    for place, data in json_objects(file, name, log.reading):
        value = log.decoded(_JSON, place, data)
        if isinstance(value, dict):
            yield place, value


def _csv(file: Path, name: str, delimiter: str, log: EventLog) -> Iterator[tuple[str, Record]]:
    header: list[str] = []
    try:
        for number, data in csv_records(byte_lines(file, name, log.reading)):
            place = f"{name}:{number}"
            if isinstance(data, CutOff):
                log.reading.reject(place, "the record is cut off: its quotes are never closed")
                continue
            cells = _cells(data, place, delimiter, log)
            if not cells:
                continue
            if not header:
                header = _checked_header([cell.strip() for cell in cells], name)
            elif len(cells) != len(header):
                log.reading.reject(place, f"it has {len(cells)} cells, and the header {len(header)}")
            else:
                yield place, dict(zip(header, cells, strict=True))
    except OSError as error:
        log.reading.reject(name, f"the file cannot be read: {error}")


def _cells(data: bytes, place: str, delimiter: str, log: EventLog) -> list[str]:
    if not data.strip():
        return []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        log.notes.add("", "records that are not UTF-8 were read as Windows-1252", place)
    try:
        return next(csv.reader((text,), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        log.reading.reject(place, f"it is no record of CSV: {error}")
        return []


def _checked_header(header: list[str], name: str) -> list[str]:
    twice = [one for one, count in Counter(header).items() if count > 1]
    if twice:
        raise InvalidInput(f"the header of `{shown(name)}` has the column `{shown(twice[0])}` twice", hint="rename one")
    return header


def _parquet(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, Record]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        reading.file(name, file)
        reading.tell(file.stat().st_size)
        with pq.ParquetFile(file) as opened:
            largest = max(
                (opened.metadata.row_group(n).total_byte_size for n in range(opened.num_row_groups)), default=0
            )
            if largest > MOST_ROW_GROUP:
                reading.reject(name, f"it has a group of rows of {largest} bytes, which is more than is read")
                return
            for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from _rows(batch, name, number, reading)
                number += batch.num_rows
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        reading.reject(f"{name}: row {number + 1}", f"the file cannot be read further: {error}")


def _rows(batch: Any, name: str, before: int, reading: Reading) -> Iterator[tuple[str, Record]]:
    """One by one only where the batch as a whole cannot be had: one odd value is no reason to lose a thousand rows."""
    try:
        rows: list[Record | None] = batch.to_pylist()
    except (ValueError, OverflowError, ArithmeticError):
        rows = [_row(batch, number, f"{name}: row {before + number + 1}", reading) for number in range(batch.num_rows)]
    for number, row in enumerate(rows, start=before + 1):
        if row is not None:
            yield f"{name}: row {number}", row


def _row(batch: Any, number: int, place: str, reading: Reading) -> Record | None:
    try:
        found: list[Record] = batch.slice(number, 1).to_pylist()
    except (ValueError, OverflowError, ArithmeticError) as error:
        reading.reject(place, f"a value in it cannot be read: {error}")
        return None
    return found[0]
