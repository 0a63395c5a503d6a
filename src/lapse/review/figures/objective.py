"""The objective for endings: was enough access gone soon enough after its promised end? Pure; called by `lag`.

The share is read off the same Kaplan-Meier curve as the quantiles: what is past its end and still there counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from lapse.review.figures.model import LagObjective

_ROUNDING = 1e-9


def judged(objective: LagObjective, curve: Sequence[tuple[int, float]], last_ms: int | None) -> LagObjective:
    """`objective` with what was reached.

    `curve` gives, at each lag (ms) at which something ended, the share still there after it; `last_ms` is the longest
    lag of all, None where nothing was due.
    """
    if last_ms is None:
        return objective
    still = next((share for ms, share in reversed(curve) if ms <= objective.within_ms), 1.0)
    reached = 1 - still
    enough = reached >= objective.share - _ROUNDING
    open_end = last_ms <= objective.within_ms and still > _ROUNDING
    if open_end and not enough:
        return LagObjective(within_ms=objective.within_ms, share=objective.share)
    return LagObjective(
        within_ms=objective.within_ms, share=objective.share, reached=round(max(0.0, reached), 6), met=enough
    )
