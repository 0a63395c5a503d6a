"""Reviews, findings, items and their decisions: what the six steps produce and people decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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


class FindingState(StrEnum):
    """What became of a finding from review to review.

    `OPEN` was there in the review before, `BACK` was there, then gone, and is there again. `ACCEPTED` is on the
    register of exceptions, with an owner and an end. `FIXED` was there in the review before, and its detector was
    assessed and does not find it any more; what could not be assessed is `UNKNOWN`, never fixed.
    """

    NEW = "new"
    OPEN = "open"
    ACCEPTED = "accepted"
    BACK = "back again"
    FIXED = "fixed"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row that one detector found. `fingerprint` is stable over reviews; `evidence` proves it.

    `first_found` is the earliest review that it was found in, as far as earlier ones are known.
    """

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
    state: FindingState = FindingState.NEW
    first_found: str = ""


class ItemDecision(StrEnum):
    """What a reviewer says of an item. `CANNOT_SAY` hands it to the next one in line; it decides nothing."""

    KEEP = "keep"
    SHORTEN = "shorten"
    NARROW = "narrow"
    REVOKE = "revoke"
    CANNOT_SAY = "cannot_say"


class Line(StrEnum):
    """Who reviews an item, in the order in which they are asked."""

    OWNER = "owner"
    MANAGER = "manager"
    FALLBACK = "fallback"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewers:
    """Some persons, any of whom may decide an item, and why they are asked."""

    line: Line
    persons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemVote:
    """What one person said of an item in one stage. `act`: what was said in one go has the same.

    `until` is how long it may be kept, or to when it is shortened; `narrow_to` is the narrower role.
    """

    decision: ItemDecision
    by: str
    at: Instant
    stage: int = 0
    reason: str = ""
    until: Instant | None = None
    narrow_to: str = ""
    act: str = ""
    by_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One permission a reviewer decides on: who holds what, why, how used, and what is recommended.

    `holding` says how it is held: `grant`, `standing` (no end or no grant), `inherited`. Items of the same `group` are
    one question. `asked` are those who may decide, in the order in which they are asked; `asking` says whose turn it
    is. `votes` are all that was said, the decision is that of the last stage. A `canary` is made up and plainly wrong:
    it measures attention, and nothing is ever carried out for it.
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
    group: str = ""
    asked: tuple[Reviewers, ...] = ()
    asking: int = 0
    stage: int = 0
    votes: tuple[ItemVote, ...] = ()
    until: Instant | None = None
    narrow_to: str = ""
    by_default: bool = False
    opened_at: Instant | None = None
    carry_out_by: Instant | None = None
    uses: int | None = None
    exposure_hours: int = 0
    peers: str = ""
    approval: str = ""
    would_lose: str = ""
    canary: bool = False
    told: tuple[str, ...] = ()
    version: int = 0

    @property
    def turn(self) -> tuple[str, ...]:
        """The persons whose turn it is to decide; nobody's where none is left who may."""
        return self.asked[self.asking].persons if self.asking < len(self.asked) else ()

    def voted(self, vote: ItemVote, stages: int) -> Item:
        """This item after `vote`, of a review with so many stages of decision."""
        if vote.decision is ItemDecision.CANNOT_SAY:
            return replace(self, votes=(*self.votes, vote), asking=self.asking + 1, version=self.version + 1)
        last = vote.by_default or vote.stage + 1 >= stages
        after = replace(self, votes=(*self.votes, vote), version=self.version + 1)
        if not last:
            return replace(after, stage=vote.stage + 1, asking=self.asking + 1)
        return replace(
            after,
            decision=vote.decision,
            decided_by=vote.by,
            decided_at=vote.at,
            decision_reason=vote.reason,
            until=vote.until,
            narrow_to=vote.narrow_to,
            by_default=vote.by_default,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPlan:
    """How a review is decided.

    `within` is the time to decide; what is undecided then gets `by_default` (None: it stays undecided, and says so).
    `fallback` is the party that is asked where there is neither owner nor manager. `stages` of decision follow one
    another, each by another person. An item whose reviewers have said nothing for `escalate_after` goes to the next in
    line. Revocations of standing access can be taken back for `reversible_for`, and must be carried out within
    `carry_out_within`. `canaries` made-up items are mixed in, chosen by `seed`.
    """

    within: timedelta = timedelta(days=14)
    by_default: ItemDecision | None = None
    fallback: str = ""
    stages: int = 1
    escalate_after: timedelta = timedelta(days=5)
    reversible_for: timedelta = timedelta(days=7)
    carry_out_within: timedelta = timedelta(hours=24)
    canaries: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """One person's signature under a sealed review: `person` is the human, `sealed` the SHA-256 they named."""

    by: str
    person: str
    at: Instant
    sealed: str
    note: str = ""


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
    plan: ReviewPlan = field(default_factory=ReviewPlan)
    due_at: Instant | None = None
    frameworks: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    schedule: str = ""
    sign_offs: tuple[SignOff, ...] = ()
    version: int = 0

    @property
    def signed(self) -> bool:
        """Whether two persons have signed what was sealed."""
        return len({one.person for one in self.sign_offs}) >= SIGNATURES

    def over(self, at: datetime) -> bool:
        """Whether the time to decide is over."""
        return self.due_at is not None and self.due_at <= at


SIGNATURES = 2
"""Distinct persons who must sign a sealed review."""
