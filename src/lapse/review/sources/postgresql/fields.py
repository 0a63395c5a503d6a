"""Fields of one CSV record as PostgreSQL and pgaudit write it, of any length. Called by `csvlog` and `audit`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

_FIELD = re.compile(r'"([^"]*(?:""[^"]*)*)"|([^",\r\n]*)')
_FIELD_LIMIT = csv.field_size_limit()


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
