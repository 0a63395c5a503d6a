"""When repeated access occurs: the instants at which each occurrence begins, right across clock changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.requests import Recurrence
from lapse.domain.times import format_time

MOST_OCCURRENCES = 60
FURTHEST = timedelta(days=90)
DAY_MINUTES = 24 * 60


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
