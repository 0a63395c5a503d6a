"""Asking a snapshot that may lack tables: what is absent counts as empty, and only where the caller says so.

Called by detectors for their optional tables and by the stages, which state elsewhere what was absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lapse.ports import Engine
from lapse.review.detection.shared import with_heads
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import Kind
from lapse.review.model import Snapshot, SnapshotManifest

_SQL_TYPES = {Kind.TEXT: "VARCHAR", Kind.INT: "BIGINT", Kind.BOOL: "BOOLEAN", Kind.TIME: "TIMESTAMPTZ"}

ISLANDS = """
coverage_edges AS (
    SELECT resource, from_at, to_at,
        max(to_at) OVER (PARTITION BY resource ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM coverage
    WHERE complete
),
coverage_numbered AS (
    SELECT resource, from_at, to_at,
        sum(CASE WHEN covered_to >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY resource ORDER BY from_at, to_at) AS island
    FROM coverage_edges
),
islands AS (
    SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at
    FROM coverage_numbered GROUP BY resource, island
)"""
"""Common table expressions: `islands` are the longest windows in which every use of a resource is recorded."""


def with_absent(sql: str, tables: Iterable[str], manifest: SnapshotManifest) -> str:
    """`sql`, with each of `tables` that the snapshot lacks in front as an empty one, and the shared ones it names."""
    return with_heads(sql, [f"{name} AS ({_empty(name)})" for name in tables if name not in manifest.present])


def ask(
    engine: Engine, snapshot: Snapshot, sql: str, tables: Iterable[str], parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Rows of `sql` over the snapshot; `tables` are those it reads, absent ones counting as empty."""
    values = {**times(snapshot.manifest), **(parameters or {})}
    return engine.query(with_absent(sql, tables, snapshot.manifest), values)


def times(manifest: SnapshotManifest) -> Mapping[str, datetime]:
    """The parameters every query has: the period, and when the population was read."""
    period = manifest.scope.period
    return {"period_start": period.start, "period_end": period.end, "as_of": manifest.collected_at}


def _empty(name: str) -> str:
    columns = ", ".join(f"CAST(NULL AS {_SQL_TYPES[c.kind]}) AS {c.name}" for c in TABLES[name].columns)
    return f"SELECT {columns} WHERE FALSE"  # names and types are our own declaration
