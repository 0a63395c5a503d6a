"""Values of records as values of columns: text, whole numbers, truth and times, in the ways that a mapping may name.

Guarantee: a value that is not of the kind is refused, never guessed; a time without a zone is refused where nothing
says the zone. Called by `language`, for values written into a mapping, and by `rows`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.times import parse_time
from lapse.policy.problems import nearest
from lapse.review.evidence.columns import Kind
from lapse.review.sources.clocks import Clock
from lapse.review.sources.event_logs import tidy

STRPTIME = "strptime:"
WAYS: Mapping[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("text",),
    Kind.INT: ("int",),
    Kind.BOOL: ("bool",),
    Kind.TIME: ("rfc3339", "epoch_s", "epoch_ms", "epoch_us"),
}
_DIRECTIVES = frozenset("aAbBdmYyHIpMSfzZjHMSUWuGV%")
_ZONES = frozenset("zZ")
_LONGEST_FORMAT = 100
_LONGEST_DIGITS = 18
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"epoch_s": timedelta(seconds=1), "epoch_ms": timedelta(milliseconds=1), "epoch_us": timedelta(microseconds=1)}
_TRUE, _FALSE = frozenset({"true", "yes", "1", "t", "y"}), frozenset({"false", "no", "0", "f", "n"})


@dataclass(frozen=True, slots=True)
class Way:
    """How a value is read: one of `WAYS`, or `strptime:` with a format. `zone` is of times that do not say theirs."""

    name: str
    zone: str = ""


def parse_way(text: str, kind: Kind) -> str:
    """`text` as the name of a way to read a column of this kind.

    Raises:
        InvalidInput: it is none, or none for such a column.
    """
    if kind is Kind.TIME and text.startswith(STRPTIME):
        return _checked_format(text)
    if text not in WAYS[kind]:
        known = [*WAYS[kind], *([f"{STRPTIME}%Y-%m-%d"] if kind is Kind.TIME else [])]
        raise InvalidInput(f"`{shown(text)}` is no way to read a column of kind {kind}", hint=nearest(text, known))
    return text


def has_zone(way: str) -> bool:
    """Whether times that are read so say their zone, or need none."""
    return not way.startswith(STRPTIME) or bool(_ZONES & set(_directives(way)))


def read_value(value: Any, kind: Kind, way: Way) -> Any:
    """`value` as one of a column of this kind.

    Raises:
        ValueError: it is not of the kind; the message says why.
    """
    return _READERS[kind](value, way)


def text_of(value: Any) -> str:
    """A single value as text: `true`, `3002`, and texts as they are.

    Raises:
        ValueError: it is a list or a map.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise ValueError(f"{_what(value)} is no single value")


def _text(value: Any, _: Way) -> str:
    return tidy(text_of(value))


def _int(value: Any, _: Way) -> int:
    text = text_of(value).strip()
    digits = text.removeprefix("-")
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit()) or len(digits) > _LONGEST_DIGITS:
        raise ValueError(f"`{shown(text)}` is no whole number")
    return int(text)


def _bool(value: Any, _: Way) -> bool:
    text = text_of(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"`{shown(text)}` is neither true nor false")


def _time(value: Any, way: Way) -> datetime:
    try:
        if isinstance(value, datetime):
            return _with_zone(value, way)
        if way.name in _UNITS:
            return _EPOCH + _number(value) * _UNITS[way.name]
        text = text_of(value).strip()
        if way.name.startswith(STRPTIME):
            # The zone follows, from the format or the mapping.
            return _with_zone(datetime.strptime(text, way.name.removeprefix(STRPTIME)), way)  # noqa: DTZ007
        return parse_time(_micros(text))
    except OverflowError:
        raise ValueError("the time is outside of the calendar") from None
    except InvalidInput as error:
        raise ValueError(error.message) from None


def _with_zone(at: datetime, way: Way) -> datetime:
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    return Clock(ZoneInfo(way.zone) if way.zone else None).plain(at)


def _number(value: Any) -> float | int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  it is how NaN shows
            raise ValueError("it is no time")
        return value
    text = text_of(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"`{shown(text)}` is no number of seconds or parts of them")
    return float(text) if "." in text else int(text)


def _micros(text: str) -> str:
    """Fractions of seconds finer than are kept are cut."""
    head, dot, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}" if dot else text


def _checked_format(text: str) -> str:
    unknown = [one for one in _directives(text) if one not in _DIRECTIVES]
    if unknown or len(text) > _LONGEST_FORMAT:
        raise InvalidInput(f"`{shown(text, 100)}` has `%{unknown[0] if unknown else ''}` in it, or is too long")
    if "%d" not in text and "%j" not in text:
        raise InvalidInput(f"`{shown(text, 100)}` says no day", hint="e.g. `strptime:%d.%m.%Y %H:%M:%S`")
    return text


def _directives(text: str) -> list[str]:
    pieces = text.removeprefix(STRPTIME).replace("%%", "").split("%")[1:]
    return [piece[:1] for piece in pieces]


def _what(value: Any) -> str:
    return {dict: "a map", list: "a list", type(None): "nothing"}.get(type(value), f"a {type(value).__name__}")


_READERS: Mapping[Kind, Callable[[Any, Way], Any]] = {
    Kind.TEXT: _text,
    Kind.INT: _int,
    Kind.BOOL: _bool,
    Kind.TIME: _time,
}
