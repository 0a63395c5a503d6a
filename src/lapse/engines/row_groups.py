"""What of a Parquet file is known already: row groups by the hash of their bytes, so that only the others are read.

Evidence is written source by source, in order, so that more of it leaves most row groups as they are; the last of a
source, which was not full, comes back with more rows in it, and counts as known up to where it ended. Used by `kept`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_OPEN = 32
"""So many sources can go on where they ended; with more, everything is read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """One row group. `rows_sha256` is over the values of one that is not full, in order; empty for a full one."""

    sha256: str
    rows: int
    rows_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a file has beyond what is known: row groups by number, each from a row on. `rows` is how many these are."""

    pieces: Sequence[tuple[int, int]] = field(default=())
    rows: int = 0


def row_groups(path: Path) -> tuple[RowGroup, ...]:
    """Every row group of the file, in order."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened, path.open("rb") as file:
        meta = opened.metadata
        head = repr([(f.name, str(f.type)) for f in opened.schema_arrow]).encode()
        groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
        full = _full(group.num_rows for group in groups)
        small = [number for number, group in enumerate(groups) if group.num_rows < full]
        grow = frozenset(small if len(small) <= _MOST_OPEN else ())
        return tuple(
            RowGroup(
                sha256=_bytes_sha256(file, group, head),
                rows=group.num_rows,
                rows_sha256=_rows_sha256(opened.read_row_group(number)) if number in grow else "",
            )
            for number, group in enumerate(groups)
        )


def identity(groups: Iterable[RowGroup]) -> str:
    """SHA-256 (hex) over all of them: files that share it have the same rows in the same order."""
    return hashlib.sha256("\n".join(group.sha256 for group in groups).encode()).hexdigest()


def added(path: Path, now: Sequence[RowGroup], known: Sequence[RowGroup]) -> Added | None:
    """What the file at `path`, whose row groups are `now`, has beyond `known`; None: not all that is known is in it."""
    new, gone = _difference(now, known), [known[number] for number in _difference(known, now)]
    if len(gone) > _MOST_OPEN or any(not group.rows_sha256 for group in gone):
        return None
    starts = _continued(path, now, new, gone)
    if starts is None:
        return None
    pieces = tuple((number, starts.get(number, 0)) for number in new)
    return Added(pieces=pieces, rows=sum(now[number].rows - start for number, start in pieces))


def write_added(path: Path, what: Added, into: Path) -> None:
    """Write those rows of the file at `path` into another one."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened, pq.ParquetWriter(into, opened.schema_arrow, compression="zstd") as writer:
        for number, start in what.pieces:
            writer.write_table(opened.read_row_group(number).slice(start))


def _difference(these: Sequence[RowGroup], others: Iterable[RowGroup]) -> list[int]:
    """Numbers of those of `these` that `others` lack; the same one twice is two."""
    left, numbers = Counter(group.sha256 for group in others), []
    for number, group in enumerate(these):
        if left[group.sha256] > 0:
            left[group.sha256] -= 1
        else:
            numbers.append(number)
    return numbers


def _continued(
    path: Path, now: Sequence[RowGroup], new: Sequence[int], grown: Sequence[RowGroup]
) -> dict[int, int] | None:
    """Of each row group in `grown`, the new one that begins with its rows; None if one of them has none."""
    import pyarrow.parquet as pq

    starts: dict[int, int] = {}
    with pq.ParquetFile(path) as opened:
        for group in grown:
            open_ones = (n for n in new[:_MOST_OPEN] if n not in starts and now[n].rows >= group.rows)
            found = next((n for n in open_ones if _begins_with(opened.read_row_group(n), group)), None)
            if found is None:
                return None
            starts[found] = group.rows
    return starts


def _begins_with(table: Any, group: RowGroup) -> bool:
    return _rows_sha256(table.slice(0, group.rows)) == group.rows_sha256


def _full(sizes: Iterable[int]) -> int:
    """How many rows most row groups have; 0 where there are none."""
    return max(Counter(sizes).items(), key=lambda one: (one[1], one[0]), default=(0, 0))[0]


def _bytes_sha256(file: Any, group: Any, head: bytes) -> str:
    """Over the bytes of each column, and over what says how to read them."""
    digest = hashlib.sha256(head)
    for number in range(group.num_columns):
        column = group.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        size = column.total_compressed_size
        layout = (column.path_in_schema, column.physical_type, column.compression, column.num_values, size)
        digest.update(json.dumps([*layout, column.data_page_offset - start]).encode())
        file.seek(start)
        digest.update(file.read(size))
    return digest.hexdigest()


def _rows_sha256(table: Any) -> str:
    """Over the values alone: written plainly and in one piece, the same rows are the same bytes."""
    import pyarrow.parquet as pq

    plain = io.BytesIO()
    pq.write_table(table.combine_chunks(), plain, compression="none", use_dictionary=False)
    return hashlib.sha256(plain.getbuffer()).hexdigest()
