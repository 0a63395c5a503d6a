"""What the figures are measured by: the objective for endings, the weight of each tier, how long a glimpse of use is.

A review sets them among its thresholds under the name `figures`; the rest keeps the defaults that are stated here.
Called by the stages and by whoever checks the terms of a review.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from lapse.domain.data import Json
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.scope import ReviewScope

NAME = "figures"
"""What the figures are called among a review's thresholds, beside the ids of detectors."""

WEIGHT_PREFIX = "weight:"
OTHER_WEIGHT = 1.0
DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType({"0": 10.0, "1": 3.0, "2": 1.0})
"""By tier; every other tier, and what has none, weighs 1."""

_HIGHEST_WEIGHT = 1_000_000
_PERCENT = 100
_LONGEST_SECONDS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSettings:
    """`objective_share` of all endings are to be within `objective`. A use counts for at least `glimpse`."""

    objective: timedelta = timedelta(seconds=60)
    objective_share: float = 0.99
    glimpse: timedelta = timedelta(seconds=60)
    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))

    def weight(self, tier: str) -> float:
        """How much an hour of this tier counts in weighted figures."""
        return self.weights.get(tier, OTHER_WEIGHT)


def settings_of(scope: ReviewScope) -> FigureSettings:
    """The settings that a review has.

    Raises:
        InvalidInput: one of them is no figure that makes sense.
    """
    return read_settings(scope.thresholds.get(NAME, {}))


def read_settings(given: Mapping[str, Json]) -> FigureSettings:
    """Settings from thresholds: `objective_seconds`, `objective_percent`, `glimpse_seconds`, `weight:TIER`.

    Raises:
        InvalidInput: an unknown name, or a value that makes no sense.
    """
    weights, rest = dict(DEFAULT_WEIGHTS), dict[str, float]()
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _highest(name):
            raise InvalidInput(
                f"`{shown(name)}` of the figures cannot be {shown(repr(value))}",
                hint="they are `objective_seconds`, `objective_percent`, `glimpse_seconds` and `weight:TIER`",
            )
        if name.startswith(WEIGHT_PREFIX):
            weights[name.removeprefix(WEIGHT_PREFIX)] = float(value)
        else:
            rest[name] = float(value)
    plain = FigureSettings()
    return FigureSettings(
        objective=timedelta(seconds=rest.get("objective_seconds", plain.objective.total_seconds())),
        objective_share=rest.get("objective_percent", plain.objective_share * _PERCENT) / _PERCENT,
        glimpse=timedelta(seconds=rest.get("glimpse_seconds", plain.glimpse.total_seconds())),
        weights=weights,
    )


def _highest(name: str) -> float:
    """The largest value of a setting; below 0, so that nothing fits, for one that is not known."""
    if name.startswith(WEIGHT_PREFIX):
        return _HIGHEST_WEIGHT
    return {
        "objective_seconds": _LONGEST_SECONDS,
        "glimpse_seconds": _LONGEST_SECONDS,
        "objective_percent": _PERCENT,
    }.get(name, -1)
