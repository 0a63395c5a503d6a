"""Detectors: SQL files with front matter, and what becomes of them on one snapshot.

Guarantee: a detector whose evidence is missing, or which found nothing in evidence that is incomplete, is `not
assessed`, never clear. A finding's fingerprint depends on detector, resource, principal and subject alone, so the
same problem keeps it from review to review. Called by the stages.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from lapse.domain.data import Json, from_data, to_data
from lapse.domain.errors import Corrupt, InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.domain.reviews import Confidence, Finding, Severity
from lapse.domain.times import format_time
from lapse.ports import Engine
from lapse.review.detection.shared import SOURCE, shared_in
from lapse.review.evidence import TABLES
from lapse.review.model import Coverage, DetectorRun, RunStatus, Snapshot, SnapshotManifest
from lapse.review.sql import times, with_absent

_FRONT = re.compile(r"/\*\n(.*?)\n\*/\n", re.DOTALL)
_ID = re.compile(r"[A-Z]{1,4}[0-9]{1,3}", re.ASCII)
OWN = "detectors"
"""Folder of a snapshot with the detectors of one's own that were given to the review."""
_MOST_EVIDENCE = 20
_SPELT: Mapping[type, Callable[[Any], Json] | None] = {
    str: None,
    int: None,
    bool: None,
    type(None): None,
    datetime: format_time,
}
"""How the usual values of rows are spelt (None: as they are), without trying one kind after the other."""
_COLUMNS = ("subject", "principal", "resource", "summary")
_SEVERITIES = frozenset(Severity)
_NO_EVIDENCE = frozenset({*_COLUMNS, "severity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A threshold: `default` is used unless the review sets another."""

    default: int
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One question to the evidence. `needs` tables must be there, `optional` ones count as empty if they are not.

    Of each group in `one_of` at least one must be there; the others of it count as empty. `text` is the whole file,
    `sql` the query in it: subject, principal, resource, summary, optionally severity, and then columns of evidence.
    """

    id: str
    version: str
    step: int
    title: str
    question: str
    severity: Severity
    confidence: Confidence
    needs: tuple[str, ...]
    optional: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    clauses: tuple[str, ...]
    remediation: str
    would_clear: str
    one_of: tuple[tuple[str, ...], ...] = ()
    sql: str = ""
    text: str = field(default="", repr=False)

    @property
    def spare(self) -> tuple[str, ...]:
        """Tables that count as empty where they are not there."""
        return (*self.optional, *(table for group in self.one_of for table in group))

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that it reads."""
        return (*self.needs, *self.spare)

    @property
    def sql_sha256(self) -> str:
        """SHA-256 (hex) of the SQL text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What some detectors found, and that they ran."""

    findings: tuple[Finding, ...] = ()
    runs: tuple[DetectorRun, ...] = ()


def parse_detector(text: str, name: str) -> Detector:
    """The detector in `text`, the contents of a file called `name`.

    Raises:
        InvalidInput: no front matter, or one that is not a detector's.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    match = _FRONT.match(text)
    if match is None:
        raise InvalidInput(f"`{shown(name)}` does not open with front matter between `/*` and `*/`")
    try:
        data = YAML(typ="safe", pure=True).load(io.StringIO(match[1]))
    except YAMLError as error:
        raise InvalidInput(f"the front matter of `{shown(name)}` is not YAML: {shown(str(error), 200)}") from None
    detector = replace(from_data(Detector, data), sql=text[match.end() :], text=text)
    unknown = [table for table in detector.tables if table not in TABLES]
    if unknown:
        raise InvalidInput(f"`{shown(name)}` needs `{shown(unknown[0])}`, which is not an evidence table")
    shared = next(shared_in(detector.sql), None)
    if shared is not None and SOURCE not in detector.tables:
        raise InvalidInput(f"`{shown(name)}` reads `{shared.name}`, which is made of `{SOURCE}`: it needs that")
    return detector


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Every detector that comes with lapse, ordered by id."""
    folder = files("lapse.review") / "detectors"
    found = [
        parse_detector(file.read_text("utf-8"), file.name) for file in folder.iterdir() if file.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda d: _order(d.id)))


def is_detector_id(text: str) -> bool:
    """Whether it is spelt like the id of a detector."""
    return _ID.fullmatch(text) is not None


def detectors_in(folder: Path) -> tuple[Detector, ...]:
    """Detectors of one's own: the `.sql` files of `folder`, ordered by id.

    Raises:
        NotFound: there is no such folder.
        InvalidInput: a file is no detector, or has an id that another one has.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder `{shown(str(folder), 200)}`", hint="`lapse detector new ID` makes one")
    found = [parse_detector(_text(file), file.name) for file in sorted(folder.glob("*.sql"))]
    known = {detector.id for detector in all_detectors()}
    for detector in found:
        if not is_detector_id(detector.id) or detector.id in known:
            taken = "is taken" if detector.id in known else "is no id"
            raise InvalidInput(f"`{shown(detector.id)}` {taken}", hint="an id is some capitals and a number, like X1")
        known.add(detector.id)
    return tuple(found)


def own_detectors(snapshot: Snapshot) -> tuple[Detector, ...]:
    """Detectors of one's own that were given to the review, as they were then.

    Raises:
        Corrupt: one is not as it was when the evidence was collected.
    """
    hashes, folder = snapshot.manifest.detectors, Path(snapshot.folder) / OWN
    found = detectors_in(folder) if hashes else ()
    for detector in found:
        text = (folder / f"{detector.id}.sql").read_bytes()
        if hashes.get(detector.id) != hashlib.sha256(text).hexdigest():
            raise Corrupt(f"detector {detector.id} is not the one that was given to the review")
    if len(found) != len(hashes):
        raise Corrupt("a detector that was given to the review is missing")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"`{shown(file.name)}` cannot be read: {error}") from None


def run_detectors(engine: Engine, snapshot: Snapshot, steps: Iterable[int]) -> Assessment:
    """Run the detectors of `steps`, the snapshot's own included, on a snapshot that is registered in `engine`."""
    wanted = set(steps)
    every = (*all_detectors(), *own_detectors(snapshot))
    results = [run_detector(engine, snapshot.manifest, d) for d in every if d.step in wanted]
    return Assessment(
        findings=tuple(finding for found, _ in results for finding in found),
        runs=tuple(run for _, run in results),
    )


def run_detector(
    engine: Engine, manifest: SnapshotManifest, detector: Detector
) -> tuple[tuple[Finding, ...], DetectorRun]:
    """What one detector finds; `NOT_ASSESSED` names the tables that are missing or incomplete."""
    parameters = _parameters(detector, manifest)
    missing = missing_tables(detector, manifest)
    run = _run(detector, manifest, parameters)
    if missing:
        names = ", ".join(f"`{table}`" for table in missing)
        return (), replace(run, missing=missing, reason=f"there is no evidence in {names}")
    try:
        rows = engine.query(with_absent(detector.sql, detector.spare, manifest), {**times(manifest), **parameters})
        findings = _findings(detector, manifest, _checked(rows))
    except InvalidInput as error:
        return (), replace(run, reason=f"it could not be run: {error.message}")
    lacking = _partial((*detector.needs, *(t for group in detector.one_of for t in group)), manifest)
    if lacking and not findings:
        return (), replace(run, missing=tuple(lacking), reason="; ".join(lacking.values()))
    status = RunStatus.FOUND if findings else RunStatus.CLEAR
    return findings, replace(run, status=status, findings=len(findings))


def _checked(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """`rows`, if they are what a detector gives; one of one's own may give anything."""
    for row in rows:
        if any(name not in row for name in _COLUMNS):
            raise InvalidInput(f"its SQL gives no column `{next(name for name in _COLUMNS if name not in row)}`")
        if not isinstance(row["subject"], str) or not isinstance(row["summary"], str):
            raise InvalidInput("subject and summary are texts in every row")
        if row.get("severity") is not None and row["severity"] not in _SEVERITIES:
            raise InvalidInput(f"`{shown(str(row['severity']))}` is no severity")
    return rows


def missing_tables(detector: Detector, manifest: SnapshotManifest) -> tuple[str, ...]:
    """The tables without which it cannot be assessed; a group of which any one would do is spelt `a or b`."""
    groups = [" or ".join(group) for group in detector.one_of if not manifest.present.intersection(group)]
    return (*(table for table in detector.needs if table not in manifest.present), *groups)


def fingerprint(detector: str, resource: str, principal: str, subject: str) -> str:
    """32 hex digits that stay the same for the same problem in every review."""
    parts = f"{detector}\x1f{resource}\x1f{principal}\x1f{subject}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _run(detector: Detector, manifest: SnapshotManifest, parameters: Mapping[str, Json]) -> DetectorRun:
    tables = detector.tables
    absent = [f"`{t}` is not there and counts as empty" for t in detector.spare if t not in manifest.present]
    return DetectorRun(
        detector=detector.id,
        version=detector.version,
        title=detector.title,
        question=detector.question,
        severity=detector.severity,
        confidence=detector.confidence,
        step=detector.step,
        status=RunStatus.NOT_ASSESSED,
        caveats=(*_partial(tables, manifest).values(), *absent),
        parameters=parameters,
        inputs={table: sha for table, sha in manifest.hashes.items() if table in tables},
        sql_sha256=detector.sql_sha256,
        clauses=detector.clauses,
    )


def _partial(tables: Iterable[str], manifest: SnapshotManifest) -> dict[str, str]:
    """Of `tables`, those that were not read completely, with why."""
    found = {}
    for name in tables:
        table = manifest.table(name)
        if table is not None and table.coverage is Coverage.PARTIAL:
            found[name] = f"`{name}` is incomplete: {'; '.join(table.gaps[:3])}"
    return found


def _parameters(detector: Detector, manifest: SnapshotManifest) -> dict[str, Json]:
    given = manifest.scope.thresholds.get(detector.id, {})
    values: dict[str, Json] = {name: parameter.default for name, parameter in detector.parameters.items()}
    for name, value in given.items():
        if name not in values or isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidInput(
                f"`{shown(name)}` of detector {detector.id} cannot be {shown(repr(value))}",
                hint=f"its parameters are whole numbers: {', '.join(values) or 'none'}",
            )
        values[name] = value
    return values


def _findings(detector: Detector, manifest: SnapshotManifest, rows: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """One finding a fingerprint; further rows of the same one are more evidence for it."""
    found: dict[str, Finding] = {}
    more: dict[str, list[dict[str, Json]]] = {}
    severities: dict[str | None, Severity] = {None: detector.severity, **{str(one): one for one in Severity}}
    same = partial(
        Finding,
        detector=detector.id,
        detector_version=detector.version,
        title=detector.title,
        confidence=detector.confidence,
        would_clear=detector.would_clear,
        remediation=detector.remediation,
        coverage=_coverage(detector, manifest),
        clauses=detector.clauses,
    )
    for row in rows:
        resource, principal, subject = row["resource"] or "", row["principal"] or "", row["subject"]
        key = fingerprint(detector.id, resource, principal, subject)
        if key in found:
            more.setdefault(key, []).append(_evidence(row))
            continue
        found[key] = same(
            fingerprint=key,
            severity=severities[row.get("severity")],
            subject=subject,
            summary=row["summary"],
            resource=resource,
            principal=principal,
            evidence=(_evidence(row),),
        )
    for key, rest in more.items():
        found[key] = replace(found[key], evidence=(*found[key].evidence, *rest)[:_MOST_EVIDENCE])
    return tuple(found.values())


def _evidence(row: Mapping[str, Any]) -> dict[str, Json]:
    return {
        name: value if (spelt := _SPELT.get(type(value), _json)) is None else spelt(value)
        for name, value in row.items()
        if name not in _NO_EVIDENCE
    }


def _coverage(detector: Detector, manifest: SnapshotManifest) -> str:
    names = (*detector.needs, *(name for group in detector.one_of for name in group))
    tables = [table for name in names if (table := manifest.table(name)) is not None and table.file]
    return ", ".join(f"{t.table}: {t.rows} rows, {t.coverage}" for t in tables)


def _json(value: Any) -> Json:
    try:
        return to_data(value)
    except TypeError:
        return str(value)


def _order(detector: str) -> tuple[str, int]:
    return detector[:1], int(detector[1:]) if detector[1:].isdigit() else 0
