"""Local times of logs as instants, by zone abbreviation and stated zone; what is ambiguous is refused, never guessed.

Called by sources whose logs are not written in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.times import parse_time
from lapse.review.sources.source import Options

_UTC = frozenset({"UTC", "GMT", "UCT", "Z"})
# A zone without a name of its own is written as its offset, east of Greenwich positive (tz database).
_OFFSET = re.compile(r"([+-])(\d\d)(?::?([0-5]\d))?", re.ASCII)
_LONGEST_NAME = 64
_DEFAULT_GAP = timedelta(hours=1)


class Clock:
    """Reads local times. `zone` is what the option `timezone` states; None is nothing."""

    def __init__(self, zone: ZoneInfo | None) -> None:
        self.zone = zone

    def read(self, local: datetime, abbreviation: str) -> datetime:
        """The instant of a naive `local` time that was written with `abbreviation`.

        Raises:
            ValueError: it is ambiguous, or no such time; the message says why.
        """
        if abbreviation in _UTC:
            return local.replace(tzinfo=UTC)
        fixed = _fixed(abbreviation)
        if fixed is not None:
            return _utc(local.replace(tzinfo=fixed))
        if self.zone is None:
            raise ValueError(
                f"`{shown(abbreviation)}` is the name of several time zones: say which by option `timezone`"
            )
        return self._named(local, abbreviation, self.zone)

    def plain(self, local: datetime) -> datetime:
        """The instant of a naive `local` time that was written without any zone.

        Raises:
            ValueError: no zone is stated, or the time is ambiguous or left out when clocks changed.
        """
        if self.zone is None:
            raise ValueError("the line does not say its time zone: say it by option `timezone`, e.g. `UTC`")
        first, second = (_utc(local.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        if first != second:
            raise ValueError("the clock was changed then, so that its time is ambiguous")
        return first

    @staticmethod
    def _named(local: datetime, abbreviation: str, zone: ZoneInfo) -> datetime:
        both = [local.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
        named = {_utc(at) for at in both if at.tzname() == abbreviation}
        # Zones that are written as an offset today had made-up names in older data.
        unnamed = {_utc(at) for at in both} if all(_fixed(at.tzname() or "") for at in both) else set()
        found = named or unnamed
        if len(found) != 1:
            raise ValueError(f"`{zone.key}` is not called `{shown(abbreviation)}` then: check the option `timezone`")
        return found.pop()


def clock_of(options: Options) -> Clock:
    """The clock that the option `timezone` states.

    Raises:
        InvalidInput: there is no such zone.
    """
    name = options.get("timezone", "").strip()
    if not name:
        return Clock(None)
    try:
        # Its names are paths of files: only those of the database are looked up.
        known = re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", name) and len(name) <= _LONGEST_NAME
        zone = ZoneInfo(name) if known else None
    except (OSError, ValueError, KeyError):
        zone = None
    if zone is None:
        raise InvalidInput(f"`{shown(name)}` is not a time zone", hint="write it as `Europe/Berlin` or `UTC`")
    return Clock(zone)


def taken_at(options: Options) -> datetime:
    """When the files were taken, by the option `taken_at`; not said is now. Nothing in them can be later.

    Raises:
        InvalidInput: it is not a time.
    """
    text = options.get("taken_at", "").strip()
    return parse_time(text) if text else datetime.now(UTC)


def gap_of(options: Options) -> timedelta:
    """The longest time without a line in which a log still goes on, by the option `gap`; not said is one hour.

    Raises:
        InvalidInput: it is not a duration.
    """
    text = options.get("gap", "").strip()
    return parse_duration(text) if text else _DEFAULT_GAP


def flag(options: Options, name: str) -> bool:
    """Whether the option `name` says `yes`.

    Raises:
        InvalidInput: it says neither `yes` nor `no`.
    """
    text = options.get(name, "no").strip().lower()
    if text not in {"yes", "no"}:
        raise InvalidInput(f"option `{name}` is `{shown(text)}`", hint="write `yes` or `no`")
    return text == "yes"


@lru_cache(maxsize=256)
def _fixed(abbreviation: str) -> timezone | None:
    match = _OFFSET.fullmatch(abbreviation)
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if size >= timedelta(hours=24):
        return None
    return timezone(-size if match[1] == "-" else size)


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside of the calendar") from None
