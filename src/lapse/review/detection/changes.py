"""What became of findings from review to review: new, open, accepted, fixed, back again; and what differs between two.

A finding is fixed only where its detector was assessed over its resource and does not find it any more: not where the
target could not be read, nor, for what is about no resource, while any target could not. Pure; called by `stages` for
the newest review, by whoever compares two, and by `known` for looks between reviews.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from lapse.domain.reviews import Finding, FindingState, Severity
from lapse.review.figures.trend import key_figures
from lapse.review.model import (
    NO_TARGET,
    Adjustments,
    AuditResult,
    DetectorRun,
    PastReview,
    ReviewResult,
    RunStatus,
    SnapshotManifest,
    ValidationResult,
    WorkflowResult,
)

_Stage = TypeVar("_Stage", AuditResult, ValidationResult, WorkflowResult, Adjustments)
_ORDER = list(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDiff:
    """What differs between two reviews, worst first. `not_known` could not be assessed in the newer one."""

    old: str
    new: str
    appeared: tuple[Finding, ...] = ()
    fixed: tuple[Finding, ...] = ()
    not_known: tuple[Finding, ...] = ()
    still: tuple[Finding, ...] = ()
    graver: tuple[str, ...] = ()
    newly_assessed: tuple[str, ...] = ()
    no_longer_assessed: tuple[str, ...] = ()


def past_review(result: ReviewResult) -> PastReview:
    """What later reviews must know of this one. Evidence is left to its own record."""
    seen = seen_by(result.snapshot.manifest, result.runs, result.findings)
    return replace(seen, figures=key_figures(result))


def seen_by(manifest: SnapshotManifest, runs: Iterable[DetectorRun], findings: Iterable[Finding]) -> PastReview:
    """What is found in one snapshot, without any figures."""
    return PastReview(
        review_id=manifest.scope.review_id,
        at=manifest.collected_at,
        resources=manifest.resources,
        unread=_unread(manifest),
        assessed=tuple(run.detector for run in runs if run.status is not RunStatus.NOT_ASSESSED),
        findings=tuple(replace(finding, evidence=()) for finding in findings),
    )


def _unread(manifest: SnapshotManifest) -> dict[str, str]:
    """Resources of which a target should have been read and was not, with why."""
    observed = manifest.table("access_observed")
    read = set(observed.source.split("; ")) if observed is not None else set[str]()
    return {
        problem.source: problem.what
        for problem in manifest.problems
        if problem.table == "access_observed"
        and problem.source in manifest.resources
        and problem.what != NO_TARGET
        and f"target {problem.source}" not in read
    }


def what_became(now: PastReview, past: Sequence[PastReview], accepted: Collection[str]) -> tuple[Finding, ...]:
    """Every finding of `now`, and those that only the last of `past` had, each with its state.

    `accepted` are fingerprints on the register of exceptions that is in force.
    """
    marks = _Marks(past, accepted, now.review_id)
    return (*map(marks.on, now.findings), *(_gone(past[-1], now) if past else ()))


def with_states(result: ReviewResult, past: Sequence[PastReview], accepted: Mapping[str, datetime]) -> ReviewResult:
    """`result` with the state of every finding, given earlier reviews in the order of time.

    `accepted` are fingerprints on the register of exceptions that is in force.
    """
    marks = _Marks(past, accepted, result.scope.review_id)
    audit, validation = _marked(result.audit, marks), _marked(result.validation, marks)
    workflows, adjustments = _marked(result.workflows, marks), _marked(result.adjustments, marks)
    now = past_review(replace(result, audit=audit, validation=validation, workflows=workflows, adjustments=adjustments))
    return replace(
        result,
        audit=audit,
        validation=validation,
        workflows=workflows,
        adjustments=adjustments,
        gone=tuple(_gone(past[-1], now)) if past else (),
    )


def compare(old: PastReview, new: PastReview) -> ReviewDiff:
    """What differs between two reviews."""
    before = {finding.fingerprint: finding for finding in old.findings}
    gone = list(_gone(old, new))
    return ReviewDiff(
        old=old.review_id,
        new=new.review_id,
        appeared=_worst_first(f for f in new.findings if f.fingerprint not in before),
        fixed=_worst_first(f for f in gone if f.state is FindingState.FIXED),
        not_known=_worst_first(f for f in gone if f.state is FindingState.UNKNOWN),
        still=_worst_first(f for f in new.findings if f.fingerprint in before),
        graver=tuple(f.fingerprint for f in new.findings if _graver(before.get(f.fingerprint), f)),
        newly_assessed=tuple(sorted(set(new.assessed) - set(old.assessed))),
        no_longer_assessed=tuple(sorted(set(old.assessed) - set(new.assessed))),
    )


class _Marks:
    """The state of one finding after another."""

    def __init__(self, past: Sequence[PastReview], accepted: Collection[str], review_id: str) -> None:
        self._accepted, self._review_id = accepted, review_id
        self._last = {f.fingerprint for f in past[-1].findings} if past else set[str]()
        self._first: dict[str, str] = {}
        for review in past:
            for finding in review.findings:
                self._first.setdefault(finding.fingerprint, finding.first_found or review.review_id)

    def on(self, finding: Finding) -> Finding:
        key = finding.fingerprint
        return replace(finding, state=self._state(key), first_found=self._first.get(key, self._review_id))

    def _state(self, fingerprint: str) -> FindingState:
        if fingerprint in self._accepted:
            return FindingState.ACCEPTED
        if fingerprint in self._last:
            return FindingState.OPEN
        return FindingState.BACK if fingerprint in self._first else FindingState.NEW


def _marked(stage: _Stage, marks: _Marks) -> _Stage:
    return replace(stage, findings=tuple(marks.on(finding) for finding in stage.findings))


def _gone(old: PastReview, new: PastReview) -> Iterator[Finding]:
    """What `old` found and `new` does not, as far as `new` is about it."""
    there, assessed, covered = {f.fingerprint for f in new.findings}, set(new.assessed), set(new.resources)
    for finding in old.findings:
        if finding.fingerprint in there:
            continue
        if finding.resource and finding.resource not in covered and finding.resource in old.resources:
            continue
        known = finding.detector in assessed and not (
            finding.resource in new.unread if finding.resource else new.unread
        )
        yield replace(finding, state=FindingState.FIXED if known else FindingState.UNKNOWN)


def _graver(before: Finding | None, now: Finding) -> bool:
    return before is not None and _ORDER.index(now.severity) < _ORDER.index(before.severity)


def _worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (_ORDER.index(f.severity), f.detector, f.subject)))
