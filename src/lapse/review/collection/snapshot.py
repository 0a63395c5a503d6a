"""The frozen population: one Parquet file a table, counts, SHA-256 hashes, and a manifest that names them.

Rows are written in batches, so memory does not grow with the population. A table that nobody opened is absent
in the manifest, never empty. Used by `collect` and by the stages that derive a table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lapse import __version__
from lapse.domain.data import from_data, to_data
from lapse.domain.errors import Corrupt, InvalidInput, NotFound
from lapse.ports import Engine
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import EVIDENCE_VERSION, Table
from lapse.review.model import Coverage, Problem, Snapshot, SnapshotManifest, SourceReport, TableManifest
from lapse.review.scope import ReviewScope

MANIFEST = "snapshot.json"
_RECONCILIATIONS = "reconciliations"
_BATCH = 20_000
Row = Mapping[str, Any]


@dataclass
class _Open:
    """One table while it is being written."""

    table: Table
    path: Path
    writer: Any
    buffer: list[Row] = field(default_factory=list)
    rows: int = 0
    rejected: int = 0
    left_out: int = 0
    recount: int | None = None
    sources: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


class SnapshotWriter:
    """Writes the tables of one snapshot into `folder`, which must be empty or not exist.

    Raises:
        InvalidInput: there is something in the folder already.
    """

    def __init__(self, folder: Path, scope: ReviewScope, now: datetime) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise InvalidInput(f"`{folder}` is not empty", hint="give a new folder; a snapshot is never overwritten")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._scope, self._now = folder, scope, now
        self._open: dict[str, _Open] = {}
        self._problems: list[Problem] = []
        self._sources: list[SourceReport] = []
        self._detectors: dict[str, str] = {}

    def begin(self, name: str, source: str, query: str = "") -> None:
        """`source` was asked for the table, so that it exists even if there are no rows."""
        opened = self._opened(name)
        opened.sources.append(source)
        opened.queries += [query] if query else []

    def has(self, name: str) -> bool:
        """Whether any source was asked for the table."""
        return name in self._open

    def add(self, name: str, rows: Iterable[Row]) -> None:
        """Write rows; keys that are missing are null."""
        opened = self._opened(name)
        for row in rows:
            opened.buffer.append(row)
            if len(opened.buffer) >= _BATCH:
                _flush(opened)

    def add_batch(self, name: str, batch: Any) -> None:
        """Write an Arrow record batch that has the table's schema already."""
        opened = self._opened(name)
        opened.writer.write_batch(batch.cast(opened.table.schema()))
        opened.rows += batch.num_rows

    def left_out(self, name: str, rows: int) -> None:
        """So many rows of the source are outside of the scope or the period."""
        self._opened(name).left_out += rows

    def rejected(self, name: str, rows: int) -> None:
        """So many rows of the source could not be read; the caller reports a problem with examples."""
        self._opened(name).rejected += rows

    def recount(self, name: str, count: int) -> None:
        """A second, independent count of a source; several sources of a table add up."""
        opened = self._opened(name)
        opened.recount = (opened.recount or 0) + count

    def gap(self, name: str, what: str) -> None:
        """Part of the table's population could not be read."""
        self._opened(name).gaps.append(what)

    def problem(self, problem: Problem) -> None:
        """Something was wrong with the evidence; it is shown in the review, never dropped."""
        self._problems.append(problem)

    def detector(self, name: str, text: bytes) -> None:
        """A detector of one's own goes with the evidence, so that the review can be done again."""
        folder = self._folder / "detectors"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.sql").write_bytes(text)
        self._detectors[name] = hashlib.sha256(text).hexdigest()

    def report(self, source: SourceReport) -> None:
        """What became of the records of one source of files."""
        self._sources.append(source)

    def finish(self, resources: Iterable[str]) -> Snapshot:
        """Close all files, hash them, reconcile the counts (table `reconciliations`) and write the manifest."""
        closed = {name: self._close(opened) for name, opened in list(self._open.items())}
        if _RECONCILIATIONS not in closed:
            self.begin(_RECONCILIATIONS, "counts of every table collected")
            self.add(_RECONCILIATIONS, map(_reconciliation, closed.values()))
            closed[_RECONCILIATIONS] = self._close(self._open[_RECONCILIATIONS])
        tables = [closed.get(name) or _absent(name) for name in TABLES]
        manifest = SnapshotManifest(
            evidence_version=EVIDENCE_VERSION,
            scope=self._scope,
            collected_at=self._now,
            tables=tuple(tables),
            resources=tuple(sorted(resources)),
            problems=(*self._problems, *(_mismatch(t) for t in tables if not t.reconciled)),
            sources=tuple(self._sources),
            tool=f"lapse {__version__}",
            detectors=self._detectors,
        )
        return _written(self._folder, manifest)

    def _opened(self, name: str) -> _Open:
        if name not in self._open:
            self._open[name] = _new_table(self._folder, TABLES[name])
        return self._open[name]

    def _close(self, opened: _Open) -> TableManifest:
        _flush(opened)
        opened.writer.close()
        return TableManifest(
            table=opened.table.name,
            coverage=Coverage.PARTIAL if opened.gaps else Coverage.COMPLETE,
            file=opened.path.name,
            rows=opened.rows,
            sha256=file_sha256(opened.path),
            source="; ".join(dict.fromkeys(opened.sources)),
            query="; ".join(dict.fromkeys(opened.queries)),
            recount=opened.recount,
            rejected=opened.rejected,
            left_out=opened.left_out,
            gaps=tuple(opened.gaps),
        )


