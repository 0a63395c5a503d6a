"""Which engine reviews run on: DuckDB in this process, or Spark, as `[review]` in `lapse.toml` or `--engine` says.

Used by `reviewing`, by the settings and by the CLI. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

if TYPE_CHECKING:
    from pathlib import Path

    from lapse.ports import Engine, WritingEngine

DUCKDB = "duckdb"


def check_engine(name: str, where: str) -> None:
    """Raise `InvalidInput` unless `name` is `duckdb`, `local` or `spark://HOST:PORT`; `where` is who says it."""
    if name == DUCKDB:
        return
    from lapse.engines.spark_process import check_master

    try:
        check_master(name)
    except InvalidInput:
        raise InvalidInput(
            f"{where} cannot be `{shown(name)}`",
            hint="say duckdb, spark://HOST:PORT for a cluster of Spark, or local for Spark on this machine",
        ) from None


def new_engine(name: str = DUCKDB, kept: Path | None = None) -> Engine:
    """The engine called `name`, in which nothing is readable yet. What takes long is kept in the folder `kept`, if any.

    Raises:
        InvalidInput: there is none of that name.
        Unavailable: what it needs is not installed.
    """
    from lapse.engines.kept import KeptEngine

    return KeptEngine(_computing(name), kept)


def _computing(name: str) -> WritingEngine:
    check_engine(name, "the engine of a review")
    if name == DUCKDB:
        from lapse.engines.duckdb_engine import DuckDbEngine

        return DuckDbEngine()
    from lapse.engines.spark_engine import SparkEngine

    return SparkEngine(name)


@contextmanager
def engines(name: str) -> Iterator[Callable[[], Engine]]:
    """A function that makes engines called `name`; what takes long to start stays up in between."""
    kept = new_engine(name)
    if name != DUCKDB:
        kept.query("SELECT 1 AS one", {})
    try:
        yield lambda: new_engine(name)
    finally:
        kept.close()
