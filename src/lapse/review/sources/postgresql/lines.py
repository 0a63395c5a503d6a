"""One line of a PostgreSQL log, whichever of the two formats it was written in, and what makes one sound.

Called by `csvlog` and `jsonlog`, which read text, and by whoever follows a log.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from lapse.review.sources.clocks import Clock

_TIME_END = 23
_START_END = 19
_SESSION = re.compile(r"[0-9a-f]{1,16}\.[0-9a-f]{1,8}", re.ASCII)
_SHAPE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? ", re.ASCII)
_UTC = " UTC"
_MOST_LINES = 1 << 62


class LogLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line. Texts are "" where the log has nothing; `format` is `csv` or `json`.

    `number` counts the lines of the session `session` in this format from 1. `tag` is what the process showed itself
    as doing (`SELECT`, `idle`, `authentication`), `context` is where in which function the message was made,
    `query` the statement that it is about, `transaction` the virtual transaction.
    """

    format: str
    at: datetime
    user: str
    database: str
    address: str
    session: str
    number: int
    tag: str
    began: str
    transaction: str
    severity: str
    state: str
    message: str
    context: str
    query: str
    application: str
    backend: str


def read_time(text: str, clock: Clock) -> datetime:
    """The instant of a time with milliseconds and a zone, such as `2026-01-02 03:04:05.678 UTC`.

    Raises:
        ValueError: it is none, or its zone is ambiguous.
    """
    return _read(text, _TIME_END, clock)


def read_start(text: str, clock: Clock) -> datetime:
    """The instant of a time in whole seconds with a zone, as sessions have for their start.

    Raises:
        ValueError: it is none, or its zone is ambiguous.
    """
    return _read(text, _START_END, clock)


def check_session(session: str, number: int) -> None:
    """Raise `ValueError` unless these can be the id of a session and the number of one of its lines."""
    if not _SESSION.fullmatch(session):
        raise ValueError("it has no session id")
    if not 0 < number < _MOST_LINES:
        raise ValueError("its line number is none")


def clean(text: str) -> str:
    """`text` with what no UTF-8 can hold replaced.

    Raises:
        ValueError: it has a NUL byte, which no server writes: part of the file was lost.
    """
    if "\0" in text:
        raise ValueError("it has NUL bytes, which no server writes")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _read(text: str, end: int, clock: Clock) -> datetime:
    if not _SHAPE.match(text) or len(text) <= end + 1 or text[end] != " ":
        raise ValueError("its time cannot be read")
    try:
        if text[end:] == _UTC:
            return datetime.fromisoformat(text[:end] + "+00:00")
        local = datetime.fromisoformat(text[:end])
    except ValueError:
        raise ValueError("its time cannot be read") from None
    return clock.read(local, text[end + 1 :])
