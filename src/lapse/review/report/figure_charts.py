"""The geometry of the pictures of figures: exposure by tier, and over time. Templates draw it as SVG.

Across, everything is in percent of the picture; heights are pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lapse.review.figures.model import ExposureFigures, Hours, TierExposure
from lapse.review.report import words
from lapse.review.report.charts import Bar, Chart, Row

_ROW_HEAD, _BAR_STEP, _ROW_GAP = 22, 17, 14
_WIDEST = 56.0
_SLIMMEST = 0.4
_COLUMNS_HIGH = 150
_HEAD = 20
_FOOT = 22
_FILLED = 0.72
_INNER = 0.34
MOST_TIERS = 12
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a column: `x` and `width` in percent, `y` and `height` in pixels."""

    kind: str
    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text below the columns; `anchor` is start, middle or end of it."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeChart:
    """Columns over time, with the largest value `most` at its line on top."""

    parts: tuple[Part, ...]
    labels: tuple[Label, ...]
    most: str
    height: int
    base: int
    top: int
    description: str


def tier_chart(figures: ExposureFigures) -> Chart:
    """Standing, granted and used privilege-hours of each tier; the gravest first."""
    shown = figures.tiers[:MOST_TIERS]
    top = max((max(t.hours.standing, t.hours.granted, t.hours.used_most) for t in shown), default=0.0)
    height = _ROW_HEAD + 3 * _BAR_STEP + _ROW_GAP
    rows = tuple(_tier_row(tier, place * height, top) for place, tier in enumerate(shown))
    text = f"{words.count(len(shown), 'tier')}, each with standing, granted and used privilege-hours."
    return Chart(rows=rows, height=height * len(rows), description=text, hidden=len(figures.tiers) - len(shown))


def _tier_row(tier: TierExposure, y: int, top: float) -> Row:
    first, hours = y + _ROW_HEAD, tier.hours
    standing = _bar("standing", first, hours.standing, top, f"{words.hours(hours.standing)} standing")
    granted = _bar("granted", first + _BAR_STEP, hours.granted, top, f"{words.hours(hours.granted)} granted")
    used = _used(first + 2 * _BAR_STEP, hours, top)
    note = f"score {words.score(hours.score)}, weight {tier.weight:g}"
    return Row(y=y, title=words.tier(tier.tier), note=note, bars=(standing, granted, *used))


def _used(y: int, hours: Hours, top: float) -> tuple[Bar, ...]:
    """What was seen, and behind it, hatched, what may have been."""
    text = f"{words.hours_between(hours.used_least, hours.used_most)} used"
    seen = _bar("used", y, hours.used_least, top, "" if hours.used_most > hours.used_least else text)
    if hours.used_most <= hours.used_least:
        return (seen,)
    rest = _bar("unknown", y, hours.used_most - hours.used_least, top, text)
    return seen, Bar(kind=rest.kind, y=y, x=seen.width, width=rest.width, text=text)


def _bar(kind: str, y: int, value: float, top: float, text: str) -> Bar:
    width = max(_SLIMMEST, round(value / top * _WIDEST, 2)) if value > 0 and top else 0.0
    return Bar(kind=kind, y=y, width=width, text=text)


def time_chart(figures: ExposureFigures) -> TimeChart | None:
    """Permissions held at a time, standing ones below, with those in use in front; None where there is no course.

    Averages, so that parts of unlike length can be compared.
    """
    lengths = [(bucket.end - bucket.start).total_seconds() / _HOUR_S for bucket in figures.buckets]
    averages = [_average(hours, length) for hours, length in zip(figures.over_time, lengths, strict=False)]
    top = max((one.held for one in averages), default=0.0)
    if len(averages) < 2 or not top:  # noqa: PLR2004  one column shows no course
        return None
    slot = 100 / len(averages)
    parts = [part for place, one in enumerate(averages) for part in _column(one, place * slot, slot, top)]
    return TimeChart(
        parts=tuple(parts),
        labels=_labels(figures),
        most=f"{top:,.1f} permissions",
        height=_HEAD + _COLUMNS_HIGH + _FOOT,
        base=_HEAD + _COLUMNS_HIGH,
        top=_HEAD,
        description=(
            f"Permissions held at a time, on average, by {figures.unit}. Standing: {averages[0].standing:,.1f} in the "
            f"first, {averages[-1].standing:,.1f} in the last."
        ),
    )


def _average(hours: Hours, length: float) -> Hours:
    """How many permissions were held at a time in so many hours."""
    return Hours(
        standing=hours.standing / length,
        granted=hours.granted / length,
        held=hours.held / length,
        used_least=hours.used_least / length,
        used_most=hours.used_most / length,
    )


def _column(hours: Hours, x: float, slot: float, top: float) -> Sequence[Part]:
    wide, left = slot * _FILLED, x + slot * (1 - _FILLED) / 2
    thin, inner = slot * _INNER, x + slot * (1 - _INNER) / 2
    pieces = (
        ("standing", left, wide, 0.0, hours.standing),
        ("granted", left, wide, hours.standing, hours.held),
        ("used", inner, thin, 0.0, hours.used_least),
        ("unknown", inner, thin, hours.used_least, hours.used_most),
    )
    return [_part(kind, at, width, (low / top, high / top)) for kind, at, width, low, high in pieces if high > low]


def _part(kind: str, x: float, width: float, between: tuple[float, float]) -> Part:
    low, high = (share * _COLUMNS_HIGH for share in between)
    return Part(
        kind=kind,
        x=round(x, 3),
        width=round(width, 3),
        y=round(_HEAD + _COLUMNS_HIGH - high, 2),
        height=round(max(high - low, 0.5), 2),
    )


def _labels(figures: ExposureFigures) -> tuple[Label, ...]:
    """When the first, the middle and the last column begin."""
    count = len(figures.buckets)
    middle = count // 2
    slot = 100 / count
    return (
        Label(x=0, text=words.day(figures.buckets[0].start), anchor="start"),
        Label(x=round((middle + 0.5) * slot, 2), text=words.day(figures.buckets[middle].start), anchor="middle"),
        Label(x=100, text=words.day(figures.buckets[-1].start), anchor="end"),
    )