def add_derived(snapshot: Snapshot, name: str, rows: Iterable[Row], source: str) -> Snapshot:
    """`snapshot` with a table that a later stage derived; a table that was supplied is left as it is."""
    if name in snapshot.manifest.present:
        return snapshot
    folder = Path(snapshot.folder)
    opened = _new_table(folder, TABLES[name])
    for row in rows:
        opened.buffer.append(row)
        if len(opened.buffer) >= _BATCH:
            _flush(opened)
    _flush(opened)
    opened.writer.close()
    made = TableManifest(
        table=name,
        coverage=Coverage.COMPLETE,
        file=opened.path.name,
        rows=opened.rows,
        sha256=file_sha256(opened.path),
        source=source,
    )
    tables = tuple(made if t.table == name else t for t in snapshot.manifest.tables)
    return _written(folder, replace(snapshot.manifest, tables=tables))


def load_snapshot(folder: Path) -> Snapshot:
    """The snapshot in `folder`, every file checked against its hash.

    Raises:
        NotFound: there is none.
        Corrupt: the manifest cannot be read or names a file elsewhere, or a file is not what was collected.
    """
    try:
        data = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no snapshot in `{folder}`", hint="run `lapse review collect` first") from None
    except ValueError:
        raise Corrupt(f"`{folder / MANIFEST}` cannot be read") from None
    manifest = from_data(SnapshotManifest, data)
    for table in manifest.tables:
        path = folder / table.file
        if table.file and (path.parent != folder or not path.is_file() or file_sha256(path) != table.sha256):
            raise Corrupt(f"`{path}` is not the file that was collected", hint="collect the review again")
    return Snapshot(folder=str(folder), manifest=manifest)


def register_all(engine: Engine, snapshot: Snapshot) -> None:
    """Make every table of the snapshot readable in `engine`."""
    for table in snapshot.manifest.tables:
        if table.file:
            engine.register(table.table, str(Path(snapshot.folder) / table.file))


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) over the bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _new_table(folder: Path, table: Table) -> _Open:
    import pyarrow.parquet as pq

    path = folder / f"{table.name}.parquet"
    return _Open(table=table, path=path, writer=pq.ParquetWriter(path, table.schema(), compression="zstd"))


def _flush(opened: _Open) -> None:
    if not opened.buffer:
        return
    import pyarrow as pa

    opened.writer.write_table(pa.Table.from_pylist(opened.buffer, schema=opened.table.schema()))
    opened.rows += len(opened.buffer)
    opened.buffer = []


def _written(folder: Path, manifest: SnapshotManifest) -> Snapshot:
    text = json.dumps(to_data(manifest), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
    return Snapshot(folder=str(folder), manifest=manifest)


def _absent(name: str) -> TableManifest:
    return TableManifest(table=name, coverage=Coverage.ABSENT)


def _reconciliation(table: TableManifest) -> Row:
    read = table.rows + table.rejected + table.left_out
    lost = [f"{table.rejected} rows could not be read"] if table.rejected else []
    if not table.reconciled:
        lost.append(f"{read} rows were read, a second count gives {table.recount}")
    return {
        "table_name": table.table,
        "rows_read": read,
        "matches": not lost,
        "rows_counted": table.recount,
        "rows_rejected": table.rejected,
        "source": table.source or None,
        "detail": "; ".join(lost) or None,
    }


def _mismatch(table: TableManifest) -> Problem:
    seen = table.rows + table.rejected + table.left_out
    return Problem(
        table=table.table,
        source=table.source,
        what=f"{seen} rows were read, a second count gives {table.recount}",
        rows=abs(seen - (table.recount or 0)),
    )
