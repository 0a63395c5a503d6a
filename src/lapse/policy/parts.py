"""The parts that rules are made of: names, durations, patterns and windows; used by all that is written of them."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, available_timezones

from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, check_text, shown
from lapse.policy.patterns import ANYONE, parse_party, parse_pattern
from lapse.policy.problems import nearest
from lapse.policy.shape import Found, Key, Many, Record, Sink, Text
from lapse.policy.windows import DAY_MINUTES, DAYS, Window

MOST_ITEMS = 100
MOST_WINDOWS = 20

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_DAYS = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
NAME_SCHEMA = {"pattern": "^[a-z0-9]([a-z0-9._@+-]{0,126}[a-z0-9])?$"}
_DURATION_SCHEMA = {"pattern": "^ *(P[0-9WDTHMS]+|([0-9]+ *[wdhms] *)+) *$", "examples": ["2h", "1h30m", "PT8H"]}


def _clock(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise InvalidInput(f"`{shown(text)}` is not a time of day", hint='write it as "22:00" (00:00 to 24:00)')
    return int(text[:2]) * 60 + int(text[3:])


def _days(text: str) -> tuple[int, ...]:
    match = _DAYS.fullmatch(text)
    if match is None:
        raise InvalidInput(f"`{shown(text)}` is not a day", hint="write `mon` to `sun`, or `mon-fri`")
    first = DAYS.index(match[1])
    last = DAYS.index(match[2] or match[1])
    return tuple((first + step) % 7 for step in range((last - first) % 7 + 1))


def _zone(text: str) -> str:
    try:
        if _ZONE.fullmatch(text):
            ZoneInfo(text)
            return text
    except (OSError, ValueError, LookupError):  # a missing zone is a LookupError, a folder an OSError
        pass
    close = nearest(text, available_timezones())
    raise InvalidInput(
        f"`{shown(text)}` is not a time zone",
        hint=close if close.startswith("did") else "write it as `Europe/Berlin` or `UTC`",
    )


def _prose(text: str) -> str:
    clean = check_text(text, what="text", longest=1_000)
    if not clean:
        raise InvalidInput("this text is empty")
    return clean


NAME = Text(lambda text: check_name(text, what="name of a rule"), NAME_SCHEMA)
PROSE = Text(_prose, {"minLength": 1, "maxLength": 1000})
DURATION = Text(parse_duration, _DURATION_SCHEMA)
CLOCK = Text(_clock, {"pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"})
ZONE = Text(_zone, {"examples": ["Europe/Berlin", "UTC"]})
PATTERNS = Many(
    Text(parse_pattern, {"pattern": "^(tag:.+=.+|[^/ ]+/[^/ ]+)$", "examples": ["pg-prod/reader", "tag:env=prod"]}),
    MOST_ITEMS,
    or_one=True,
)
PARTIES = Many(Text(parse_party, {"examples": [ANYONE, "group:dba", "alice"]}), MOST_ITEMS, or_one=True)


def _build_window(found: Found, sink: Sink) -> Window:
    start, end = found.get("from"), found.get("to")
    if start == DAY_MINUTES:
        raise sink.report(found.place_of("from"), "a window cannot begin at 24:00", 'write "00:00" and the next day')
    if start == end:
        raise sink.report(found.place_of("to"), "the window ends when it begins", "a whole day is 00:00 to 24:00")
    days = sorted({day for part in found.get("days", (tuple(range(7)),)) for day in part})
    return Window(days=tuple(days), start=start, end=end, timezone=found.get("timezone"))


WINDOW = Record(
    "a window",
    (
        Key(
            "days",
            Many(Text(_days, {"pattern": f"^{_DAYS.pattern.replace('?:', '')}$"}), 7, or_one=True),
            "On which days it begins: `mon` to `sun`, or ranges such as `mon-fri`; every day if left out.",
        ),
        Key("from", CLOCK, 'When it opens, as the clock there shows it, e.g. "22:00".', required=True),
        Key("to", CLOCK, 'When it closes, e.g. "06:00" (then on the next day) or "24:00".', required=True),
        Key("timezone", ZONE, "Whose clock it is.", required=True),
    ),
    _build_window,
)

WINDOWS = Many(WINDOW, MOST_WINDOWS)
