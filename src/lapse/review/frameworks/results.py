"""What a review says to each clause: met, findings, not assessed, or met only as far as it could be assessed. Pure.

Guarantee: a clause whose detectors were all not assessed is `not assessed`, never met, and one is called met only if
every detector that is evidence for it was assessed and found nothing. Called by whoever writes documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.reviews import Confidence, Finding, FindingState
from lapse.review.frameworks.catalog import Clause, Framework
from lapse.review.model import DetectorRun, ReviewResult, RunStatus


class Outcome(StrEnum):
    """What became of a clause. `PARTLY`: nothing was found, but some of its detectors could not be assessed."""

    MET = "met"
    FINDINGS = "findings"
    PARTLY = "partly assessed"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseResult:
    """One clause judged. `advice` of the `findings` are statistical, `accepted` on the register of exceptions.

    `assessed` and `blind` are the detectors that ran and that could not; `missing` are the tables that they lacked.
    """

    clause: Clause
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    assessed: tuple[DetectorRun, ...] = ()
    blind: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def advice(self) -> int:
        """How many of the findings are statistical."""
        return sum(finding.confidence is Confidence.ADVICE for finding in self.findings)

    @property
    def accepted(self) -> int:
        """How many of the findings are on the register of exceptions."""
        return sum(finding.state is FindingState.ACCEPTED for finding in self.findings)

    @property
    def sentence(self) -> str:
        """The outcome with what limits it, for people."""
        if self.outcome is Outcome.NOT_ASSESSED:
            return f"not assessed: no evidence in {', '.join(self.missing) or 'any of its tables'}"
        if self.outcome is Outcome.MET:
            return "met: every detector ran, and none found anything"
        limit = f"; not assessed: {', '.join(self.blind)}" if self.blind else ""
        if self.outcome is Outcome.PARTLY:
            return "nothing was found by those that ran" + limit
        notes = [f"{self.advice} statistical"] if self.advice else []
        notes += [f"{self.accepted} accepted as exceptions"] if self.accepted else []
        return _counted(len(self.findings)) + (f" ({', '.join(notes)})" if notes else "") + limit


def clause_results(result: ReviewResult, framework: Framework) -> tuple[ClauseResult, ...]:
    """Every clause of `framework` judged by what a review found."""
    runs = {run.detector: run for run in result.runs}
    by_detector: dict[str, list[Finding]] = {}
    for finding in result.findings:
        by_detector.setdefault(finding.detector, []).append(finding)
    return tuple(_judged(clause, runs, by_detector) for clause in framework.clauses)


def _judged(
    clause: Clause, runs: Mapping[str, DetectorRun], by_detector: Mapping[str, Iterable[Finding]]
) -> ClauseResult:
    found = tuple(finding for name in clause.detectors for finding in by_detector.get(name, ()))
    assessed = tuple(
        run for name in clause.detectors if (run := runs.get(name)) and run.status is not RunStatus.NOT_ASSESSED
    )
    ran = {run.detector for run in assessed}
    blind = tuple(name for name in clause.detectors if name not in ran)
    missing = sorted({table for name in blind if (run := runs.get(name)) for table in run.missing})
    return ClauseResult(
        clause=clause,
        outcome=_outcome(found=bool(found), assessed=bool(assessed), blind=bool(blind)),
        findings=found,
        assessed=assessed,
        blind=blind,
        missing=tuple(missing),
    )


def _outcome(*, found: bool, assessed: bool, blind: bool) -> Outcome:
    if found:
        return Outcome.FINDINGS
    if not assessed:
        return Outcome.NOT_ASSESSED
    return Outcome.PARTLY if blind else Outcome.MET


def _counted(number: int) -> str:
    return "1 finding" if number == 1 else f"{number:,} findings"
