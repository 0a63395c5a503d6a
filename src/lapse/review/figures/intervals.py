"""Pieces of SQL about stretches of time, in the dialect that every engine of a review understands. Pure text.

Called by `exposure` and by whatever else adds up time that may overlap: what overlaps or touches counts once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from lapse.review.figures.model import TimeBucket

BOUNDS = """
bounds AS (
    SELECT CAST($period_start AS TIMESTAMPTZ) AS from_at,
        GREATEST(CAST($period_start AS TIMESTAMPTZ),
            LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))) AS to_at
)"""
"""The part of the period that was over when the population was read."""


def merged(source: str, into: str, keys: str) -> str:
    """Common table expressions: the rows of `source` with the same `keys` joined where they overlap or touch.

    `source` has the columns `keys` (a list as in SQL), `from_at` and `to_at`; so has `into`.
    """
    return f"""
{into}_edges AS (
    SELECT {keys}, from_at, to_at,
        max(to_at) OVER (PARTITION BY {keys} ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM {source}
    WHERE from_at < to_at
),
{into}_numbered AS (
    SELECT {keys}, from_at, to_at,
        sum(CASE WHEN reached >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY {keys} ORDER BY from_at, to_at) AS island
    FROM {into}_edges
),
{into} AS (
    SELECT {keys}, min(from_at) AS from_at, max(to_at) AS to_at
    FROM {into}_numbered GROUP BY {keys}, island
)"""  # noqa: S608  names of our own


def buckets_sql(buckets: Iterable[TimeBucket]) -> str:
    """A common table expression `buckets` with number, from_at and to_at; times of our own, spelled out."""
    rows = [f"({n}, {_time(b.start)}, {_time(b.end)})" for n, b in enumerate(buckets)]
    if not rows:
        return """
buckets AS (
    SELECT 0 AS number, from_at, to_at FROM bounds WHERE from_at < to_at
)"""
    listed = ",\n        ".join(rows)
    return f"""
buckets AS (
    SELECT number, from_at, to_at
    FROM (VALUES
        {listed}
    ) AS listed(number, from_at, to_at)
)"""  # noqa: S608  numbers and times of our own


def tag_sql(column: str, tag: str) -> str:
    """The value of `tag` in a column of `key=value` separated by `;`, empty if it has none."""
    return f"split_part(split_part(';' || COALESCE({column}, ''), ';{tag}=', 2), ';', 1)"


def _time(at: datetime) -> str:
    return f"CAST('{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' AS TIMESTAMPTZ)"
