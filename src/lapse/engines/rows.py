"""What all engines have in common: names of tables and parameters, and the Python values in rows. Used by engines."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown

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


def rows_of_columns(columns: Mapping[str, Sequence[Any]], plain: Collection[str]) -> list[dict[str, Any]]:
    """The same from columns, which is faster; those named in `plain` are as they must be already."""
    values = [one if name in plain else [_plain(value) for value in one] for name, one in columns.items()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def line(error: object) -> str:
    """What an engine says, as a part of one sentence."""
    return shown(" ".join(str(error).split()), 300)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value
