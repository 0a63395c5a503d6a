"""Reading a source of files through the registry, the way a review does."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow.parquet as pq

from lapse.review.collection.identities import Identities, Rules
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.scope import parse_scope
from lapse.review.sources.reading import Reading
from lapse.review.sources.registry import read_source, source_of

NOW = datetime(2026, 10, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def people(**logins):
    """Rules by which `login="person"` is the only way to know anybody."""
    return Rules(logins={login: frozenset({person}) for login, person in logins.items()})


def read_as(kind, place, folder, rules=None, **options):
    """Everything that came of `place`: `report`, `problems` by text, `links`, and the rows of each table by name."""
    snapshot = folder / f"snapshot-{next(_numbers)}"
    writer = SnapshotWriter(snapshot, parse_scope("all", "2026-Q3"), NOW)
    identities = Identities(rules or Rules())
    reading = Reading(writer, kind, place.name, identities)
    read_source(source_of(kind), place, options, reading)
    report = reading.finish()
    writer.report(report)
    manifest = writer.finish(()).manifest
    tables = {name: pq.read_table(snapshot / f"{name}.parquet").to_pylist() for name in report.tables}
    assert report.records == report.used + report.rejected + sum(report.skipped.values())
    return SimpleNamespace(
        report=report,
        manifest=manifest,
        problems={problem.what: problem for problem in manifest.problems},
        links=list(identities.rows()),
        **tables,
    )


def short(rows, *names):
    """Only some columns of each row; with one name its values."""
    if len(names) == 1:
        return [row[names[0]] for row in rows]
    return [tuple(row[name] for name in names) for row in rows]
