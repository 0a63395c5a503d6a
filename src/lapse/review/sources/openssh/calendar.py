"""Years of syslog lines, which have none: counted from the last line of the file, whose year is known.

Called by `syslog` and the kind `sshd-log`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812  it is a class

from lapse.review.sources.files import bounded, opened

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_MONTH = "|".join(MONTHS).encode()
_BEGIN = re.compile(rb"(?:^(?:\xef\xbb\xbf)?|\n)(?:<\d{1,3}>)?(" + _MONTH + rb") ([ \d]\d) \d\d:\d\d:\d\d ")
_HALF_YEAR = 183
_DAYS = 31
_LEAP = 2024


class Calendar:
    """The year of each line of one file, in order. From December to January it goes up, and back if lines do."""

    def __init__(self, year: int = 0) -> None:
        self.year = year
        self.last: tuple[int, int] | None = None

    def year_of(self, month: int, day: int) -> int:
        """The year of a line of this day."""
        if self.last is not None:
            days = (month - self.last[0]) * _DAYS + day - self.last[1]
            self.year += (days < -_HALF_YEAR) - (days > _HALF_YEAR)
        self.last = month, day
        return self.year


def calendar_of(file: Path, year: int | None) -> Calendar | None:
    """The calendar of a file with lines without a year; None if it has none.

    `year` is that of its last line; None: the last in which that line is no later than the file's modification.
    """
    seen = Calendar()
    try:
        with opened(file) as stream:
            for number, piece in enumerate(bounded(stream, file)):
                for found in _BEGIN.finditer(piece):
                    seen.year_of(MONTHS[found[1].decode()], int(found[2]))
                if number == 0 and seen.last is None:
                    return None
    except (OSError, EOFError, ZlibError):
        pass  # what could be read is enough here; the reader says what is wrong
    if seen.last is None:
        return None
    last = year if year is not None else _last_year(file, seen.last)
    return Calendar(last - seen.year)


def _last_year(file: Path, last: tuple[int, int]) -> int:
    # A day more: the line's zone is not known here.
    latest = (datetime.fromtimestamp(file.stat().st_mtime, UTC) + timedelta(days=1)).date()
    month, day = last
    try:
        date(_LEAP, month, day)
    except ValueError:
        return latest.year
    return latest.year if (month, day) <= (latest.month, latest.day) else latest.year - 1
