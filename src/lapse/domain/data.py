"""Domain values as plain JSON data and back: one spelling for the store, the ledger, the API and evidence.

Times are RFC 3339 text, durations ISO 8601, enums their value, sets sorted lists.
`from_data(T, to_data(x)) == x` for every frozen dataclass of the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import msgspec

from lapse.domain.durations import iso_duration
from lapse.domain.errors import Corrupt
from lapse.domain.times import format_time

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:
    # The decoder knows no recursive types; what it reads has come through a JSON parser.
    Json = Any
T = TypeVar("T")


def to_data(value: object) -> Json:  # noqa: PLR0911  one return a kind of value
    """`value` as JSON data; a type that has no spelling is a programming error (`TypeError`)."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return iso_duration(value)
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_data(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((to_data(item) for item in value), key=str)
    if is_dataclass(value):
        return {field.name: to_data(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no spelling as data")


def from_data(kind: type[T], data: object) -> T:
    """The value of type `kind` that `data` spells.

    Raises:
        Corrupt: `data` is not such a value; the message says where.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise Corrupt(f"stored {kind.__name__} cannot be read: {error}") from None


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def changed_fields(before: object, after: object) -> tuple[str, ...]:
    """Names of the fields in which two values of one dataclass differ, in order of definition."""
    return tuple(
        name
        for name in _names(cast("Any", type(before)))
        if (was := getattr(before, name)) is not (now := getattr(after, name)) and was != now
    )


def changes(before: object, after: object) -> tuple[dict[str, Json], dict[str, Json]]:
    """The differing fields of two values of one dataclass, as data: what they were and what they are."""
    names = changed_fields(before, after)
    return (
        {name: to_data(getattr(before, name)) for name in names},
        {name: to_data(getattr(after, name)) for name in names},
    )
