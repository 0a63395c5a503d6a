"""What each stage of a review takes and returns: frozen values that `domain.data.to_data` can spell.

The stages are `collect` -> `Snapshot`, `audit` -> `AuditResult`, `validate` -> `ValidationResult`,
`workflows` -> `WorkflowResult`, `adjust` -> `Adjustments`; `ReviewResult` bundles them for the report and the
pack. Nothing here holds a connection or a path that outlives the review's own folder. Times are UTC,
`*_hours` are privilege-hours (one permission held for one hour), `*_ms` are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lapse.domain.data import Json
from lapse.domain.reviews import Confidence, Finding, Item, ItemDecision, ReviewPlan, Severity, Usage
from lapse.review.adjust.model import NotProposed, PolicyProposal
from lapse.review.figures.model import (
    ApprovalFigures,
    ExpiryLag,
    ExposureFigures,
    KeyFigures,
    LagBucket,
    LagQuantile,
    TrendPoint,
)
from lapse.review.roles.model import RoleValidation
from lapse.review.scope import Period, ReviewScope

__all__ = [
    "ActiveGrant",
    "Adjustments",
    "AuditResult",
    "Coverage",
    "DetectorRun",
    "ExpiryLag",
    "Exposure",
    "LagBucket",
    "LagQuantile",
    "PastReview",
    "Pattern",
    "Period",
    "PolicyProposal",
    "Problem",
    "Rederivation",
    "ReviewResult",
    "ReviewScope",
    "RunStatus",
    "Snapshot",
    "SnapshotManifest",
    "SourceReport",
    "StandingAccess",
    "TableManifest",
    "ValidationResult",
    "WorkflowResult",
]


NO_TARGET = "the target was not read for this review"
"""Why nothing was observed of a resource that has no target at all."""


class Coverage(StrEnum):
    """How much of a population or window was really read."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with the evidence itself: a bad row, a gap, a count that does not reconcile."""

    table: str
    source: str
    what: str
    rows: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableManifest:
    """One evidence table of a snapshot.

    `coverage` ABSENT: nothing was collected, there is no file, and detectors that need it are not assessed.
    A table with 0 rows and COMPLETE coverage was read and is truly empty. `sha256` (hex) is over the file's
    bytes, `recount` a second, independent count of the source; None where the source offers none. `left_out`
    rows of the source are outside of scope or period, `rejected` ones could not be read.
    """

    table: str
    coverage: Coverage
    file: str = ""
    rows: int = 0
    sha256: str = ""
    source: str = ""
    query: str = ""
    recount: int | None = None
    rejected: int = 0
    left_out: int = 0
    gaps: tuple[str, ...] = ()

    @property
    def reconciled(self) -> bool:
        """Whether what was written agrees with the second count (true where there is none to compare)."""
        return self.recount is None or self.recount == self.rows + self.rejected + self.left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What became of every record of one source of files: `records` = `used` + `rejected` + all `skipped`.

    `place` is the name of the file or folder, `hashes` are SHA-256 (hex) by file, `first_at` to `last_at` is the time
    that its records are of, `skipped` counts records that are no evidence by reason.
    """

    kind: str
    place: str
    tables: tuple[str, ...]
    files: int
    bytes: int
    records: int
    used: int
    rejected: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotManifest:
    """Every table of the evidence, collected or not, and what was wrong with it.

    `detectors` are those of one's own that were given to the review: SHA-256 (hex) of their files, by id.
    """

    evidence_version: int
    scope: ReviewScope
    collected_at: datetime
    tables: tuple[TableManifest, ...]
    resources: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    sources: tuple[SourceReport, ...] = ()
    tool: str = ""
    detectors: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> TableManifest | None:
        """The manifest of one table."""
        return next((t for t in self.tables if t.table == name), None)

    @property
    def present(self) -> frozenset[str]:
        """Names of the tables that have a file."""
        return frozenset(t.table for t in self.tables if t.coverage is not Coverage.ABSENT)

    @property
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 (hex) of each file, by table."""
        return {t.table: t.sha256 for t in self.tables if t.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A frozen population: the folder with one Parquet file a table, and its manifest."""

    folder: str
    manifest: SnapshotManifest


class RunStatus(StrEnum):
    """What became of a detector."""

    FOUND = "found"
    CLEAR = "clear"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRun:
    """One detector of one review: that it ran, over what, or which table was missing (never a pass)."""

    detector: str
    version: str
    title: str
    question: str
    severity: Severity
    confidence: Confidence
    step: int
    status: RunStatus
    findings: int = 0
    missing: tuple[str, ...] = ()
    reason: str = ""
    caveats: tuple[str, ...] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    sql_sha256: str = ""
    clauses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveGrant:
    """A grant in force at the end of the period, with its time frame, role and task."""

    grant_id: str
    resource: str
    role: str
    account: str
    principal: str
    state: str
    starts_at: datetime
    ends_at: datetime | None
    task: str
    ticket: str = ""
    approved_by: tuple[str, ...] = ()
    usage: Usage = Usage.UNKNOWN
    last_used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAccess:
    """Access on a target that bypasses expiry: no end, or no grant behind it.

    `via` names the roles between account and role, outermost first. `explained_by` is the grant that covers
    it, if one does; `known_since` is the first time it was seen. `powers` are native ones (`superuser`).
    """

    resource: str
    account: str
    principal: str
    role: str
    via: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    admin_option: bool = False
    can_login: bool = False
    valid_until: datetime | None = None
    known_since: datetime | None = None
    explained_by: str = ""
    last_used: datetime | None = None
    usage: Usage = Usage.UNKNOWN
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Privilege-hours of one role in the period. `used_hours` is None where it is not known exactly."""

    resource: str
    role: str
    standing_hours: float
    granted_hours: float
    used_hours: float | None
    holders_standing: int
    holders_granted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """Step 2: who holds what now, until when, and what never expires."""

    active_grants: tuple[ActiveGrant, ...] = ()
    standing: tuple[StandingAccess, ...] = ()
    exposure: tuple[Exposure, ...] = ()
    figures: ExposureFigures | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    runs: tuple[DetectorRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """Step 3: one item for each active permission, ranked by risk (highest first), and each role against its use."""

    items: tuple[Item, ...] = ()
    by_usage: Mapping[Usage, int] = field(default_factory=dict)
    by_recommendation: Mapping[ItemDecision, int] = field(default_factory=dict)
    roles: RoleValidation | None = None
    findings: tuple[Finding, ...] = ()
    runs: tuple[DetectorRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rederivation:
    """One past request, decided again under the policy, context and catalog recorded at the time.

    `outcome` is `same`, `different` or `not derivable` (the record lacks what is needed: counted
    and listed, never a pass). `differences` says what differs in words.
    """

    request_id: str
    recorded: str
    derived: str
    outcome: str
    policy_version: str
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One figure about how requests and approvals went: `name` like `approval_wait_p50_ms`."""

    name: str
    title: str
    value: float
    unit: str
    population: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowResult:
    """Step 4: do past approvals re-derive, and does access end when promised? `lag[0]` is over everything."""

    rederived: int = 0
    same: int = 0
    different: tuple[Rederivation, ...] = ()
    not_derivable: tuple[Rederivation, ...] = ()
    lag: tuple[ExpiryLag, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    approvals: ApprovalFigures | None = None
    findings: tuple[Finding, ...] = ()
    runs: tuple[DetectorRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustments:
    """Step 5: proposed policy changes; `not_proposed` says what was looked at without one, and why."""

    proposals: tuple[PolicyProposal, ...] = ()
    not_proposed: tuple[NotProposed, ...] = ()
    findings: tuple[Finding, ...] = ()
    runs: tuple[DetectorRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastReview:
    """What later reviews must know of one: which detectors were `assessed` over which resources, what they found.

    `unread` says of resources whose target could not be read why not.
    """

    review_id: str
    at: datetime
    resources: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    assessed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    figures: KeyFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewResult:
    """All stages of one review. `items` are the validated ones with the findings of every stage linked.

    `gone` are findings of the review before that are not there any more: fixed, or not known where their detector
    could not be assessed. `canaries` are made-up items that measured attention; they are no part of `items`.
    """

    scope: ReviewScope
    snapshot: Snapshot
    audit: AuditResult
    validation: ValidationResult
    workflows: WorkflowResult
    adjustments: Adjustments
    items: tuple[Item, ...] = ()
    gone: tuple[Finding, ...] = ()
    trend: tuple[TrendPoint, ...] = ()
    canaries: tuple[Item, ...] = ()
    plan: ReviewPlan = field(default_factory=ReviewPlan)
    due_at: datetime | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding of every stage, worst first."""
        stages = (self.audit, self.validation, self.workflows, self.adjustments)
        order = list(Severity)
        found = [finding for stage in stages for finding in stage.findings]
        return tuple(sorted(found, key=lambda f: (order.index(f.severity), f.detector, f.subject)))

    @property
    def runs(self) -> tuple[DetectorRun, ...]:
        """Every detector run, in order of id."""
        stages = (self.audit, self.validation, self.workflows, self.adjustments)
        return tuple(sorted((run for stage in stages for run in stage.runs), key=lambda r: r.detector))

    @property
    def not_assessed(self) -> tuple[DetectorRun, ...]:
        """What could not be looked for, and why."""
        return tuple(run for run in self.runs if run.status is RunStatus.NOT_ASSESSED)
