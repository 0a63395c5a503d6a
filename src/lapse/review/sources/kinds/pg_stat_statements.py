"""Source `pg-stat-statements`: what each role ran between a reset of the statistics and an export of them.

Guarantee: it proves use, never the absence of use: the view forgets what it has no room for, so `coverage` is never
complete. Called by `registry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, shown
from lapse.domain.times import parse_time
from lapse.review.sources.clocks import taken_at
from lapse.review.sources.files import byte_lines, files_below, name_below
from lapse.review.sources.notes import Notes
from lapse.review.sources.postgresql.actions import Action, actions_of
from lapse.review.sources.postgresql.fields import CutOff, csv_fields, csv_records
from lapse.review.sources.postgresql.lines import clean
from lapse.review.sources.postgresql.reader import ODD, text_of
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source

EXPORT = """\\copy (
  select r.rolname, d.datname, now() as exported_at,
         (select stats_reset from pg_stat_statements_info) as stats_reset, s.*
  from pg_stat_statements s
  join pg_roles r on r.oid = s.userid
  left join pg_database d on d.oid = s.dbid
) to 'pg_stat_statements.csv' csv header"""
"""What to run in psql, on one line, as a member of `pg_read_all_stats`. Before version 14 without `stats_reset`."""

_NEEDED = ("rolname", "query", "calls")
_HIDDEN = "<insufficient privilege>"
_SUFFIXES = (".csv", ".csv.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    resource: str
    since: datetime | None
    taken_at: datetime


@dataclass(slots=True)
class _Export:
    """One file while it is read."""

    setting: _Setting
    reading: Reading
    notes: Notes
    written: datetime
    names: list[str] = field(default_factory=list)
    since: datetime | None = None
    until: datetime | None = None

    def take(self, text: str) -> None:
        """One record. Raises `ValueError` if it cannot be read; then nothing was done."""
        fields = csv_fields(clean(text))
        if not self.names:
            self._header([name.strip().lower() for name in fields])
            return
        if len(fields) != len(self.names):
            raise ValueError(f"it has {len(fields)} fields, and the header {len(self.names)}")
        self._statement(dict(zip(self.names, fields, strict=True)))

    def _header(self, names: list[str]) -> None:
        wrong = next((name for name in _NEEDED if names.count(name) != 1), None)
        if wrong:
            raise ValueError(f"it has no column `{wrong}`, or several: nothing of the file can be read")
        self.names = names

    def _statement(self, cells: Mapping[str, str]) -> None:
        since, until = self._window(cells)
        account, calls = cells["rolname"], cells["calls"]
        if not account or not (calls.isascii() and calls.isdigit()):
            raise ValueError("its role or its number of calls is none")
        if calls.strip("0") == "":
            self.reading.skip("a statement that was planned, and never run")
            return
        self._seen(since, until)
        for action in self._actions(cells["query"], account):
            self.reading.add("usage", self._row(account, since, until) | _what(action, cells.get("datname", "")))
        self.reading.used()

    def _window(self, cells: Mapping[str, str]) -> tuple[datetime, datetime]:
        known = [_time(cells[name]) for name in ("stats_since", "stats_reset") if cells.get(name)]
        since = known[0] if known else self.setting.since
        if since is None:
            raise ValueError("nothing says since when it was counted: give the option `since`")
        until = _time(cells["exported_at"]) if cells.get("exported_at") else self.written
        if since > until:
            raise ValueError("it was counted since a time after the export")
        return since, until

    def _seen(self, since: datetime, until: datetime) -> None:
        if until > self.setting.taken_at:
            self.notes.add("usage", "exports later than they were taken: a clock is wrong", f"{until}")
        self.reading.at(since)
        self.reading.at(until)
        self.since = min(self.since or since, since)
        self.until = max(self.until or until, until)

    def _actions(self, query: str, account: str) -> list[Action]:
        if query in {"", _HIDDEN}:
            what = "statements whose text was hidden from who exported them: use is known, not of what"
            self.notes.add("usage", what, f"by {account}")
            return [Action("")]
        actions, parsed = actions_of(query)
        if not parsed:
            self.notes.add("usage", "statements that could not be parsed: what they were done to is not known", query)
        return actions or [Action("")]

    def _row(self, account: str, since: datetime, until: datetime) -> dict[str, object]:
        return {
            "resource": self.setting.resource,
            "account": account,
            "started_at": since,
            "ended_at": until,
            "source": self.reading.source,
            "principal": self.reading.principal(self.setting.resource, account),
        }


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the exports in `path`.

    Raises:
        InvalidInput: an option makes no sense, `resource` is missing, or there is no export.
    """
    setting, notes = _setting(options), Notes()
    for file in _files(path, reading):
        written = min(datetime.fromtimestamp(file.stat().st_mtime, UTC), setting.taken_at)
        export = _Export(setting, reading, notes, written)
        _read_file(file, name_below(path, file), export)
        if export.since and export.until:
            row = {"resource": setting.resource, "from_at": export.since, "to_at": export.until}
            reading.add("coverage", row | {"complete": False, "actions": False, "source": reading.source})
    notes.report(reading)


def _setting(options: Options) -> _Setting:
    resource, since = options.get("resource", "").strip(), options.get("since", "").strip()
    if not resource:
        raise InvalidInput("the export does not say of which resource it is", hint="give the option `resource`")
    return _Setting(
        resource=check_name(resource, what="resource name"),
        since=parse_time(since) if since else None,
        taken_at=taken_at(options),
    )


def _files(path: Path, reading: Reading) -> list[Path]:
    if path.is_file():
        return [path]
    found = files_below(path)
    exports = [file for file in found if file.name.lower().endswith(_SUFFIXES)]
    if not exports:
        raise InvalidInput(f"`{shown(str(path), 200)}` has no `.csv` file in it", hint="export the view as CSV")
    others = [name_below(path, file) for file in found if file not in set(exports)]
    if others:
        reading.problem("", "files that are no CSV by their names were not read", rows=len(others), examples=others[:5])
    return exports


def _read_file(file: Path, name: str, export: _Export) -> None:
    odd = 0
    for number, data in csv_records(byte_lines(file, name, export.reading)):
        for text in _sound(data, f"{name}:{number}", export.reading):
            odd += text_of(data)[1]
            try:
                export.take(text)
            except ValueError as error:
                export.reading.reject(f"{name}:{number}", str(error))
        if not export.names:
            break
    if odd:
        export.reading.problem("", ODD, rows=odd, examples=[name])


def _sound(data: bytes, where: str, reading: Reading) -> Iterator[str]:
    if isinstance(data, CutOff):
        reading.reject(where, "the record is cut off: its quotes are never closed")
    elif data.strip():
        yield text_of(data)[0]


def _what(action: Action, database: str) -> dict[str, object]:
    return {"action": action.command or None, "object": action.name or database or None}


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{shown(text, 40)}` is not a time") from None
    if at.tzinfo is None:
        raise ValueError(f"`{shown(text, 40)}` has no time zone")
    return at.astimezone(UTC)


SOURCE = Source(
    kind="pg-stat-statements",
    title="PostgreSQL's pg_stat_statements, exported as CSV",
    tables=("usage", "coverage"),
    read=read,
    options={
        "resource": "name of the resource that the export is of; required",
        "since": "since when the statistics count, where the export has no column `stats_reset` or `stats_since`",
        "taken_at": "when the export was taken; nothing in it can be later. Now, if not given",
    },
)
