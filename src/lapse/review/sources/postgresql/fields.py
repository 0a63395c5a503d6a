"""CSV as PostgreSQL and pgaudit write it: records over several lines, fields of any length.

Called by `csvlog`, `audit` and the kind `pg-stat-statements`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from lapse.review.sources.files import LONGEST_LINE

Numbered: TypeAlias = tuple[int, bytes]
"""Number of a line, and its bytes."""

_FIELD = re.compile(r'"([^"]*(?:""[^"]*)*)"|([^",\r\n]*)')
_FIELD_LIMIT = csv.field_size_limit()


class CutOff(bytes):
    """A record whose end is not there."""


def csv_records(numbered: Iterable[Numbered], begins: re.Pattern[bytes] | None = None) -> Iterator[Numbered]:
    """(number of its first line, bytes) of each record: it ends where its quotes do.

    One that has no end comes as `CutOff`. `begins` matches what can only be the beginning of a record, and so ends it.
    """
    held: list[bytes] = []
    began = size = quotes = 0
    for number, line in numbered:
        if held and (size > LONGEST_LINE or (begins and begins.match(line))):
            yield began, CutOff(held[0])
            held, size, quotes = [], 0, 0
        if not held:
            began = number
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield began, b"\n".join((*held, line))
            held, size, quotes = [], 0, 0
        else:
            held.append(line)
            size += len(line) + 1
    if held:
        yield began, CutOff(held[0])


def csv_fields(text: str) -> list[str]:
    """The fields of a record.

    Raises:
        ValueError: it is none.
    """
    if len(text) >= _FIELD_LIMIT:
        return list(_long_fields(text))
    try:
        return next(csv.reader((text,), strict=True))
    except (csv.Error, StopIteration):
        raise _disorder() from None


def _long_fields(text: str) -> Iterator[str]:
    """The module `csv` bounds fields for the whole process; statements may be longer than that."""
    place = 0
    while True:
        found = _FIELD.match(text, place)
        if found is None:
            raise _disorder()
        yield found[1].replace('""', '"') if found[1] is not None else found[2]
        place = found.end()
        if place == len(text):
            return
        if text[place] != ",":
            raise _disorder()
        place += 1


def _disorder() -> ValueError:
    return ValueError("its quotes are not in order")
