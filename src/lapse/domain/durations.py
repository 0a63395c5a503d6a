"""Durations: ISO 8601 in data and API (`PT2H`), `2h30m` accepted from people.

Months and years are refused: their length depends on the calendar, and a grant's end must not.
Used by every edge that reads or shows a duration, and by the policy language.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

from lapse.domain import names
from lapse.domain.errors import InvalidInput

LONGEST = timedelta(days=366)
"""No grant, limit or time-out may be longer: beyond this it is not temporary."""

_ISO = re.compile(r"P(?:(\d{1,9})W|(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?)", re.ASCII)
_HUMAN = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def parse_duration(text: str, *, longest: timedelta = LONGEST) -> timedelta:
    """Read `PT2H30M` (ISO 8601) or `2h30m`; at least one second, at most `longest`.

    Raises:
        InvalidInput: not a duration, zero, or longer than `longest`.
    """
    compact = text.strip().replace(" ", "") if len(text) <= 64 else ""  # noqa: PLR2004  longest honest spelling
    match = _ISO.fullmatch(compact) or _HUMAN.fullmatch(compact)
    if match is None or not any(match.groups()):
        raise InvalidInput(f"`{names.shown(text)}` is not a duration", hint="write it as `2h30m` or `PT2H30M`")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        duration = timedelta.max
    return check_duration(duration, shown=text, longest=longest)


def check_duration(duration: timedelta, *, shown: str = "", longest: timedelta = LONGEST) -> timedelta:
    """Return `duration` if it is positive and at most `longest`, else raise `InvalidInput`."""
    name = names.shown(shown) or human_duration(duration)
    if duration <= timedelta(0):
        raise InvalidInput(f"`{name}` is not longer than zero", hint="ask for at least one second, e.g. `2h`")
    if duration > longest:
        most = f"{longest.days} days" if longest.days else human_duration(longest)
        raise InvalidInput(f"`{name}` is longer than {most}", hint="ask for a shorter time")
    return duration


def iso_duration(duration: timedelta) -> str:
    """ISO 8601 spelling in days, hours, minutes and seconds, e.g. `P1DT2H`; zero is `PT0S`.

    Nothing is lost: part seconds are a decimal fraction (`PT0.25S`), a negative duration has a leading `-`.
    """
    if duration < timedelta(0):
        return "-" + iso_duration(-duration)
    days, hours, minutes, seconds = _split(duration)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    whole = ((hours, "H"), (minutes, "M"), (f"{seconds}{fraction}" if fraction else seconds, "S"))
    clock = "".join(f"{n}{unit}" for n, unit in whole if n)
    date = f"{days}D" if days else ""
    return f"P{date}" + (f"T{clock}" if clock else "" if date else "T0S")


@lru_cache(maxsize=4096)
def human_duration(duration: timedelta) -> str:
    """Short spelling for people, e.g. `2h30m`; `0s` for less than a second, a leading `-` if negative."""
    if duration < timedelta(0):
        return "-" + human_duration(-duration)
    days, hours, minutes, seconds = _split(duration)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0s"


def _split(duration: timedelta) -> tuple[int, int, int, int]:
    total = duration.days * 86_400 + duration.seconds
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return days, hours, minutes, seconds
