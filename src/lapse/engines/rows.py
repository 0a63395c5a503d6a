"""What all engines have in common: names of tables and parameters, and the Python values in rows. Used by engines."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)


def checked_file(table: str, parquet: str) -> str:
    """The whole path of the file that is to be read as `table`.

    Raises:
        InvalidInput: `table` is not a table name.
        NotFound: there is no such file.
    """
    if not _TABLE.fullmatch(table):
        raise InvalidInput(f"`{shown(table)}` is not a table name", hint="use lowercase letters, digits and _")
    if not Path(parquet).is_file():
        raise NotFound(f"there is no file `{shown(parquet, 200)}` for table `{table}`")
    return str(Path(parquet).resolve())


def wanted(names: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a query names; raises `InvalidInput` for the first that is not given."""
    used = set(names)
    missing = sorted(used - parameters.keys())
    if missing:
        raise InvalidInput(f"the query needs a value for `{missing[0]}`")
    return {name: parameters[name] for name in used}


def plain_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as every engine gives them: times are aware UTC, and numbers are `int` or `float`."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def rows_of_table(table: Any) -> list[dict[str, Any]]:
    """The same from an Arrow table, column by column, which is many times faster."""
    names = table.column_names
    with without_collecting():
        columns = [_values(table.column(name)) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@contextmanager
def without_collecting() -> Iterator[None]:
    """While a million of small values is made, none of which can go, looking for some that can is a third of the time.

    What is inside must not make cycles.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def line(error: object) -> str:
    """What an engine says, as a part of one sentence."""
    return shown(" ".join(str(error).split()), 300)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value


def _values(column: Any) -> list[Any]:
    """The Python values of an Arrow column; times by way of numbers, since Arrow looks up the zone for each."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        numbers = column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64()).to_pylist()
        return [None if number is None else _EPOCH + timedelta(0, 0, number) for number in numbers]
    values: list[Any] = column.to_pylist()
    plain = not (pa.types.is_timestamp(column.type) or pa.types.is_decimal(column.type))
    return values if plain else [_plain(value) for value in values]
