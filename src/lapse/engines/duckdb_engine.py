"""Review SQL on DuckDB, in process, over Parquet files.

Guarantees: a query sees the registered files and nothing else (no other file, no network, no extension, and no
way to switch that off), uses at most the given memory, and gives times as aware UTC. Called by the review's
stages through `ports.Engine`; chosen in `bootstrap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.engines.rows import checked_file, line, rows_of_table, wanted

if TYPE_CHECKING:
    import duckdb

_PARAMETER = re.compile(r"\$([a-z][a-z0-9_]*)", re.ASCII)
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_ENGINES_FAULT = ("Out of Memory Error", "IO Error", "Internal Error")
_PIECE = 200_000
"""Rows that `write` has in memory at once."""


class DuckDbEngine:
    """An engine over `register`ed Parquet files; the connection opens at the first query.

    `memory_limit` and `threads` are DuckDB's; `spill` is a folder for what does not fit into memory (none: such
    a query fails with `Unavailable`).
    """

    name = "duckdb"

    def __init__(self, *, memory_limit: str = "2GB", threads: int | None = None, spill: Path | None = None) -> None:
        self._settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(spill) if spill else "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads is not None:
            self._settings["threads"] = threads
        self._files: dict[str, str] = {}
        self._connection: duckdb.DuckDBPyConnection | None = None

    def register(self, table: str, parquet: str) -> None:
        """Make the file `parquet` readable as `table`; registering a table again replaces it.

        Raises:
            InvalidInput: `table` is not a table name.
            NotFound: there is no such file.
        """
        self._files[table] = checked_file(table, parquet)
        self.close()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of `sql`; it names parameters as `$name`, and those it does not use are ignored.

        Raises:
            InvalidInput: the SQL is wrong, reaches outside, or names a parameter that is not given.
            Unavailable: the engine ran out of memory or could not read a file.
        """
        with self._result(sql, parameters) as result:
            table = None if result is None else result.to_arrow_table()
        return [] if table is None else rows_of_table(table)

    def write(self, sql: str, parquet: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Put the rows of `sql` into the file `parquet`, piece by piece; parameters and errors as for `query`."""
        import pyarrow.parquet as pq

        with self._result(sql, parameters) as result:
            if result is None:
                raise InvalidInput("the query gives no rows")
            reader = result.to_arrow_reader(_PIECE)
            with pq.ParquetWriter(parquet, reader.schema, compression="zstd", compression_level=1) as writer:
                for batch in _pieces(reader):
                    writer.write_batch(batch)

    @contextmanager
    def _result(self, sql: str, parameters: Mapping[str, Any] | None) -> Iterator[Any]:
        """What `sql` gives, not fetched yet; what goes wrong meanwhile is one of our errors."""
        import duckdb

        values = wanted(_PARAMETER.findall(_COMMENT_OR_TEXT.sub(" ", sql)), parameters or {})
        try:
            yield self._connected().sql(sql, params=values)
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise Unavailable(f"the review engine gave up: {line(error)}") from None
        except duckdb.Error as error:
            raise InvalidInput(f"the query cannot be run: {line(error)}") from None

    def close(self) -> None:
        """Forget the connection; a later query opens a new one over the same files."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(":memory:", config=self._settings)
        connection.execute("SET TimeZone = 'UTC'")
        if self._files:
            allowed = ", ".join(_quoted(file) for file in self._files.values())
            connection.execute(f"SET allowed_paths = [{allowed}]")
        for table, file in self._files.items():
            connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM read_parquet({_quoted(file)})')  # noqa: S608  both checked and quoted
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection


def _pieces(reader: Any) -> Iterator[Any]:
    """What is read; an error of the query that shows only then is the same one that it would have been before."""
    import pyarrow as pa

    try:
        yield from reader
    except (OSError, pa.ArrowException) as error:
        if str(error).startswith(_ENGINES_FAULT):
            raise Unavailable(f"the review engine gave up: {line(error)}") from None
        raise InvalidInput(f"the query cannot be run: {line(error)}") from None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
