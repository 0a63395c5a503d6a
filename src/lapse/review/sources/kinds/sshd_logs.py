"""Source `sshd-log`: who logged in to which host with SSH, from syslog files or the journal.

Guarantee: a window of `coverage` is complete only if the option says so and nothing in it was lost; it is never said
that every action is recorded, because sshd does not know them. Called by `registry`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812  it is a class

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.clocks import Clock, clock_of, flag, gap_of, taken_at
from lapse.review.sources.files import files_below, lines, name_below, opened
from lapse.review.sources.notes import Notes
from lapse.review.sources.openssh.calendar import Calendar, calendar_of
from lapse.review.sources.openssh.hosts import Hosts
from lapse.review.sources.openssh.logins import Alias, Login, Logins, Setting
from lapse.review.sources.openssh.syslog import Mark, read_line
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source
from lapse.review.sources.spill import Spill

_PEEKED = 1 << 16
_PEEKED_LINES = 100
_LAST = datetime.max.replace(tzinfo=UTC)
_YEARS = range(1990, 10_000)


@dataclass(frozen=True, slots=True)
class _Reader:
    """How lines are read: what the options say of them."""

    host: str
    clock: Clock
    year: int | None


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    years: Calendar | None


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the logs in `path`.

    Raises:
        InvalidInput: an option makes no sense, or there is no file.
    """
    reader = _Reader(options.get("host", "").strip(), clock_of(options), _year(options))
    ours = (one.strip() for one in options.get("ca", "").split(","))
    setting = Setting(
        hosts=Hosts(options),
        gap=gap_of(options),
        taken_at=taken_at(options),
        authorities=frozenset(one for one in ours if one),
    )
    complete, notes = flag(options, "complete"), Notes()
    with Spill(Login) as known, Spill(Alias) as aliases:
        logins = Logins(setting, reading, notes, known, aliases)
        for file in _files(path, reader, notes):
            _read_file(file, reader, logins)
        logins.finish()
        _cover(logins, complete=complete)
    notes.report(reading)


def _year(options: Options) -> int | None:
    text = options.get("year", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:5]) in _YEARS):
        raise InvalidInput(f"`{shown(text)}` is not a year", hint="write it as `2026`")
    return int(text)


def _files(path: Path, reader: _Reader, notes: Notes) -> list[_File]:
    """The files, those begun first being first."""
    found = []
    for file in files_below(path):
        name, years = name_below(path, file), calendar_of(file, reader.year)
        if years is not None and reader.year is None:
            what = "files with lines without a year: it was taken from the time the file was last changed"
            notes.add("", what, f"{name}: from {years.year}")
        found.append(_File(file, name, years))
    if not found:
        raise InvalidInput(f"`{shown(str(path), 200)}` has no file in it")
    return sorted(found, key=lambda file: (_begun(file, reader), file.name))


def _begun(file: _File, reader: _Reader) -> datetime:
    """When the first line that can be read was written."""
    years = Calendar(file.years.year) if file.years else None
    try:
        with opened(file.path) as stream:
            head = stream.read(_PEEKED).decode("utf-8", "replace").split("\n")
    except (OSError, EOFError, ZlibError):
        return _LAST
    return next(_times(head, reader, years), _LAST)


def _times(head: list[str], reader: _Reader, years: Calendar | None) -> Iterator[datetime]:
    for text in islice(head, _PEEKED_LINES):
        try:
            yield read_line(text.rstrip("\r"), reader.host or "h", reader.clock, years).at
        except ValueError:
            continue


def _read_file(file: _File, reader: _Reader, logins: Logins) -> None:
    reading = logins.reading
    lost = reading.rejected
    for number, text in lines(file.path, file.name, reading):
        try:
            entry = read_line(text, reader.host, reader.clock, file.years)
        except Mark:
            reading.skip("a mark of journalctl")
            continue
        except ValueError as error:
            reading.reject(f"{file.name}:{number}", str(error))
            continue
        if reading.rejected != lost:
            _lose(logins)
        try:
            logins.take(entry)
        except ValueError as error:
            reading.reject(f"{file.name}:{number}", str(error))
        lost = reading.rejected
    if reading.rejected != lost:
        _lose(logins)
    for windows in logins.windows.values():
        windows.new_file()


def _lose(logins: Logins) -> None:
    """A line that cannot be read may have been any host's."""
    for windows in logins.windows.values():
        windows.lose()


def _cover(logins: Logins, *, complete: bool) -> None:
    for resource, windows in sorted(logins.windows.items()):
        for (start, end), whole in windows.parts():
            row = {
                "resource": resource,
                "from_at": start,
                "to_at": end,
                "complete": complete and whole,
                "actions": False,
                "source": logins.reading.source,
            }
            logins.reading.add("coverage", row)


SOURCE = Source(
    kind="sshd-log",
    title="Logs of sshd (and sudo): syslog files or journalctl -o json",
    tables=("usage", "sessions", "coverage"),
    read=read,
    options={
        "resource": "name of the resource; `{host}` stands for the host. `ssh-{host}` if not given",
        "host": "host of lines that do not say it",
        "timezone": "zone of lines that do not say it (classic syslog has none), e.g. `UTC`",
        "year": "year of the last line of each file, where lines have none; that of the file's change if not given",
        "complete": "`yes`: sshd logged at INFO or more throughout, and no log file is missing",
        "gap": "longest time without a line within one window; one hour if not given",
        "taken_at": "when the logs were taken; nothing in them can be later. Now, if not given",
        "ca": "fingerprints of lapse's CA, separated by commas: grants in certificates of others are not believed",
    },
)
