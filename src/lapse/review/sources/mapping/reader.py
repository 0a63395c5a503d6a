"""Reads files by a mapping into evidence.

Guarantee: each record is used, skipped with the reason, or rejected; single events that gave and took access come out
as periods. Called by the kinds of sources `mapped` and `ocsf`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lapse.review.collection.identities import Hints
from lapse.review.evidence.columns import Kind
from lapse.review.sources.event_logs import LOG_OPTIONS, EventLog, tidy
from lapse.review.sources.files import name_below
from lapse.review.sources.mapping.inputs import ANY_NAME, NAMES, records_of
from lapse.review.sources.mapping.model import CHANGES, Rule, SourceMapping
from lapse.review.sources.mapping.rows import NOT_MAPPED, Made, identity_of, rows_of, why_skipped
from lapse.review.sources.periods import Changes
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options

READ_OPTIONS = {
    "resource": "name of the resource that all records are of, instead of what the mapping says",
    **LOG_OPTIONS,
}
PERIODS, USAGE, COVERAGE = "access_periods", "usage", "coverage"
_HAPPENED = (
    "started_at",
    "happened_at",
    "decided_at",
    "created_at",
    "observed_at",
    "from_at",
    "issued_at",
    "finished_at",
)
_WITH_FREE_TEXT = frozenset({USAGE, "sessions"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_RESOURCES = 10_000
_MOST_KNOWN = 100_000
_GIVEN, _TAKEN = "given", "taken"
_MARK = "\x1f"


def read_mapped(path: Path, mapping: SourceMapping, options: Options, reading: Reading) -> None:
    """Read the files of `path` by `mapping`. The tables must have been begun.

    Raises:
        InvalidInput: an option makes no sense, or there is no file of this kind.
    """
    log = EventLog(reading, options, table=mapping.tables[0])
    with closing(Changes()) as changes:
        reader = _Reader(log, mapping, changes, options.get("resource", "").strip())
        for file in log.files(path, NAMES.get(mapping.format, ANY_NAME)):
            name = name_below(path, file)
            for place, record in log.watched(records_of(file, name, mapping, log)):
                reader.take(place, record)
        reader.finish()


def covers_use(mapping: SourceMapping) -> bool:
    """Whether windows of coverage follow from the mapping: it has use, and says no windows itself."""
    return USAGE in mapping.tables and COVERAGE not in mapping.tables


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with rows of a rule. `times` are the columns that say when it happened."""

    times: tuple[str, ...]
    has_resource: bool
    has_source: bool
    wants_principal: bool
    has_free_text: bool


def _plan(rule: Rule) -> _Plan:
    columns = {column.name for column in rule.table.columns}
    return _Plan(
        times=tuple(name for name in _HAPPENED if rule.kinds.get(name) is Kind.TIME and name in rule.cells),
        has_resource="resource" in columns,
        has_source="source" in columns and "source" not in rule.cells,
        wants_principal={"principal", "account"} <= columns and "principal" not in rule.cells,
        has_free_text=rule.table.name in _WITH_FREE_TEXT,
    )


class _Reader:
    """Writes what records come to."""

    def __init__(self, log: EventLog, mapping: SourceMapping, changes: Changes, resource: str) -> None:
        self._log, self._mapping, self._changes, self._resource = log, mapping, changes, resource
        self._reading = log.reading
        self._resources: set[str] = set()
        self._begin: datetime | None = None
        self._plans = {id(rule): _plan(rule) for rule in mapping.rules}
        self._principals: dict[tuple[str, str, str], str | None] = {}

    def take(self, place: str, record: Mapping[str, Any]) -> None:
        """Write one record, or count why not."""
        reason = why_skipped(record, self._mapping)
        if reason:
            self._reading.skip(reason)
            return
        try:
            made = rows_of(record, self._mapping)
            for one in made:
                _check(one)
        except ValueError as error:
            self._log.reject(place, str(error))
            return
        if not made:
            self._reading.skip(NOT_MAPPED)
            return
        times = [self._time_of(one) for one in made]
        at = next((time for time in times if time is not None), _EPOCH)
        if self._log.is_new(at, *identity_of(record, self._mapping)):
            for one, time in zip(made, times, strict=True):
                self._write(one, time, place)
            self._reading.used()

    def finish(self) -> None:
        """Write what is known only at the end."""
        if PERIODS in self._mapping.tables:
            self._write_periods()
        if covers_use(self._mapping):
            self._log.cover(self._resources)
        self._log.finish()

    def _time_of(self, made: Made) -> datetime | None:
        """When what the row says happened."""
        times = self._plans[id(made.rule)].times
        return next((made.row[name] for name in times if made.row[name] is not None), None)

    def _write(self, made: Made, at: datetime | None, place: str) -> None:
        table, row, plan = made.rule.table, dict(made.row), self._plans[id(made.rule)]
        if at is not None:
            self._log.see(at, place)
            self._begin = min(at, self._begin or at)
        if self._resource and plan.has_resource:
            row["resource"] = self._resource
        if table is CHANGES:
            self._change(row, made.person)
            return
        if plan.has_free_text:
            row = {name: self._log.text(value) if isinstance(value, str) else value for name, value in row.items()}
        if plan.has_source:
            row["source"] = self._reading.source
        if plan.wants_principal:
            row["principal"] = self._principal(row, made.person)
        if table.name == USAGE and len(self._resources) < _MOST_RESOURCES:
            self._resources.add(row["resource"])
        self._reading.add(table.name, row)

    def _principal(self, row: Mapping[str, Any], person: str) -> str | None:
        resource, account = row.get("resource"), row.get("account")
        if resource is None or account is None:
            return None
        key = (resource, account, person)
        if key not in self._principals:
            if len(self._principals) >= _MOST_KNOWN:
                self._principals.clear()
            hints = Hints(session=tidy(person)) if person else None
            self._principals[key] = self._reading.principal(resource, account, hints)
        return self._principals[key]

    def _change(self, row: Mapping[str, Any], person: str) -> None:
        # Changes know accounts only; the resource, and who it is, go with the name.
        account = _MARK.join((row["resource"], row["account"], tidy(person)))
        if row["change"] == _GIVEN:
            self._changes.give(row["happened_at"], account, row["role"], row.get("changed_by") or "")
        else:
            self._changes.take(row["happened_at"], account, row["role"])

    def _write_periods(self) -> None:
        held = self._changes.held(self._begin)
        for period in held.periods():
            resource, account, person = [*period.account.split(_MARK, 2), "", ""][:3]
            row = {"resource": resource, "account": account, "role": period.role, "source": self._reading.source}
            times = {"from_at": period.since, "to_at": period.until, "changed_by": period.by or None}
            self._reading.add(PERIODS, row | times | {"principal": self._principal(row, person)})
            if not period.known:
                what = "access was taken away that the files do not show given: it is listed since they begin"
                self._log.notes.add(PERIODS, what, f"{account} {period.role}")
        if held.left_out:
            self._reading.gap(PERIODS, f"{held.left_out} holdings are more than can be followed")


def _check(made: Made) -> None:
    if made.rule.table is CHANGES and made.row["change"] not in {_GIVEN, _TAKEN}:
        raise ValueError("`access_changes.change` is neither `given` nor `taken`")
