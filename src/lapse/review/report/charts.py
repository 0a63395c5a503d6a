"""The geometry of the report's two pictures; templates draw it as SVG.

Widths are percentages of the picture, heights pixels: a picture fits a phone without its text getting smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lapse.review.model import ExpiryLag, Exposure, LagBucket, LagQuantile
from lapse.review.report import words

_BAR = 9
_BAR_STEP = 17
_ROW_HEAD = 22
_ROW_GAP = 14
_WIDEST = 58.0
_SLIMMEST = 0.4
MOST_ROLES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: `kind` chooses its look, `text` stands after it, `width` is in percent."""

    kind: str
    y: int
    width: float
    text: str
    x: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A group of bars under one heading; `note` stands at its right end."""

    y: int
    title: str
    note: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture: rows, height in pixels, what is not shown in it."""

    rows: tuple[Row, ...]
    height: int
    description: str
    hidden: int = 0
    bar_height: int = _BAR


def exposure_chart(exposure: Sequence[Exposure]) -> Chart:
    """Standing, granted and used privilege-hours of the roles with most of them."""
    ranked = sorted(exposure, key=lambda e: (-(e.standing_hours + e.granted_hours), e.resource, e.role))
    shown = ranked[:MOST_ROLES]
    top = max((max(e.standing_hours, e.granted_hours, e.used_hours or 0) for e in shown), default=0)
    height = _ROW_HEAD + 3 * _BAR_STEP + _ROW_GAP
    rows = tuple(_exposure_row(e, place * height, top) for place, e in enumerate(shown))
    worst = f" Most: {shown[0].resource}/{shown[0].role}." if shown else ""
    text = f"{words.count(len(shown), 'role')}, each with standing, granted and used privilege-hours.{worst}"
    hidden = len(ranked) - len(shown)
    return Chart(rows=rows, height=height * len(rows), description=text, hidden=hidden)


def _exposure_row(entry: Exposure, y: int, top: float) -> Row:
    first = y + _ROW_HEAD
    figures = (("standing", entry.standing_hours), ("granted", entry.granted_hours))
    held = [
        _bar(kind, first + place * _BAR_STEP, hours / top if top else 0, f"{words.hours(hours)} {kind}")
        for place, (kind, hours) in enumerate(figures)
    ]
    bars = (*held, _used_bar(entry, first + 2 * _BAR_STEP, top))
    note = f"{words.count(entry.holders_standing + entry.holders_granted, 'holder')}"
    return Row(y=y, title=f"{entry.resource} / {entry.role}", note=note, bars=bars)


def _used_bar(entry: Exposure, y: int, top: float) -> Bar:
    if entry.used_hours is None:
        return Bar(kind="unknown", y=y, width=_WIDEST / 3, text="use unknown")
    return _bar("used", y, entry.used_hours / top if top else 0, f"{words.hours(entry.used_hours)} used")


def _bar(kind: str, y: int, share: float, text: str) -> Bar:
    width = max(_SLIMMEST, round(share * _WIDEST, 2)) if share > 0 else 0.0
    return Bar(kind=kind, y=y, width=width, text=text)


def lag_chart(lag: ExpiryLag) -> Chart:
    """How late endings were, a row for each range, with the quantiles in the rows where they fall."""
    buckets = _between_first_and_last(lag.buckets)
    top = max((bucket.ended + bucket.not_ended for bucket in buckets), default=0)
    height = _ROW_HEAD + _BAR_STEP + 8
    marks = _marks(lag, buckets)
    rows, below = [], _before(lag.buckets, buckets)
    for place, bucket in enumerate(buckets):
        rows.append(_lag_row(bucket, below, place * height, top, marks[place]))
        below = bucket.upto_ms if bucket.upto_ms is not None else below
    text = (
        f"{words.count(lag.ended, 'ending')} by how late they were seen, "
        f"and {words.count(lag.not_ended, 'grant')} past the end and not seen to end."
    )
    return Chart(rows=tuple(rows), height=height * len(rows), description=text)


def _lag_row(bucket: LagBucket, below: int | None, y: int, top: int, note: str) -> Row:
    total, first = bucket.ended + bucket.not_ended, y + _ROW_HEAD
    ended = _bar("ended", first, bucket.ended / top if top else 0, "")
    open_width = max(_SLIMMEST * 3, bucket.not_ended / top * _WIDEST) if bucket.not_ended else 0.0
    text = f"{total:,}{_still_open(bucket)}"
    still = Bar(kind="open", y=first, x=ended.width, width=round(open_width, 2), text=text)
    return Row(y=y, title=_range(below, bucket.upto_ms), note=note, bars=(ended, still))


def _still_open(bucket: LagBucket) -> str:
    if not bucket.not_ended:
        return ""
    return f", {bucket.not_ended:,} of them still open" if bucket.ended else ", still open"


def _range(below: int | None, upto: int | None) -> str:
    if upto is None:
        return f"more than {words.lag(below)} late" if below is not None else "late"
    if upto <= 0:
        return "on time"
    return f"up to {words.lag(upto)} late"


def _between_first_and_last(buckets: Sequence[LagBucket]) -> tuple[LagBucket, ...]:
    full = [place for place, bucket in enumerate(buckets) if bucket.ended or bucket.not_ended]
    return tuple(buckets[full[0] : full[-1] + 1]) if full else ()


def _before(buckets: Sequence[LagBucket], shown: Sequence[LagBucket]) -> int | None:
    """The upper end of the range before the first shown one."""
    place = buckets.index(shown[0]) if shown else 0
    return buckets[place - 1].upto_ms if place else None


def _marks(lag: ExpiryLag, buckets: Sequence[LagBucket]) -> list[str]:
    marks: list[list[str]] = [[] for _ in buckets]
    for name, quantile in quantiles(lag):
        if quantile is not None and marks:
            marks[_place(quantile.ms, buckets)].append(f"{name} {quantile_text(quantile)}")
    return [" · ".join(texts) for texts in marks]


def _place(ms: int, buckets: Iterable[LagBucket]) -> int:
    places = list(buckets)
    return next((n for n, b in enumerate(places) if b.upto_ms is None or ms <= b.upto_ms), len(places) - 1)


def quantiles(lag: ExpiryLag) -> tuple[tuple[str, LagQuantile | None], ...]:
    """The quantiles by the names that people know."""
    return (("p50", lag.p50), ("p95", lag.p95), ("p99", lag.p99), ("max", lag.longest))


def quantile_text(quantile: LagQuantile | None) -> str:
    """`1.2 s`; `≥ 3 d` where the true one is at least that; a dash where there is none."""
    if quantile is None:
        return words.NONE
    return f"≥ {words.lag(quantile.ms)}" if quantile.lower_bound else words.lag(quantile.ms)
