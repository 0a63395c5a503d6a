"""Turns an iCalendar text into duties, in a process of its own: `python -m lapse.rotas.expanding FROM TO <text`.

Feeds come from elsewhere and can hold repetitions that never end; libraries follow them. A process can be ended, and
has limits of time and memory, whatever is in the text. It prints one JSON list; errors are one line on standard error.
Called by `calendar` alone, and not imported by it: the libraries are an optional extra.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

CPU_SECONDS = 6
MEMORY = 512 << 20
MOST_EVENTS = 5_000
LONGEST_NAME = 200
NOT_READ, TOO_MANY, NO_LIBRARY = 3, 4, 5


def main(arguments: list[str]) -> int:
    """Read standard input, write the duties between two instants to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    begin, end = (datetime.fromisoformat(text) for text in arguments[:2])
    zone = ZoneInfo(arguments[2])
    try:
        import icalendar  # noqa: F401  said apart from other failures
        import recurring_ical_events  # noqa: F401
    except ImportError:
        return _fail(NO_LIBRARY, "the libraries for iCalendar are not installed")
    try:
        found = duties(sys.stdin.buffer.read(), begin, end, zone)
    except _TooManyError:
        return _fail(TOO_MANY, f"it has more than {MOST_EVENTS} events in a few days")
    except Exception as error:  # noqa: BLE001  whatever the libraries raise on a broken feed
        return _fail(NOT_READ, f"it is not an iCalendar that can be read ({type(error).__name__})")
    sys.stdout.write(json.dumps(found))
    return 0


class _TooManyError(Exception):
    """More events than a rota has."""


def duties(text: bytes, begin: datetime, end: datetime, zone: tzinfo) -> list[dict[str, Any]]:
    """Everybody's duties between two instants; times without a zone are in `zone`."""
    import icalendar
    import recurring_ical_events

    calendar = icalendar.Calendar.from_ical(text)
    found: list[dict[str, Any]] = []
    for event in recurring_ical_events.of(calendar, skip_bad_series=False).between(begin, end):
        if len(found) == MOST_EVENTS:
            raise _TooManyError
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        begins = _instant(event["DTSTART"].dt, zone)
        found.append(
            {"begins": begins.isoformat(), "ends": _end(event, begins, zone).isoformat(), "names": _names(event)}
        )
    return found


def _end(event: Any, begins: datetime, zone: tzinfo) -> datetime:
    """When it is over: an event of a day without an end lasts that day (RFC 5545, 3.6.1)."""
    if "DTEND" in event:
        return _instant(event["DTEND"].dt, zone)
    if "DURATION" in event:
        lasting: timedelta = event["DURATION"].dt
        return begins + lasting
    start = event["DTSTART"].dt
    return begins if isinstance(start, datetime) else _instant(start + timedelta(days=1), zone)


def _instant(value: date | datetime, zone: tzinfo) -> datetime:
    """A floating time is on the clocks of the rota's zone; a date begins at midnight there."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    placed: datetime = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return placed.astimezone(UTC)


def _names(event: Any) -> list[list[str]]:
    """For each attendee the address and the name; without attendees the title of the event is the name."""
    attendees = event.get("ATTENDEE", [])
    people = [_attendee(one) for one in (attendees if isinstance(attendees, list) else [attendees])]
    named = [names for names in people if names]
    return named or [[str(event.get("SUMMARY", ""))[:LONGEST_NAME].strip()]]


def _attendee(one: Any) -> list[str]:
    if str(one.params.get("PARTSTAT", "")).upper() == "DECLINED":
        return []
    address = str(one)
    mail = address[7:] if address.lower().startswith("mailto:") else ""
    return [text[:LONGEST_NAME].strip() for text in (mail, str(one.params.get("CN", ""))) if text.strip()]


def _fail(code: int, message: str) -> int:
    sys.stderr.write(message + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
