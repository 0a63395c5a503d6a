"""The pass and fail cases of detectors, run on a real engine: how a detector is shown to do what it says.

A case gives a few rows, and the subjects that must be found. Columns that a case leaves out have a neutral value,
so that a case shows only what matters. Called by the tests and by whoever writes a detector of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.ports import Engine
from lapse.review.collection.imports import read_row
from lapse.review.collection.snapshot import SnapshotWriter, register_all
from lapse.review.detection.detector import Detector, run_detector
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import Kind, Table
from lapse.review.model import RunStatus
from lapse.review.scope import ReviewScope, parse_period

_NEUTRAL = {Kind.TEXT: "-", Kind.INT: "0", Kind.BOOL: "false", Kind.TIME: "2026-07-01T00:00:00Z"}
AS_OF = datetime(2026, 10, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A few rows and what must be found in them; `finds` () is a pass case."""

    name: str
    tables: Mapping[str, tuple[Mapping[str, str], ...]]
    finds: tuple[str, ...]
    parameters: Mapping[str, int]
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What a case came to; `found` are the subjects in the detector's order."""

    case: Case
    status: RunStatus
    found: tuple[str, ...]
    severities: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether exactly the wanted subjects were found, as severe as the case says."""
        severe = not self.case.severity or set(self.severities) == {self.case.severity}
        return sorted(self.found) == sorted(self.case.finds) and severe


def cases_of(detector: str) -> tuple[Case, ...]:
    """The cases of a detector that comes with lapse, in `detectors/cases/ID.yaml`."""
    file = files("lapse.review") / "detectors" / "cases" / f"{detector}.yaml"
    return read_cases(file.read_text("utf-8"), file.name)


def read_cases(text: str, name: str) -> tuple[Case, ...]:
    """The cases in `text`, the contents of a file called `name`.

    Raises:
        InvalidInput: it is not YAML, or not a list of cases; the message says which.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InvalidInput(f"`{shown(name)}` is not YAML: {shown(' '.join(str(error).split()), 200)}") from None
    if not isinstance(data, list) or not data:
        raise InvalidInput(f"`{shown(name)}` is no list of cases", hint="each has `name`, `tables` and perhaps `finds`")
    return tuple(_checked(entry, number, name) for number, entry in enumerate(data, start=1))


def _checked(entry: Any, number: int, name: str) -> Case:
    where = f"case {number} of `{shown(name)}`"
    if not isinstance(entry, dict) or not {"name", "tables"} <= entry.keys() or not isinstance(entry["tables"], dict):
        raise InvalidInput(f"{where} needs a `name` and `tables`")
    unknown = next((table for table in entry["tables"] if table not in TABLES), None)
    if unknown is not None:
        raise InvalidInput(f"{where} has a table `{shown(str(unknown))}`, which is no evidence table")
    for table, rows in entry["tables"].items():
        if not isinstance(rows or [], list) or not all(isinstance(row, dict) for row in rows or ()):
            raise InvalidInput(f"{where}: `{table}` is no list of rows")
        extra = next((c for row in rows or () for c in row if TABLES[table].column(str(c)) is None), None)
        if extra is not None:
            raise InvalidInput(f"{where}: `{table}` has no column `{shown(str(extra))}`")
    return _case(entry)


def run_case(new_engine: Callable[[], Engine], detector: Detector, case: Case, folder: Path) -> CaseResult:
    """Write the rows of `case` as a snapshot in `folder` and run the detector on it."""
    scope = ReviewScope(selector="all", period=parse_period("2026-Q3"), thresholds={detector.id: dict(case.parameters)})
    writer = SnapshotWriter(folder, scope, AS_OF)
    for name in (*detector.needs, *(group[0] for group in detector.one_of if not case.tables.keys() & set(group))):
        writer.begin(name, "case")
    for name, rows in case.tables.items():
        writer.begin(name, "case")
        writer.add(name, (_row(TABLES[name], row) for row in rows))
    snapshot = writer.finish(())
    engine = new_engine()
    try:
        register_all(engine, snapshot)
        findings, run = run_detector(engine, snapshot.manifest, detector)
    finally:
        engine.close()
    return CaseResult(
        case=case,
        status=run.status,
        found=tuple(f.subject for f in findings),
        severities=tuple(str(f.severity) for f in findings),
    )


def _case(entry: Mapping[str, Any]) -> Case:
    tables = {
        name: tuple({column: _text(value) for column, value in row.items()} for row in rows or ())
        for name, rows in entry["tables"].items()
    }
    return Case(
        name=entry["name"],
        tables=tables,
        finds=tuple(entry.get("finds", ())),
        parameters=entry.get("parameters", {}),
        severity=entry.get("severity", ""),
    )


def _row(table: Table, cells: Mapping[str, str]) -> Mapping[str, Any]:
    neutral = {column.name: _NEUTRAL[column.kind] for column in table.columns if column.required}
    return read_row(table, {**neutral, **cells})


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.isoformat()
    return "" if value is None else str(value)
