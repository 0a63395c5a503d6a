"""An engine that keeps what it has computed: tables shared by many queries, and answers whose evidence is the same.

Guarantees: every row is what the engine inside gives without anything kept. What is kept goes by the SHA-256 of the
evidence it was made of and of the SQL that made it; a file that is missing, damaged or made of something else counts
as not there. Without a folder, shared tables are kept for as long as the engine. Chosen in `bootstrap`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lapse.engines.row_groups import Added, RowGroup, added, identity, row_groups, write_added
from lapse.engines.rows import rows_of_table
from lapse.engines.shelf import Shelf, digest_of
from lapse.ports import WritingEngine
from lapse.review.detection.shared import SHARED, SOURCE, SharedTable, words_of

_LEAST_ROWS = 1_000_000
"""With less use than this, adding it up each time is as fast."""
_LEAST_SECONDS = 0.25
"""An answer that took less is faster to compute than to look up."""
_FICKLE = frozenset(
    {
        *("now", "today", "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval"),
        *("current_date", "current_time", "current_timestamp", "get_current_time", "get_current_timestamp"),
        *("localtime", "localtimestamp", "transaction_timestamp", "statement_timestamp", "current_localtime"),
        *("current_localtimestamp", "age", "tablesample", "sample", "current_setting", "version"),
    }
)
"""Words that may make an answer depend on more than evidence; such a query is never kept."""
_PIECE, _BEFORE = "shared_piece", "shared_before"


class KeptEngine:
    """`inner`, with what it computes kept in `folder` (None: nothing outlives it).

    `least_rows` and `least_seconds` say from when on something is worth keeping.
    """

    def __init__(
        self,
        inner: WritingEngine,
        folder: Path | None = None,
        *,
        least_rows: int = _LEAST_ROWS,
        least_seconds: float = _LEAST_SECONDS,
    ) -> None:
        self.name = inner.name
        self._inner, self._least_rows, self._least_seconds = inner, least_rows, least_seconds
        self._own = Path(tempfile.mkdtemp(prefix="lapse-review-"))
        weakref.finalize(self, shutil.rmtree, self._own, ignore_errors=True)
        self._shelf = Shelf(folder) if folder else None
        self._files: dict[str, tuple[Path, int, int]] = {}
        self._groups: dict[str, tuple[RowGroup, ...]] = {}
        self._ready: set[str] = set()

    def register(self, table: str, parquet: str) -> None:
        """As the engine inside does."""
        self._inner.register(table, parquet)
        file = _state_of(Path(parquet))
        if self._files.get(table) == file:
            return
        self._files[table] = file
        self._groups.pop(table, None)
        if table == SOURCE:
            self._ready.clear()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """As the engine inside does, or the rows that it gave for the same question to the same evidence."""
        values = parameters or {}
        shelf = self._shelf
        if shelf is None or words_of(sql) & _FICKLE:
            return self._inner.query(self._with_shared(sql), values)
        key = self._key(sql, values)
        known = shelf.rows(key)
        if known is not None:
            return rows_of_table(known)
        file, began = self._temporary("answer"), time.monotonic()
        self._inner.write(self._with_shared(sql), str(file), values)
        if time.monotonic() - began >= self._least_seconds:
            shelf.put_rows(key, file)
        return rows_of_table(_read(file))

    def write(self, sql: str, parquet: str, parameters: Mapping[str, Any] | None = None) -> None:
        """As the engine inside does."""
        self._inner.write(self._with_shared(sql), parquet, parameters or {})

    def close(self) -> None:
        """As the engine inside does; shared tables stay for a later query."""
        self._inner.close()

    def _key(self, sql: str, values: Mapping[str, Any]) -> str:
        """Over all that the answer can depend on: the SQL, the values that it may name, the evidence it may read."""
        named = {name: repr(value) for name, value in values.items() if f"${name}" in sql}
        read = {table: identity(self._groups_of(table)) for table in words_of(sql) & self._files.keys()}
        return digest_of(self.name, sql, named, read)

    def _groups_of(self, table: str) -> tuple[RowGroup, ...]:
        if table not in self._groups:
            self._groups[table] = row_groups(self._files[table][0])
        return self._groups[table]

    def _with_shared(self, sql: str) -> str:
        """`sql`, reading the kept rows of shared tables instead of computing them."""
        for table in SHARED:
            if table.definition in sql and self._worth_it():
                self._prepare(table)
                kept = table.head_of(f"SELECT * FROM {_kept_name(table)}")  # noqa: S608  a name of our own
                sql = sql.replace(table.definition, kept)
        return sql

    def _worth_it(self) -> bool:
        import pyarrow.parquet as pq

        file = self._files.get(SOURCE)
        return file is not None and bool(pq.read_metadata(file[0]).num_rows >= self._least_rows)

    def _prepare(self, table: SharedTable) -> None:
        """Have the rows of `table` ready in the engine inside."""
        if table.name in self._ready:
            return
        file = self._made(table)
        self._inner.register(_kept_name(table), str(file))
        self._ready.add(table.name)

    def _made(self, table: SharedTable) -> Path:
        """A file with all rows of `table`: what is kept, and what came to it since, or all of it anew."""
        file = self._temporary(table.name)
        if self._shelf is None:
            self._inner.write(table.rows.format(usage=SOURCE), str(file))
            return file
        now = self._groups_of(SOURCE)
        before, more = self._best(table, now)
        if before is None:
            self._inner.write(table.rows.format(usage=SOURCE), str(file))
        elif more.rows == 0:
            return before
        else:
            self._merge(table, before, more, file)
        self._shelf.put_shared(table, now, file)
        return file

    def _best(self, table: SharedTable, now: tuple[RowGroup, ...]) -> tuple[Path | None, Added]:
        """A copy of what is kept of most of the use, which nobody else can take away, with the use that it lacks."""
        found: list[tuple[int, Path, Added]] = []
        for known, file in self._shelf.shared(table) if self._shelf else ():
            more = added(self._files[SOURCE][0], now, known)
            if more is not None:
                found.append((more.rows, file, more))
        if not found:
            return None, Added()
        rows, file, more = min(found, key=lambda one: one[0])
        if 2 * rows > sum(group.rows for group in now):
            return None, Added()
        mine = self._temporary(f"{table.name}-before")
        try:
            shutil.copyfile(file, mine)
        except FileNotFoundError:
            return None, Added()
        return mine, more

    def _merge(self, table: SharedTable, before: Path, more: Added, into: Path) -> None:
        piece, rows = self._temporary(_PIECE), self._temporary(f"{_PIECE}-rows")
        write_added(self._files[SOURCE][0], more, piece)
        self._inner.register(_PIECE, str(piece))
        self._inner.write(table.rows.format(usage=_PIECE), str(rows))
        self._inner.register(_PIECE, str(rows))
        self._inner.register(_BEFORE, str(before))
        self._inner.write(table.merged((_BEFORE, _PIECE)), str(into))

    def _temporary(self, name: str) -> Path:
        return self._own / f"{name}.parquet"


def _kept_name(table: SharedTable) -> str:
    return f"{table.name}_kept"


def _state_of(path: Path) -> tuple[Path, int, int]:
    """What tells whether a file was written again."""
    state = path.stat()
    return path, state.st_size, state.st_mtime_ns


def _read(file: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(file)
