"""PostgreSQL's csvlog: records that go over several lines, with the column sets of all versions since 8.4.

Guarantee: a record ends where its quotes do, so what a statement says can never pass for a line of the log. A record
that was cut off is rejected, and reading goes on with the next line that only a server can have written: inside of a
quoted text every quote is doubled, and the one that ends it comes before a comma; a user's name has neither. Called by
`reader`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lapse.review.sources.clocks import Clock
from lapse.review.sources.postgresql.fields import Numbered, csv_fields, csv_records
from lapse.review.sources.postgresql.lines import LogLine, check_session, clean, read_time

COLUMN_SETS = (22, 23, 24, 26)
"""Columns before 9.0, of 9.0 to 12, of 13, and of 14 to 18: each set is the one before with more at its end."""

_APPLICATION, _BACKEND = 22, 23
_BEGIN = re.compile(rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Za-z0-9+:<>-]{1,40},"[^",\r\n]')


def records(numbered: Iterable[Numbered]) -> Iterator[Numbered]:
    """(number of its first line, bytes) of each record of a csvlog; one without its end comes as `CutOff`."""
    return csv_records(numbered, _BEGIN)


def read_record(text: str, clock: Clock) -> LogLine:
    """The line that a record is.

    Raises:
        ValueError: it is none; the message says why.
    """
    fields = csv_fields(clean(text))
    if len(fields) not in COLUMN_SETS:
        raise ValueError(f"it has {len(fields)} columns, which no version of PostgreSQL writes")
    number = int(fields[6]) if fields[6].isascii() and fields[6].isdigit() else 0
    check_session(fields[5], number)
    address, _, port = fields[4].rpartition(":")
    return LogLine(
        format="csv",
        at=read_time(fields[0], clock),
        user=fields[1],
        database=fields[2],
        address=address if port.isdigit() else fields[4],
        session=fields[5],
        number=number,
        tag=fields[7],
        began=fields[8],
        transaction=fields[9],
        severity=fields[11],
        state=fields[12],
        message=fields[13],
        context=fields[18],
        query=fields[19],
        application=fields[_APPLICATION] if len(fields) > _APPLICATION else "",
        backend=fields[_BACKEND] if len(fields) > _BACKEND else "",
    )
