"""Evidence from files: a folder of CSV or Parquet files named after the evidence tables, and `people.csv`.

Nothing is dropped silently: a bad row is counted and reported with its line, an unknown column or file is
reported by name. A cell that cannot be read makes its row bad; it is never guessed. Called by `collect`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.domain.times import parse_time
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import Column, Kind, Table
from lapse.review.model import Problem

PEOPLE = "people"
LABELS = "planted"
"""Name of the file in which a simulation says what it planted: a review must not know it."""

_EXAMPLES = 3
_BATCH = 50_000
_TRUE, _FALSE = {"true", "yes", "1", "t", "y"}, {"false", "no", "0", "f", "n"}
_DAY_LENGTH = 10


@dataclass
class Tally:
    """Rows of one file: good ones pass through `accept`, bad ones are counted with the first few examples."""

    good: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)

    def reject(self, where: str, why: str) -> None:
        """Count one bad row."""
        self.bad += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{where}: {why}")


def is_evidence(path: Path) -> bool:
    """Whether a file is called like an evidence table."""
    return path.stem in TABLES and path.suffix in {".csv", ".parquet"}


def import_folder(writer: SnapshotWriter, folder: Path) -> None:
    """Write every evidence file of `folder` into the snapshot; `people.csv` is the caller's, see `people`.

    Raises:
        NotFound: there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder `{shown(str(folder), 200)}`", hint="give a folder of CSV or Parquet files")
    for path in sorted(folder.iterdir()):
        if path.stem in {PEOPLE, "identities", LABELS} or path.name.startswith("."):
            continue
        if is_evidence(path):
            import_file(writer, TABLES[path.stem], path)
        else:
            what = "not an evidence table, so it was not read; `docs/evidence.md` lists the names"
            writer.problem(Problem(table="", source=shown(path.name), what=what))


def import_file(writer: SnapshotWriter, table: Table, path: Path) -> None:
    """Write one CSV or Parquet file into the snapshot as (part of) `table`."""
    writer.begin(table.name, f"file {path.name}")
    tally = Tally()
    try:
        if path.suffix == ".csv":
            _import_csv(writer, table, path, tally)
        else:
            _import_parquet(writer, table, path, tally)
    except UNREADABLE as error:
        why = why_unreadable(error)
        writer.gap(table.name, f"{path.name} could not be read to its end: {why}")
        writer.problem(Problem(table=table.name, source=path.name, what=f"the file could not be read: {why}"))
    writer.rejected(table.name, tally.bad)
    if tally.bad:
        writer.gap(table.name, f"{tally.bad} rows of {path.name} could not be read")
        writer.problem(
            Problem(
                table=table.name,
                source=path.name,
                what="rows that could not be read",
                rows=tally.bad,
                examples=tuple(tally.examples),
            )
        )


UNREADABLE = (OSError, UnicodeDecodeError, csv.Error, ValueError)
"""What reading a file of evidence can fail with."""


def why_unreadable(error: Exception) -> str:
    """Why a file cannot be read on, in our words where the library's say little."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, csv.Error) and "unexpected end" in str(error):
        return "it ends inside of a quoted cell"
    return shown(" ".join(str(error).split()), 200)


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """(line, cells) of a CSV file with a header; a row with too many cells has them under the key ``...``."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="...", strict=True)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for cells in reader:
            yield reader.line_num, cells


def read_row(table: Table, cells: Mapping[str, Any]) -> dict[str, Any]:
    """`cells` as a row of `table`; columns that the table does not have are left out.

    Raises:
        InvalidInput: a cell is not of its column's type, or a required one is empty.
    """
    if "..." in cells:
        raise InvalidInput("there are more cells than the header has")
    row = {column.name: _cell(column, cells.get(column.name)) for column in table.columns}
    missing = next((name for name in table.required if row[name] is None), None)
    if missing:
        raise InvalidInput(f"`{missing}` is missing")
    return row


def _import_csv(writer: SnapshotWriter, table: Table, path: Path, tally: Tally) -> None:
    _report_unknown(writer, table, path, _header(path))
    writer.add(table.name, _good_rows(table, csv_rows(path), tally))
    writer.recount(table.name, _csv_count(path))


def _import_parquet(writer: SnapshotWriter, table: Table, path: Path, tally: Tally) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _report_unknown(writer, table, path, names)
        writer.recount(table.name, file.metadata.num_rows)
        same = file.schema_arrow.equals(table.schema())
        for number, batch in enumerate(file.iter_batches(batch_size=_BATCH)):
            if same and not any(batch.column(name).null_count for name in table.required):
                writer.add_batch(table.name, batch)
            else:
                numbered = enumerate(batch.to_pylist(), start=number * _BATCH + 1)
                writer.add(table.name, _good_rows(table, numbered, tally))


def _good_rows(table: Table, rows: Iterable[tuple[int, Mapping[str, Any]]], tally: Tally) -> Iterator[dict[str, Any]]:
    for number, cells in rows:
        try:
            yield read_row(table, cells)
            tally.good += 1
        except InvalidInput as error:
            tally.reject(f"line {number}", error.message)


def _cell(column: Column, value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return _READERS[column.kind](value)
    except (InvalidInput, ValueError, TypeError):
        raise InvalidInput(f"`{column.name}` is `{shown(str(value))}`, which is not {_WORDS[column.kind]}") from None


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or len(str(value)) > 18:  # noqa: PLR2004  64 bits
        raise TypeError
    return int(value)


def _read_bool(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


def _read_time(value: Any) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(value)
        return value
    text = str(value).strip()
    return parse_time(text if len(text) > _DAY_LENGTH else f"{text}T00:00:00Z")


_READERS = {Kind.TEXT: _read_text, Kind.INT: _read_int, Kind.BOOL: _read_bool, Kind.TIME: _read_time}
_WORDS = {
    Kind.TEXT: "text",
    Kind.INT: "a whole number",
    Kind.BOOL: "`true` or `false`",
    Kind.TIME: "a time like `2026-07-01T12:00:00Z`",
}


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip().lower() for name in next(csv.reader(file, strict=True), [])]


def _csv_count(path: Path) -> int:
    """Records after the header, counted by another reader than the one that converts them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return max(sum(1 for record in csv.reader(file) if record) - 1, 0)


def _report_unknown(writer: SnapshotWriter, table: Table, path: Path, names: Iterable[str]) -> None:
    unknown = [name for name in names if table.column(name) is None]
    if unknown:
        what = "columns that the table does not have were left out"
        writer.problem(Problem(table=table.name, source=path.name, what=what, examples=tuple(map(shown, unknown[:9]))))
