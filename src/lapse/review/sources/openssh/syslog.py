"""Lines of syslog and of the journal: time, host, program, process and message, in the four forms they are kept in.

Guarantee: a time without a year or a zone is completed by what is stated, or refused. Lines of the journal that name
themselves after a program that did not write them are told apart. Called by the kind `sshd-log`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import msgspec

from lapse.review.sources.clocks import Clock
from lapse.review.sources.openssh.calendar import MONTHS, Calendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROGRAM = r"(?:(?P<program>[^\s\[\]:]{1,64})(?:\[(?P<pid>\d{1,10})\])?: ?(?P<message>.*)|(?P<other>.*))"
_HOST = r"(?:(?P<host>[^\s\[\]:]{1,255}|[0-9a-fA-F:.]{3,45}) )?"
_CLASSIC = re.compile(
    r"(?:<\d{1,3}>)?(?P<month>" + "|".join(MONTHS) + r") (?P<day>[ \d]\d) (?P<time>\d\d:\d\d:\d\d) " + _HOST + _PROGRAM,
    re.DOTALL,
)
_STAMP = r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
_ISO = re.compile(r"(?:<\d{1,3}>)?" + _STAMP + " " + _HOST + _PROGRAM, re.DOTALL)
_RFC5424 = re.compile(
    r"<\d{1,3}>1 " + _STAMP + r" (?P<host>\S{1,255}) (?P<program>\S{1,64}) (?P<pid>\S{1,128}) \S{1,32}"
    r" (?:-|(?:\[(?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*\])+)(?: (?P<message>.*))?",
    re.DOTALL,
)
_MARKS = ("-- Boot ", "-- Reboot --", "-- Journal begins", "-- Logs begin", "-- No entries", "-- cursor:")
_NO_TIME = "it does not begin with a time: sshd's own files (-e, -E) say neither when nor who"
_PLACES = ("/usr/", "/bin/", "/sbin/", "/opt/", "/nix/", "/run/current-system/")
_PROGRAMS = ("sshd", "sudo")


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `pid` is "" where it has none. `forged`: another program wrote it than it says; `user_id` is whose."""

    at: datetime
    host: str
    program: str
    pid: str
    message: str
    forged: bool = False
    user_id: str = ""


class Mark(ValueError):  # noqa: N818  it is no error
    """A line by which journalctl tells parts of its output apart."""


def read_line(text: str, host: str, clock: Clock, calendar: Calendar | None) -> LogEntry:
    """The entry in a line of text; `host` is taken where the line has none.

    Raises:
        Mark: it is no entry, and meant to be none.
        ValueError: it cannot be read; the message says why.
    """
    if "\0" in text:
        raise ValueError("it has NUL bytes, which no logger writes")
    if text.startswith("{"):
        return _journal(text, host)
    if text.startswith(_MARKS):
        raise Mark(text)
    classic = _CLASSIC.fullmatch(text)
    if classic:
        return _entry(classic, _dated(classic, clock, calendar), host)
    found = _RFC5424.fullmatch(text) or _ISO.fullmatch(text)
    if found is None:
        raise ValueError(_NO_TIME)
    return _entry(found, _stamp(found["at"], clock), host)


def _entry(found: re.Match[str], at: datetime, host: str) -> LogEntry:
    pid = found["pid"] or ""
    return LogEntry(
        at=at,
        host=_known_host(found["host"] if found["host"] != "-" else "", host),
        program=found["program"] or "",
        pid=pid if pid.isascii() and pid.isdigit() else "",
        message=_clean((found["message"] or "").removeprefix("\ufeff")),
    )


def _dated(found: re.Match[str], clock: Clock, calendar: Calendar | None) -> datetime:
    if calendar is None:
        raise ValueError("its year is not known")
    month, day = MONTHS[found["month"]], int(found["day"])
    year = calendar.year_of(month, day)
    try:
        local = datetime.fromisoformat(f"{year:04d}-{month:02d}-{day:02d}T{found['time']}")
    except ValueError:
        raise ValueError(f"there is no such time in {year}") from None
    return clock.plain(local)


def _stamp(text: str, clock: Clock) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(",", "."))
        return clock.plain(at) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("its time is outside of the calendar") from None


def _known_host(found: str, stated: str) -> str:
    if not (found or stated):
        raise ValueError("it does not say of which host it is: give the option `host`")
    return found or stated


def _journal(text: str, host: str) -> LogEntry:
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is not an object of the journal: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("it is not an object of the journal")  # noqa: TRY004  what is wrong is the text
    program = _text(found, "SYSLOG_IDENTIFIER") or _text(found, "_COMM")
    return LogEntry(
        at=_journal_time(_text(found, "__REALTIME_TIMESTAMP")),
        host=_known_host(_text(found, "_HOSTNAME"), host),
        program=program,
        pid=_text(found, "_PID") or _text(found, "SYSLOG_PID"),
        message=_message(found.get("MESSAGE")),
        forged=program.startswith(_PROGRAMS) and not _wrote_it(found, program),
        user_id=_text(found, "_UID"),
    )


def _journal_time(text: str) -> datetime:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("its time cannot be read")
    try:
        return _EPOCH + timedelta(microseconds=int(text))
    except (OverflowError, ValueError):
        raise ValueError("its time is outside of the calendar") from None


def _message(found: Any) -> str:
    """Text; what is none is kept as a list of bytes, and what is too long for journalctl is left out by it."""
    if isinstance(found, str):
        return _clean(found)
    if isinstance(found, list) and all(isinstance(byte, int) and 0 <= byte <= 255 for byte in found):  # noqa: PLR2004
        return bytes(found).decode("utf-8", "replace").replace("\0", "\ufffd")
    raise ValueError("its message is left out, or is no text (journalctl --all shows it)")


def _wrote_it(found: dict[str, Any], program: str) -> bool:
    """The journal itself says which file ran; whoever writes to it only says what to be called."""
    wanted = "sudo" if program.startswith("sudo") else "sshd"
    file, command = _text(found, "_EXE"), _text(found, "_COMM")
    if file:
        return file.startswith(_PLACES) and PurePosixPath(file).name.startswith(wanted)
    return not command or command.startswith(wanted)


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"its field `{name}` is no text")  # noqa: TRY004  what is wrong is the text
    return _clean(value)


def _clean(text: str) -> str:
    if "\0" in text:
        raise ValueError("it has NUL bytes, which no logger writes")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
