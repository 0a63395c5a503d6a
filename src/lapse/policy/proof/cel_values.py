"""What a part of a condition is to the solver: a truth, a number, a text, a list. Used by `conditions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lapse.policy.expressions.condition import ConditionError, constant_of
from lapse.policy.proof.asked import MICROSECONDS, TagsModel
from lapse.policy.proof.logic import Formula, Number, both, either, no
from lapse.policy.proof.vocabulary import Members, Text

_HOUR = 3600 * MICROSECONDS
_THURSDAY = 4
_FINEST = 6


@dataclass(frozen=True)
class Truth:
    """True or false; `error` is when it is neither."""

    holds: Formula
    error: Formula = False

    @property
    def yes(self) -> Formula:
        """It is true."""
        return both(self.holds, no(self.error))

    @property
    def no(self) -> Formula:
        """It is false."""
        return both(no(self.holds), no(self.error))


@dataclass(frozen=True)
class Amount:
    """A number: an `int`, or a `duration` or `timestamp` in microseconds."""

    value: Number
    unit: str
    error: Formula = False


@dataclass(frozen=True)
class Word:
    """A text."""

    text: Text
    error: Formula = False


@dataclass(frozen=True)
class FullName:
    """The entitlement's name: the resource's, a slash and the role."""

    error: Formula = False


@dataclass(frozen=True)
class Size:
    """How many characters a text has."""

    text: Text
    error: Formula = False


@dataclass(frozen=True)
class Group:
    """An object with attributes, called `path`."""

    path: str


@dataclass(frozen=True)
class Tags:
    """Tags of the resource or of the entitlement."""

    model: TagsModel


@dataclass(frozen=True)
class Listed:
    """Texts that are written out, or the members of a list of the request."""

    texts: tuple[Text, ...] = ()
    members: Members | None = None


@dataclass(frozen=True)
class Anything:
    """What is not modelled."""


Value: TypeAlias = Truth | Amount | Word | FullName | Size | Group | Tags | Listed | Anything


def conjunction(one: Truth, other: Truth) -> Truth:
    """`&&`: false where one side is, whatever the other."""
    error = either(both(one.error, no(other.no)), both(other.error, no(one.no)))
    return Truth(both(one.holds, other.holds), error)


def disjunction(one: Truth, other: Truth) -> Truth:
    """`||`: true where one side is, whatever the other."""
    error = either(both(one.error, no(other.yes)), both(other.error, no(one.yes)))
    return Truth(either(one.yes, other.yes), error)


def compared(operator: str, left: Any, right: Any) -> Formula:
    """Two numbers, compared as `operator` says."""
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case _:
            return left == right


def constant_value(source: str) -> object:
    """What the engine makes of a constant; None if it makes nothing of it, or if that is finer than a microsecond."""
    fraction = source.partition(".")[2].rstrip("Zz\")'")
    if source.startswith("timestamp") and len(fraction) > _FINEST:
        return None
    try:
        return constant_of(source)
    except ConditionError:
        return None


def _part(value: Number, unit: int, of: int) -> Number:
    """z3 divides whole numbers downwards, as `//` does."""
    return value // unit % of if isinstance(value, int) else value / unit % of


CLOCK: Mapping[str, Any] = {
    "getHours": lambda value: _part(value, _HOUR, 24),
    "getMinutes": lambda value: _part(value, 60 * MICROSECONDS, 60),
    "getSeconds": lambda value: _part(value, MICROSECONDS, 60),
    "getMilliseconds": lambda value: _part(value, 1000, 1000),
    "getDayOfWeek": lambda value: _part(value + _THURSDAY * 24 * _HOUR, 24 * _HOUR, 7),
}
"""Parts of a time in UTC, counted from 1970."""

SUMS: Mapping[tuple[str, str, str], str] = {
    ("+", "int", "int"): "int",
    ("-", "int", "int"): "int",
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("-", "duration", "duration"): "duration",
}
"""What comes of adding and subtracting."""
