"""Evidence tables as CSV, beside their Parquet files: for people with a spreadsheet. Cells are guarded as in `cells`.

A table with more rows than a spreadsheet opens, or that would make a pack too large, is left out, and `csv/index.csv`
says so. Called when a pack is sealed. Columns are spelled as wholes, so a million rows take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lapse.review.model import TableManifest
from lapse.review.pack.folder import PackFolder
from lapse.review.pack.spreadsheet import rows_csv

MOST_ROWS = 1_048_575
MOST_BYTES = 1 << 30
"""Of all CSV files of a pack together: the zip can hold 4 GiB."""

_FORMULA = r"^[ \x{00A0}]*[=+\-@\t\r\n|%＝＋－＠]|^'"  # noqa: RUF001  spreadsheets read the wide forms as well
_INDEX = ("table", "rows", "file", "why there is none")


def write_tables(folder: PackFolder, tables: Iterable[TableManifest]) -> None:
    """Write `csv/NAME.csv` of each table in the pack's `tables/`, and the index of them."""
    index, left = [], MOST_BYTES
    for table in sorted((t for t in tables if t.file), key=lambda t: t.table):
        path, why = f"csv/{table.table}.csv", ""
        source = folder.root / "tables" / f"{table.table}.parquet"
        if table.rows > MOST_ROWS:
            why = f"it has more than {MOST_ROWS:,} rows, which no spreadsheet opens"
        elif left < 0:
            why = "the pack would become too large"
        else:
            left -= folder.stream(path, table_csv(source)).size
        index.append((table.table, table.rows, "" if why else path, why or ""))
    folder.stream("csv/index.csv", rows_csv(_INDEX, index))


def table_csv(source: Path) -> Iterator[bytes]:
    """The rows of a Parquet file: every cell quoted, lines ending with CRLF (RFC 4180), UTF-8, times RFC 3339."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        yield from rows_csv(file.schema_arrow.names, ())
        for batch in file.iter_batches(batch_size=65_536):
            yield _lines(batch)


def _lines(batch: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not batch.num_rows or not batch.num_columns:
        return b""
    cells = [_quoted(column) for column in batch.columns]
    lines = pc.binary_join_element_wise(*cells, pa.scalar(",", cells[0].type))
    return ("\r\n".join(lines.to_pylist()) + "\r\n").encode("utf-8", "backslashreplace")


def _quoted(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.fill_null(_text(column), "")
    quote = pa.scalar('"', text.type)
    none = pa.scalar("", text.type)
    if pa.types.is_primitive(column.type):
        return pc.binary_join_element_wise(quote, text, quote, none)
    odd = pc.match_substring_regex(text, _FORMULA)
    text = pc.if_else(odd, pc.binary_join_element_wise(pa.scalar("'", text.type), text, none), text)
    text = pc.replace_substring(text, '"', '""')
    return pc.binary_join_element_wise(quote, text, quote, none)


def _text(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        column = pc.strftime(column.cast(pa.timestamp("us", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.large_string())
    return column.cast(pa.large_string())
