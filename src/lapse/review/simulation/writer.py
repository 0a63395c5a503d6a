"""Writes a simulated world into a folder: evidence files, and the labels of what was planted. The only I/O here.

Large tables are Parquet, small ones CSV, so that a person can look at them. Rows are written in batches as they come.
The same rows give the same bytes with the same version of pyarrow. Called by `run`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from lapse.domain.data import to_data
from lapse.domain.errors import InvalidInput
from lapse.review.evidence import TABLES
from lapse.review.simulation.books import Planted

AS_CSV = frozenset({
    "principals", "humans_behind", "group_members", "people_events", "resources", "entitlements", "accounts",
    "access_observed", "account_links", "boundaries", "conflicts", "coverage", "credentials", "drifts",
    "escalation_edges", "exceptions", "breakglass_reviews", "policy_changes", "live_policies", "offers", "quorums",
    "rule_effects", "approval_paths", "reviews", "review_decisions", "reconciliations", "ledger_checks", "policies",
    "tickets",
})  # fmt: skip
"""Tables that are small, or that people like to look at."""

_BATCH = 20_000
_LABELS = ("detector", "subject", "what", "strength")


class FolderSink:
    """Files of evidence tables in `folder`, which must be empty or not exist.

    Raises:
        InvalidInput: there is something in the folder already.
    """

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidInput(f"`{folder}` is not empty", hint="name a new folder with --out")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._files: dict[str, _Csv | _Parquet] = {}

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Take one row of an evidence table."""
        if table not in self._files:
            kind = _Csv if table in AS_CSV else _Parquet
            self._files[table] = kind(self.folder, table)
        self._files[table].add(row)

    def close(self) -> tuple[str, ...]:
        """Write what is left; returns the names of the files."""
        return tuple(sorted(file.close() for file in self._files.values()))


class _Csv:
    def __init__(self, folder: Path, table: str) -> None:
        self._columns = [column.name for column in TABLES[table].columns]
        self._path = folder / f"{table}.csv"
        self._file: TextIO = self._path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._columns)

    def add(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow([_cell(row.get(name)) for name in self._columns])

    def close(self) -> str:
        self._file.close()
        return self._path.name


class _Parquet:
    def __init__(self, folder: Path, table: str) -> None:
        import pyarrow.parquet as pq

        self._schema = TABLES[table].schema()
        self._path = folder / f"{table}.parquet"
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def close(self) -> str:
        self._flush()
        self._writer.close()
        return self._path.name

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def write_labels(folder: Path, planted: Iterable[Planted]) -> None:
    """`planted.csv` and `planted.json`: what is wrong in the world, by detector and subject."""
    labels = sorted(planted, key=lambda one: (one.detector, one.subject, one.what))
    with (folder / "planted.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_LABELS)
        writer.writerows([_cell(getattr(one, name)) for name in _LABELS] for one in labels)
    data = [to_data(one) for one in labels]
    (folder / "planted.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(value: Any) -> Any:
    return "" if value is None else to_data(value)
