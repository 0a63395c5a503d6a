"""Review SQL on Apache Spark, on this machine or on a cluster, with the rows that DuckDB would give.

Guarantees: the SQL is the same (`dialect` says it in Spark's words or refuses), a query sees the registered files and
nothing else, and values are bound, never written into SQL. Called by the review's stages through `ports.Engine`;
chosen in `bootstrap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.engines.rows import checked_file, line, plain_rows, wanted
from lapse.engines.spark_process import SHARED, Lease, check_installed, check_master

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SPARK_TYPES = {
    "string": "STRING",
    "int64": "BIGINT",
    "bool": "BOOLEAN",
    "double": "DOUBLE",
    "timestamp[us, tz=UTC]": "TIMESTAMP",
}
_ONE_PIECE = 4 << 20
"""On one machine, smaller files are not cut up: what is in one piece is joined and sorted without moving it about."""
_WORTH_COMPILING = 32 << 20
"""Spark makes a Java program of each query, which takes longer than to go through less than this without one."""
_SAID = re.compile(r"(\[[A-Z][A-Z_.]+\] .*?) SQLSTATE: (\w\w)", re.DOTALL)
_QUERYS_FAULT = frozenset({"21", "22", "42"})
"""Classes of SQLSTATE: cardinality, data, syntax."""
_WILD = frozenset("\\*?[]{}")


class SparkEngine:
    """An engine over `register`ed Parquet files; Spark starts at the first query, and ends when the last one closes.

    `master` is `local`, `local[N]` or `spark://HOST:PORT`. The workers of a cluster must see the files under the same
    path. `memory` is for this process's part of Spark, `settings` are Spark's own.

    Raises:
        InvalidInput: `master` cannot be read.
        Unavailable: PySpark or Java is not installed.
    """

    name = "spark"

    def __init__(self, master: str, *, memory: str = "2g", settings: Mapping[str, str] | None = None) -> None:
        check_master(master)
        check_installed()
        self._master = "local[*]" if master == "local" else master
        self._settings = {"spark.driver.memory": memory, **(settings or {})}
        self._files: dict[str, str] = {}
        self._lease: Lease | None = None
        self._shown: set[str] = set()

    def register(self, table: str, parquet: str) -> None:
        """Make the file `parquet` readable as `table`; registering a table again replaces it.

        Raises:
            InvalidInput: `table` is not a table name.
            NotFound: there is no such file.
        """
        self._files[table] = checked_file(table, parquet)
        self._shown.discard(table)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of `sql`; it names parameters as `$name`, and those it does not use are ignored.

        Raises:
            InvalidInput: the SQL is wrong, is not known to mean the same to Spark, reaches outside, or names a
                parameter that is not given.
            Unavailable: Spark does not start, ran out of memory, lost its cluster or could not read a file.
        """
        return plain_rows(self._table(sql, parameters).to_pylist())

    def write(self, sql: str, parquet: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Put the rows of `sql` into the file `parquet`, which this process writes; errors as for `query`."""
        import pyarrow.parquet as pq

        pq.write_table(self._table(sql, parameters), parquet, compression="zstd")

    def _table(self, sql: str, parameters: Mapping[str, Any] | None) -> Any:
        from lapse.engines.dialect import to_spark

        given = parameters or {}
        whole = [name for name, value in given.items() if isinstance(value, int) and not isinstance(value, bool)]
        query = to_spark(sql, tables=self._files, whole=whole)
        values = {name: _bound(name, value) for name, value in wanted(query.parameters, given).items()}
        session = self._session()
        with self._errors():
            self._show(session, query.tables)
            _prepare(session, sum(Path(self._files[table]).stat().st_size for table in query.tables))
            return session.sql(query.sql, args=values).toArrow()

    def close(self) -> None:
        """Give the session back; a later query gets a new one over the same files."""
        lease, self._lease = self._lease, None
        self._shown.clear()
        if lease is not None:
            lease.end()

    def _session(self) -> SparkSession:
        if self._lease is None:
            self._lease = SHARED.lease(self._master, self._settings)
        return self._lease.session

    def _show(self, session: SparkSession, tables: Iterable[str]) -> None:
        for table in sorted(set(tables) - self._shown):
            path = self._files[table]
            reader, schema = session.read, _schema(path)
            frame = (reader.schema(schema) if schema else reader).parquet(_location(path))
            whole = self._master.startswith("local") and Path(path).stat().st_size < _ONE_PIECE
            (frame.coalesce(1) if whole else frame).createOrReplaceTempView(table)
            self._shown.add(table)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Spark's errors as two of ours: the query's fault, or the engine's."""
        from py4j.protocol import Py4JError, Py4JJavaError
        from pyspark.errors import PySparkException, QueryExecutionException, UnknownException

        try:
            yield
        except (QueryExecutionException, UnknownException) as error:
            raise _gave_up(error) from None
        except PySparkException as error:
            raise _wrong(error) from None
        except Py4JJavaError as error:
            said = "\n".join(_causes(error.java_exception))
            found = _SAID.search(said)
            querys_fault = found is not None and found[2] in _QUERYS_FAULT
            raise (_wrong if querys_fault else _gave_up)(found[1] if found else said) from None
        except (Py4JError, OSError) as error:
            self.close()
            raise _gave_up(error) from None


def _prepare(session: SparkSession, size: int) -> None:
    compiled = size >= _WORTH_COMPILING
    session.conf.set("spark.sql.codegen.wholeStage", compiled)
    session.conf.set("spark.sql.codegen.factoryMode", "FALLBACK" if compiled else "NO_CODEGEN")


def _bound(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if value is None or isinstance(value, (str, int, float, date)):
        return value
    raise InvalidInput(f"the value of `{name}` is of no kind that a query can take")


def _schema(path: str) -> str:
    """The columns of a file as Spark writes them, read here rather than by a job; empty: Spark has to look."""
    import pyarrow.parquet as pq

    try:
        fields = [(field.name, str(field.type)) for field in pq.read_schema(path)]
    except (OSError, ValueError) as error:
        raise _gave_up(error) from None
    if not all(kind in _SPARK_TYPES for _, kind in fields):
        return ""
    return ", ".join(f"`{name.replace('`', '``')}` {_SPARK_TYPES[kind]}" for name, kind in fields)


def _location(path: str) -> str:
    """A path in which nothing is a wildcard."""
    return "file:" + "".join(f"\\{c}" if c in _WILD else c for c in path)


def _causes(error: Any) -> Iterator[str]:
    """What went wrong in Java, the first cause first; what is around it says only where."""
    cause = error.getCause()
    if cause is not None:
        yield from _causes(cause)
    yield error.getMessage() or error.getClass().getName()


def _wrong(why: object) -> InvalidInput:
    return InvalidInput(f"the query cannot be run: {_first_line(why)}")


def _gave_up(why: object) -> Unavailable:
    return Unavailable(f"the review engine gave up: {_first_line(why)}")


def _first_line(error: object) -> str:
    """Without the query, which Spark repeats below."""
    return line(str(error).strip().partition("\n")[0].partition(" SQLSTATE:")[0])
