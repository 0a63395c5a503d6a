"""Source `postgresql-log`: PostgreSQL's csvlog and jsonlog, with the records of pgaudit in them.

Guarantee: a window of `coverage` is complete only if the option says so, nothing in it was lost, and no session in it
contradicts that. Called by `registry`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name
from lapse.review.sources.clocks import clock_of, flag, gap_of, taken_at
from lapse.review.sources.files import name_below
from lapse.review.sources.notes import Notes
from lapse.review.sources.postgresql.following import Following, Setting
from lapse.review.sources.postgresql.periods import Changes
from lapse.review.sources.postgresql.reader import lines_of, log_files
from lapse.review.sources.postgresql.sessions import Session
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source
from lapse.review.sources.spill import Spill
from lapse.review.sources.windows import Windows


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the log files in `path`.

    Raises:
        InvalidInput: an option makes no sense, `resource` is missing, or there is no log.
    """
    setting, gap = _setting(options), gap_of(options)
    complete = flag(options, "complete")
    notes = Notes()
    with Spill(Session) as sessions, closing(Changes(notes)) as changes:
        following = Following(setting, reading, Windows(gap), notes, sessions, changes)
        for file in log_files(path, reading):
            _read_file(file, name_below(path, file), following)
        following.finish()
        _cover(following, complete=complete)
    notes.report(reading)


def _setting(options: Options) -> Setting:
    resource = options.get("resource", "").strip()
    if not resource:
        raise InvalidInput("the logs do not say of which resource they are", hint="give the option `resource`")
    gateways = (address.strip() for address in options.get("gateways", "").split(","))
    return Setting(
        resource=check_name(resource, what="resource name"),
        clock=clock_of(options),
        taken_at=taken_at(options),
        actions=flag(options, "actions"),
        gateways=frozenset(address for address in gateways if address),
    )


def _read_file(file: Path, name: str, following: Following) -> None:
    reading = following.reading
    lost = reading.rejected
    for line in lines_of(file, name, following.setting.clock, reading):
        if reading.rejected != lost:
            following.windows.lose()
        try:
            following.take(line)
        except ValueError as error:
            reading.reject(f"{name}: line {line.number} of session {line.session}", str(error))
            following.windows.lose()
        lost = reading.rejected
    if reading.rejected != lost:
        following.windows.lose()
    following.windows.new_file()


def _cover(following: Following, *, complete: bool) -> None:
    reading = following.reading
    for what, rows in _contradictions(following, complete=complete):
        reading.problem("coverage", what, rows=rows)
        complete = False
    recorded = following.setting.actions
    if recorded and following.logins and not following.actions:
        what = "the option says that every action is on record, but no statement is: it was not believed"
        reading.problem("coverage", what, rows=following.logins)
        recorded = False
    for (start, end), whole in following.windows.parts():
        row = {
            "resource": following.setting.resource,
            "from_at": start,
            "to_at": end,
            "complete": complete and whole,
            "actions": recorded and whole,
            "source": reading.source,
        }
        reading.add("coverage", row)


def _contradictions(following: Following, *, complete: bool) -> Iterator[tuple[str, int]]:
    """What shows that not every session was logged though the option says so."""
    if not complete:
        return
    unseen = sum(map(following.windows.within, following.unseen))
    if unseen:
        yield "sessions without a line of their login, though the option says that all are logged: not believed", unseen
    if following.others and not following.logins:
        yield "no line says who logged in, though the option says that all do: not believed", following.others


SOURCE = Source(
    kind="postgresql-log",
    title="PostgreSQL logs: csvlog, jsonlog, and pgaudit in them",
    tables=("usage", "sessions", "coverage", "access_periods"),
    read=read,
    options={
        "resource": "name of the resource that the logs are of; required",
        "complete": "`yes`: log_connections and log_disconnections were on throughout, and no log file is missing",
        "actions": "`yes`: every statement is in the logs, by pgaudit or log_statement = all",
        "timezone": "zone that the server writes its logs in (log_timezone), where that is not UTC",
        "gap": "longest time without a line within one window; one hour if not given",
        "taken_at": "when the logs were taken; nothing in them can be later. Now, if not given",
        "gateways": "addresses of lapse's gateways, separated by commas: grants are believed from there only",
    },
)
