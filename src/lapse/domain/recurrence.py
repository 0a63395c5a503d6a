"""When repeated access occurs: the instants at which each occurrence begins, right across clock changes. Pure.

Also how a repetition is written and read by people. Used by `control`, and by the edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.requests import Recurrence
from lapse.domain.times import format_time, parse_time

MOST_OCCURRENCES = 60
FURTHEST = timedelta(days=90)
DAY_MINUTES = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_LONGEST_DAYS = 40
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def occurrences(repeats: Recurrence, since: datetime) -> tuple[datetime, ...]:
    """The beginnings from `since` on, in UTC.

    A time of day that the clock skips comes as much later as it jumps (02:30 is 03:30 then); one that comes twice is
    its first.

    Raises:
        InvalidInput: there is none, there are more than 60, or the last is more than 90 days away.
    """
    _check(repeats, since)
    found = list(_all(repeats, since))
    if not found:
        raise InvalidInput("there is no such day before the end", hint="give a later `until`, or other days")
    if len(found) > MOST_OCCURRENCES:
        raise InvalidInput(f"these are {len(found)} occurrences, {MOST_OCCURRENCES} at most", hint="end it earlier")
    return tuple(found)


def _check(repeats: Recurrence, since: datetime) -> None:
    if not repeats.days or not set(repeats.days) <= set(range(7)) or not 0 <= repeats.at_minute < DAY_MINUTES:
        raise InvalidInput("the days or the time of day of the repetition are none")
    if repeats.until > since + FURTHEST:
        raise InvalidInput(
            f"the end {format_time(repeats.until)} is more than {FURTHEST.days} days away",
            hint="ask again nearer to the time",
        )


def _all(repeats: Recurrence, since: datetime) -> Iterator[datetime]:
    zone = _zone(repeats.timezone)
    day = since.astimezone(zone).date()
    last = repeats.until.astimezone(zone).date()
    clock = time(*divmod(repeats.at_minute, 60))
    while day <= last:
        begins = datetime.combine(day, clock, zone).astimezone(UTC)
        if day.weekday() in repeats.days and since <= begins <= repeats.until:
            yield begins
        day += timedelta(days=1)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise InvalidInput(f"`{shown(name)}` is not a time zone", hint="write it as `Europe/Berlin`") from None


def read_recurrence(days: str, at: str, timezone: str, until: str) -> Recurrence:
    """What people and programs write: `mon-fri` or `mon,wed`, `22:00`, `Europe/Berlin`, and a day or an RFC 3339 time.

    A day is meant with its last minute, there.

    Raises:
        InvalidInput: one of them is not what it should be.
    """
    zone = _zone(timezone)
    return Recurrence(days=_days(days), at_minute=_minute(at), timezone=timezone, until=_until(until, zone))


def recurrence_words(repeats: Recurrence) -> str:
    """The same for people, e.g. `mon-fri 22:00 Europe/Berlin until 2026-03-31 23:59`."""
    until = repeats.until.astimezone(_zone(repeats.timezone))
    hour, minute = divmod(repeats.at_minute, 60)
    return f"{_day_words(repeats.days)} {hour:02d}:{minute:02d} {repeats.timezone} until {until:%Y-%m-%d %H:%M}"


def _days(text: str) -> tuple[int, ...]:
    words = text.lower().replace(" ", "").split(",") if len(text) <= _LONGEST_DAYS else []
    found: set[int] = set()
    for word in words:
        first, dash, last = word.partition("-")
        if word == "daily":
            found |= set(range(7))
        elif first in DAYS and (last in DAYS if dash else not last):
            begin, end = DAYS.index(first), DAYS.index(last or first)
            found |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
        else:
            raise InvalidInput(f"`{shown(word)}` is no day", hint="write days as `mon-fri`, `sat,sun` or `daily`")
    if not found:
        raise InvalidInput(f"`{shown(text)}` names no day", hint="write days as `mon-fri`, `sat,sun` or `daily`")
    return tuple(sorted(found))


def _minute(text: str) -> int:
    match = _CLOCK.fullmatch(text.strip()) if len(text) <= _LONGEST_DAYS else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:  # noqa: PLR2004  a clock
        raise InvalidInput(f"`{shown(text)}` is not a time of day", hint="write it as `09:00`")
    return int(match[1]) * 60 + int(match[2])


def _until(text: str, zone: ZoneInfo) -> datetime:
    if not _DATE.fullmatch(text.strip()):
        return parse_time(text)
    try:
        day = date.fromisoformat(text.strip())
        return datetime.combine(day, time(23, 59, 59), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"`{shown(text)}` is not a day", hint="write it as `2026-03-31`") from None


def _day_words(days: tuple[int, ...]) -> str:
    if days == tuple(range(7)):
        return "daily"
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):  # noqa: PLR2004  two days are listed
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)
