"""Rows of evidence out of one record, as a mapping says. Pure; called by `reader`.

Guarantee: a record gives all of its rows or, if one of them cannot be made, none and the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lapse.domain.names import shown
from lapse.review.evidence.columns import Kind
from lapse.review.sources.mapping.model import Cell, Rule, SourceMapping, Test
from lapse.review.sources.mapping.paths import MISSING, value_at, values_at
from lapse.review.sources.mapping.values import read_value, text_of

MOST_ROWS = 10_000
"""Rows of one record."""
NOT_MAPPED = "a record that no rule of the mapping is about"


@dataclass(frozen=True, slots=True)
class Made:
    """A row of the table that `rule` is for, and the name in the record that says whose it is."""

    rule: Rule
    row: Mapping[str, Any]
    person: str


def why_skipped(record: Any, mapping: SourceMapping) -> str:
    """Why the record is no evidence, as the mapping says; empty if it may be."""
    return next((skip.reason for skip in mapping.skips if _holds(record, record, skip.tests)), "")


def identity_of(record: Any, mapping: SourceMapping) -> list[str]:
    """What tells the record from others; empty if nothing does."""
    values = (value_at(record, record, path) for path in mapping.identity)
    return [_plain(value) for value in values]


def rows_of(record: Any, mapping: SourceMapping) -> list[Made]:
    """The rows that the record makes.

    Raises:
        ValueError: one of them cannot be made; the message names the column.
    """
    found: list[Made] = []
    for rule in mapping.rules:
        for item in [record] if rule.items is None else values_at(record, rule.items):
            if _holds(record, item, rule.tests):
                found.append(_made(record, item, rule))
                if len(found) > MOST_ROWS:
                    raise ValueError(f"it makes more than {MOST_ROWS} rows")
    return found


def _made(record: Any, item: Any, rule: Rule) -> Made:
    row = dict(_columns(record, item, rule))
    missing = next((name for name in rule.table.required if row.get(name) is None), None)
    if missing is not None:
        raise ValueError(f"`{rule.table.name}.{missing}` is missing")
    person = "" if rule.person is None else _plain(value_at(record, item, rule.person))
    return Made(rule, row, person)


def _columns(record: Any, item: Any, rule: Rule) -> Iterator[tuple[str, Any]]:
    for name, cell in rule.cells.items():
        try:
            yield name, _cell(record, item, cell, rule.kinds[name])
        except ValueError as error:
            raise ValueError(f"`{rule.table.name}.{name}`: {error}") from None


def _cell(record: Any, item: Any, cell: Cell, kind: Kind) -> Any:
    if not cell.paths:
        return cell.value
    values = (value_at(record, item, path) for path in cell.paths)
    if cell.joined_with is None:
        value = next((one for one in values if not _is_empty(one)), None)
    else:
        value = _joined(list(values), cell.joined_with)
    if value is None:
        return cell.default
    if cell.words is not None:
        text = text_of(value)
        if text not in cell.words:
            if cell.default is None:
                raise ValueError(f"`{shown(text)}` is not among the texts that are mapped")
            return cell.default
        value = cell.words[text]
    return read_value(value, kind, cell.way)


def _joined(values: list[Any], between: str) -> str | None:
    return None if any(map(_is_empty, values)) else between.join(text_of(one) for one in values)


def _is_empty(value: Any) -> bool:
    return value is MISSING or value is None or (isinstance(value, str) and not value.strip())


def _holds(record: Any, item: Any, tests: Iterable[Test]) -> bool:
    return all(_is_so(value_at(record, item, test.path), test) for test in tests)


def _is_so(value: Any, test: Test) -> bool:
    is_there = value is not MISSING and value is not None
    if test.exists is not None:
        return is_there is test.exists
    is_one = is_there and not isinstance(value, (dict, list)) and _plain(value) in (test.texts or ())
    return is_one is not test.negated


def _plain(value: Any) -> str:
    try:
        return "" if value is MISSING or value is None else text_of(value)
    except ValueError:
        return ""
