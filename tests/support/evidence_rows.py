"""A few rows as a snapshot, registered in a real engine: what a part of the review needs to be asked."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.snapshot import SnapshotWriter, register_all
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import Kind
from lapse.review.scope import ReviewScope, parse_period

AS_OF = datetime(2026, 10, 1, tzinfo=UTC)
_NEUTRAL = {Kind.TEXT: "-", Kind.INT: 0, Kind.BOOL: False, Kind.TIME: datetime(2026, 7, 1, tzinfo=UTC)}


def snapshot_of(folder, tables, *, period="2026-Q3", as_of=AS_OF, selector="all", thresholds=None):
    """The snapshot of `tables` (rows by table; what a row leaves out is neutral or null) in `folder`."""
    scope = ReviewScope(selector=selector, period=parse_period(period), review_id="rev_1", thresholds=thresholds or {})
    writer = SnapshotWriter(folder, scope, as_of)
    for name, rows in tables.items():
        neutral = {column.name: _NEUTRAL[column.kind] for column in TABLES[name].columns if column.required}
        writer.begin(name, "test")
        writer.add(name, ({**neutral, **row} for row in rows))
    resources = {row["resource"] for rows in tables.values() for row in rows if row.get("resource")}
    return writer.finish(resources)


@contextmanager
def evidence(folder, tables, **more):
    """`(engine, snapshot)` of the rows in `tables`."""
    snapshot = snapshot_of(folder, tables, **more)
    engine = DuckDbEngine(threads=1)
    try:
        register_all(engine, snapshot)
        yield engine, snapshot
    finally:
        engine.close()
