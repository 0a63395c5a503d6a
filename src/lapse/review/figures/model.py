"""The values of a review's figures. Every figure says what it is over; what is not known is None, never 0.

Times are UTC, `*_ms` are milliseconds, shares and scores are 0..1. Called by the stages, the report and the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

UNTIERED = "untiered"
"""The tier of what has no tag `tier`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Privilege-hours: one permission (an account's role on a resource) held for one hour.

    `standing` was held without a grant behind it, `granted` under a grant, `held` either way (time that is both counts
    once). `used_least` was seen to be used; `used_most` adds what may have been: time without complete telemetry, and
    use of which it is not known which role it was. `score` is 1 - standing / held, None where nothing was held.
    """

    standing: float = 0.0
    granted: float = 0.0
    held: float = 0.0
    used_least: float = 0.0
    used_most: float = 0.0
    score: float | None = None

    @property
    def use_known(self) -> bool:
        """Whether the use is known but for what the telemetry rounds."""
        return self.used_most == self.used_least


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBucket:
    """A part of the period: `start` <= t < `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TierExposure:
    """One tier: its hours in the period and in each bucket, and how many permissions were held which way."""

    tier: str
    weight: float
    hours: Hours
    over_time: tuple[Hours, ...] = ()
    standing_permissions: int = 0
    granted_permissions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureFigures:
    """Exposure by tier and over time; gravest tier (largest weight) first. `weighted` hours are times their weight.

    `missing` says what was not collected, so that the figures are of the rest.
    """

    unit: str
    buckets: tuple[TimeBucket, ...] = ()
    tiers: tuple[TierExposure, ...] = ()
    total: Hours = field(default_factory=Hours)
    weighted: Hours = field(default_factory=Hours)
    over_time: tuple[Hours, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LagObjective:
    """Whether access ended in time: at least `share` of it within `within_ms` of its promised end.

    `reached` is the share that did (Kaplan-Meier, so that what has not ended counts); None where too much is still
    running to say. `met` is None then, too, unless the objective is missed whatever becomes of it.
    """

    within_ms: int
    share: float
    reached: float | None = None
    met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LagQuantile:
    """A quantile of the lag. `lower_bound`: so many have not ended yet that the true one is at least `ms`."""

    ms: int
    lower_bound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LagBucket:
    """How many endings were at most `upto_ms` late (and later than the bucket before); None is the rest."""

    upto_ms: int | None
    ended: int
    not_ended: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryLag:
    """Promised end to observed end, of one resource or (empty `resource`) of all.

    Quantiles are Kaplan-Meier: a grant past its end that has not been seen to end (`not_ended`) counts with
    the lag it has already, as a case that is still running, so that the worst cases do not drop out.
    """

    resource: str
    ended: int
    not_ended: int
    p50: LagQuantile | None = None
    p95: LagQuantile | None = None
    p99: LagQuantile | None = None
    longest: LagQuantile | None = None
    early: int = 0
    buckets: tuple[LagBucket, ...] = ()
    objective: LagObjective | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverSet:
    """How one set of approvers decided (or, `approvers` empty, all of them together).

    `asked` stages of requests of the period were put to it: `approved`, `denied`, `expired` undecided, the rest still
    open or cancelled. Times are from when the stage was open to its last vote. `approval_rate` is over its votes.
    """

    approvers: str
    asked: int
    approved: int = 0
    denied: int = 0
    expired: int = 0
    votes: int = 0
    approval_rate: float | None = None
    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFigures:
    """How requests of the period were decided, and whether the record gives the same answers again.

    `requests` are by state; `automatic` ones were approved with nobody asked, `break_glass` ones with nobody asked
    before. `p50_ms` and `p95_ms` are from the request to its end, for those that people decided. `escalated` is None
    where no ledger says whether stages were escalated. `rederived` counts every past request by the outcome of
    deciding it again.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    automatic: int = 0
    break_glass: int = 0
    escalated: int | None = None
    by_delegation: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None
    overall: ApproverSet = field(default_factory=lambda: ApproverSet(approvers="", asked=0))
    sets: tuple[ApproverSet, ...] = ()
    rederived: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All requests that were made in the period."""
        return sum(self.requests.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigures:
    """The few figures of one review that later ones are compared with; None is not known.

    `period_hours` is the time that they are over: periods differ, so hours are compared by their average.
    """

    period_hours: float | None = None
    standing_hours: float | None = None
    granted_hours: float | None = None
    used_least_hours: float | None = None
    used_most_hours: float | None = None
    score: float | None = None
    weighted_score: float | None = None
    lag_p95_ms: int | None = None
    lag_not_ended: int | None = None
    objective_met: bool | None = None
    decide_p50_ms: int | None = None
    decide_p95_ms: int | None = None
    approval_rate: float | None = None
    different: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """One review in the course of time; the last point is the review itself, whose decisions its items have.

    `decisions` counts items by what was decided; None where no record of them is left. `carried_out` of the `due`
    revocations were seen to be done. `figures` and `findings` (by severity) are None where its results are not kept.
    """

    review_id: str
    at: datetime
    period_start: datetime | None = None
    period_end: datetime | None = None
    resources: int = 0
    decisions: Mapping[str, int] | None = None
    by_default: int = 0
    due: int = 0
    carried_out: int = 0
    days_to_seal: float | None = None
    figures: KeyFigures | None = None
    findings: Mapping[str, int] | None = None
