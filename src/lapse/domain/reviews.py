"""Reviews, findings, items and their decisions: what the six steps produce and people decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.data import Json
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class ReviewState(StrEnum):
    """How far a review is; each state is the last step done."""

    STARTED = "started"
    COLLECTED = "collected"
    AUDITED = "audited"
    VALIDATED = "validated"
    EXAMINED = "examined"
    ADJUSTED = "adjusted"
    SEALED = "sealed"


class ReviewEvent(StrEnum):
    """The six steps (scope is `start`)."""

    COLLECT = "collect"
    AUDIT = "audit"
    VALIDATE = "validate"
    WORKFLOWS = "workflows"
    ADJUST = "adjust"
    SEAL = "seal"


REVIEW_LIFE: Lifecycle[ReviewState, ReviewEvent] = Lifecycle(
    what="review",
    initial=frozenset({ReviewState.STARTED}),
    table={
        (ReviewState.STARTED, ReviewEvent.COLLECT): ReviewState.COLLECTED,
        (ReviewState.COLLECTED, ReviewEvent.AUDIT): ReviewState.AUDITED,
        (ReviewState.AUDITED, ReviewEvent.VALIDATE): ReviewState.VALIDATED,
        (ReviewState.VALIDATED, ReviewEvent.WORKFLOWS): ReviewState.EXAMINED,
        (ReviewState.EXAMINED, ReviewEvent.ADJUST): ReviewState.ADJUSTED,
        (ReviewState.ADJUSTED, ReviewEvent.SEAL): ReviewState.SEALED,
    },
)


class Severity(StrEnum):
    """How bad a finding is if it is true."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Confidence(StrEnum):
    """`FACT` is decidable from the record and may recommend revocation; `ADVICE` never does by itself."""

    FACT = "fact"
    ADVICE = "advice"


class Usage(StrEnum):
    """Three-valued: without complete coverage, not seen is `UNKNOWN`, never `UNUSED`."""

    USED = "used"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that one detector found. `fingerprint` is stable over reviews; `evidence` proves it."""

    fingerprint: str
    detector: str
    detector_version: str
    title: str
    severity: Severity
    confidence: Confidence
    subject: str
    summary: str
    would_clear: str
    remediation: str
    resource: str = ""
    principal: str = ""
    evidence: tuple[Mapping[str, Json], ...] = ()
    coverage: str = ""
    clauses: tuple[str, ...] = ()


class ItemDecision(StrEnum):
    """What a reviewer says of an item."""

    KEEP = "keep"
    SHORTEN = "shorten"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One permission a reviewer decides on: who holds what, why, how used, and what is recommended.

    `holding` says how it is held: `grant`, `standing` (no end or no grant), `inherited`.
    """

    id: str
    review_id: str
    resource: str
    account: str
    principal: str
    role: str
    holding: str
    usage: Usage
    usage_coverage: str
    recommendation: ItemDecision
    recommendation_reason: str
    risk: int
    grant_id: str | None = None
    since: Instant | None = None
    ends_at: Instant | None = None
    last_used: Instant | None = None
    purpose: str = ""
    findings: tuple[str, ...] = ()
    decision: ItemDecision | None = None
    decided_by: str = ""
    decided_at: Instant | None = None
    decision_reason: str = ""
    carried_out_at: Instant | None = None
    outcome: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One run of the review: scope, period and progress. Its snapshot and results are files in its folder."""

    id: str
    scope: str
    period: str
    period_start: Instant
    period_end: Instant
    started_by: str
    started_at: Instant
    state: ReviewState = ReviewState.STARTED
    title: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    sealed_at: Instant | None = None
    version: int = 0
