"""Expiry lag: how late access ended, with what has not ended yet counted as what it is. Pure.

Quantiles are Kaplan-Meier (product-limit) estimates: a grant past its end that nobody saw end is a right-censored
observation. Leaving such cases out, or counting them with the lag so far as if they had ended, would make the worst
ones look better. Called by `workflows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from lapse.review.figures.model import LagObjective
from lapse.review.figures.objective import judged
from lapse.review.model import ExpiryLag, LagBucket, LagQuantile

BUCKETS_MS = (10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000)


@dataclass(frozen=True, slots=True, order=True)
class Lag:
    """`count` grants with the same lag in ms; `running` ones have not ended, their lag is at least that."""

    ms: int
    running: bool = False
    count: int = 1


def expiry_lag(
    resource: str, lags: Iterable[Lag], *, early: int = 0, objective: LagObjective | None = None
) -> ExpiryLag:
    """The figures for one resource (or all, `resource` empty), judged by `objective`. Negative lags count as zero."""
    seen = sorted(Lag(max(0, lag.ms), lag.running, lag.count) for lag in lags)
    curve = _survival(seen)
    last = max((lag.ms for lag in seen), default=0)
    return ExpiryLag(
        resource=resource,
        ended=sum(lag.count for lag in seen if not lag.running),
        not_ended=sum(lag.count for lag in seen if lag.running),
        p50=_quantile(curve, 0.50, last),
        p95=_quantile(curve, 0.95, last),
        p99=_quantile(curve, 0.99, last),
        longest=_longest(seen),
        early=early,
        buckets=_buckets(seen),
        objective=None if objective is None else judged(objective, curve, seen[-1].ms if seen else None),
    )


def by_resource(
    lags: Mapping[str, Sequence[Lag]], early: Mapping[str, int], objective: LagObjective | None = None
) -> tuple[ExpiryLag, ...]:
    """The figures over everything first, then of each resource."""
    everything = [lag for some in lags.values() for lag in some]
    overall = expiry_lag("", everything, early=sum(early.values()), objective=objective)
    each = (expiry_lag(name, lags[name], early=early.get(name, 0), objective=objective) for name in sorted(lags))
    return (overall, *each)


def _survival(seen: Sequence[Lag]) -> list[tuple[int, float]]:
    """(lag, share still not ended just after it), at every lag at which something ended."""
    at_risk = sum(lag.count for lag in seen)
    surviving, curve = 1.0, list[tuple[int, float]]()
    for ms, group in groupby(seen, key=lambda lag: lag.ms):
        ended = running = 0
        for lag in group:
            running += lag.count * lag.running
            ended += lag.count * (not lag.running)
        if ended:
            surviving *= 1 - ended / at_risk
            curve.append((ms, surviving))
        at_risk -= ended + running
    return curve


def _quantile(curve: Sequence[tuple[int, float]], share: float, last: int) -> LagQuantile | None:
    if not curve and not last:
        return None
    # A product of fractions that should be exactly 1 - share may miss it by rounding.
    reached = next((ms for ms, surviving in curve if surviving <= 1 - share + 1e-9), None)
    return LagQuantile(ms=last, lower_bound=True) if reached is None else LagQuantile(ms=reached)


def _longest(seen: Sequence[Lag]) -> LagQuantile | None:
    if not seen:
        return None
    last = seen[-1].ms
    return LagQuantile(ms=last, lower_bound=any(lag.running for lag in seen if lag.ms == last))


def _buckets(seen: Sequence[Lag]) -> tuple[LagBucket, ...]:
    found, low = [], -1
    for high in (*BUCKETS_MS, None):
        inside = [lag for lag in seen if lag.ms > low and (high is None or lag.ms <= high)]
        found.append(
            LagBucket(
                upto_ms=high,
                ended=sum(lag.count for lag in inside if not lag.running),
                not_ended=sum(lag.count for lag in inside if lag.running),
            )
        )
        low = high if high is not None else low
    return tuple(found)
