"""Figures as people read them. Called by the report's view and, as filters, by its templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from lapse.domain.data import Json
from lapse.domain.removals import GIVEN_BACK
from lapse.domain.reviews import Item, ItemDecision
from lapse.review.figures.model import UNTIERED

_MS_STEPS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_ALWAYS_WHOLE = 100
NONE = "\N{EN DASH}"


def count(number: int, thing: str, things: str = "") -> str:
    """`1 finding`, `12,345 findings`; `things` where the plural is not the singular with an s."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def hours(value: float) -> str:
    """Privilege-hours: whole ones with separators, small ones with a decimal."""
    if 0 < value < 0.1:  # noqa: PLR2004  the smallest that one decimal can show
        return "< 0.1 h"
    return f"{value:,.0f} h" if value == round(value) or value >= _ALWAYS_WHOLE else f"{value:,.1f} h"


def hours_between(least: float, most: float) -> str:
    """`12 h`, or `12 h to 41 h` where it is only known to be between."""
    return hours(least) if most <= least else f"{hours(least)} to {hours(most)}"


def score(value: float | None) -> str:
    """A score of 0 to 1 with two digits, never rounded up to 1; a dash where there is none."""
    return NONE if value is None else f"{value if value >= 1 else min(value, 0.99):.2f}"


def tier(name: str) -> str:
    """`tier 0`; `no tier` for what has no tag."""
    return "no tier" if name == UNTIERED else f"tier {name}"


def lag(ms: int) -> str:
    """Milliseconds in the largest unit that keeps two digits: `840 ms`, `2.4 s`, `3.3 min`, `12 d`."""
    for size, unit in _MS_STEPS:
        if abs(ms) >= size:
            value = ms / size
            return f"{value:.0f} {unit}" if value >= 10 or value == round(value) else f"{value:.1f} {unit}"  # noqa: PLR2004
    return f"{ms} ms"


def carried_out(item: Item) -> str:
    """How far the decision on an item is carried out; empty where there is nothing to do."""
    if item.decision is None or item.decision is ItemDecision.KEEP:
        return ""
    if item.carried_out_at or item.outcome == GIVEN_BACK:
        return "carried out" if item.carried_out_at else GIVEN_BACK
    if item.decision is ItemDecision.SHORTEN and item.until is None:
        return "left to the policy"
    return "not carried out yet"


def duration(value: timedelta | None) -> str:
    """`8 h`, `45 min`, `3 d 4 h`; `no maximum` for None."""
    if value is None:
        return "no maximum"
    minutes = round(value.total_seconds() / 60)
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    return " ".join(f"{size} {unit}" for size, unit in parts if size) or "0 min"


def day(at: datetime | None) -> str:
    """`3 Aug 2026`; a dash for None."""
    return f"{at.astimezone(UTC):%-d %b %Y}" if at else NONE


def moment(at: datetime | None) -> str:
    """`3 Aug 2026, 14:02 UTC`; a dash for None."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if at else NONE


def share(value: float) -> str:
    """A share of one as a percentage, never rounded up to 100."""
    percent = value * 100
    if value >= 1 or percent == round(percent):
        return f"{min(percent, 100):.0f} %"
    return f"{min(percent, 99.9):.1f} %"


def figure(value: float, unit: str) -> str:
    """A figure of a pattern in its unit."""
    if unit == "ms":
        return lag(round(value))
    if unit in {"share", "ratio"} and 0 <= value <= 1:
        return share(value)
    number = f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
    return f"{number} {unit}".strip()


def evidence_text(value: Json) -> str:
    """One field of an evidence row."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(evidence_text(part) for part in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {evidence_text(part)}" for name, part in value.items())
    return str(value)


def evidence_columns(rows: Iterable[Mapping[str, Json]]) -> list[str]:
    """Every field that any of the rows has, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def opened(text: str) -> str:
    """A text with a capital at its beginning, if it begins with a letter."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A text as a sentence: a capital at its beginning, a full stop at its end."""
    return f"{opened(text)}." if text and text[-1] not in ".!?" else opened(text)


def label(name: str) -> str:
    """A field's name as words: `promised_end` is `promised end`."""
    return name.replace("_", " ")
