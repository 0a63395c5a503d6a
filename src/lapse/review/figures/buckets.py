"""The parts of a period that figures over time are given for: weeks of a quarter, months of a year. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from lapse.review.figures.model import TimeBucket
from lapse.review.model import SnapshotManifest

WEEK, MONTH = "week", "month"
_LONGEST_BY_WEEK = timedelta(days=190)


def bounds_of(manifest: SnapshotManifest) -> tuple[datetime, datetime]:
    """The part of the period that was over when the population was read; empty for a period to come."""
    period = manifest.scope.period
    return period.start, max(period.start, min(period.end, manifest.collected_at))


def unit_of(manifest: SnapshotManifest) -> str:
    """Weeks for periods up to half a year, else months."""
    period = manifest.scope.period
    return WEEK if period.end - period.start <= _LONGEST_BY_WEEK else MONTH


def buckets_of(manifest: SnapshotManifest) -> tuple[TimeBucket, ...]:
    """The bounds, cut at the beginnings of weeks (Mondays) or months in UTC; together they are the whole."""
    start, end = bounds_of(manifest)
    edges = [start, *_edges(start, end, unit_of(manifest)), end]
    return tuple(TimeBucket(start=a, end=b) for a, b in pairwise(edges) if a < b)


def _edges(start: datetime, end: datetime, unit: str) -> Iterator[datetime]:
    day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = day - timedelta(days=day.weekday()) if unit == WEEK else day.replace(day=1)
    while (at := _next(at, unit)) < end:
        if at > start:
            yield at


def _next(at: datetime, unit: str) -> datetime:
    if unit == WEEK:
        return at + timedelta(days=7)
    return (at + timedelta(days=32)).replace(day=1)
