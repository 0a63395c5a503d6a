"""The computing stages of a review over one snapshot, in order, in one engine. Called by the edges.

Each stage takes and returns a value, so that a review can stop after any of them and go on from what is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Self

from lapse.domain.reviews import FindingState
from lapse.ports import Engine
from lapse.review.adjust.stage import adjust
from lapse.review.audit import audit
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.changes import past_review, with_states
from lapse.review.detection.detector import Assessment, run_detectors
from lapse.review.detection.escalation import with_admin_paths
from lapse.review.figures.trend import trend
from lapse.review.items.people_scope import Stage, about, about_people, held_in_scope, people_in_scope
from lapse.review.model import (
    Adjustments,
    AuditResult,
    PastReview,
    ReviewResult,
    Snapshot,
    ValidationResult,
    WorkflowResult,
)
from lapse.review.roles.validation import validate_roles
from lapse.review.sql import ask
from lapse.review.validate import relink, validate
from lapse.review.workflows import derive, workflows

_ACCEPTED = """
SELECT finding, max(until) AS until FROM exceptions
WHERE finding IS NOT NULL AND owner IS NOT NULL AND until > $as_of
GROUP BY finding
ORDER BY finding
"""


class Stages:
    """A snapshot registered in an engine; `snapshot` grows by the tables that `workflows` derives."""

    def __init__(self, engine: Engine, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._engine = engine
        register_all(engine, snapshot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.close()

    def audit(self) -> AuditResult:
        """Step 2; derives `admin_paths` into the snapshot."""
        self.snapshot = with_admin_paths(self._engine, self.snapshot)
        register_all(self._engine, self.snapshot)
        return self._limited(audit(self._engine, self.snapshot))

    def validate(self, audited: AuditResult) -> ValidationResult:
        """Step 3: permissions, then roles."""
        result = self._limited(validate(self._engine, self.snapshot, audited))
        return replace(result, roles=validate_roles(self._engine, self.snapshot))

    def workflows(self) -> WorkflowResult:
        """Step 4; derives `rederivations` and `approver_sets` into the snapshot."""
        result, self.snapshot = workflows(self._engine, self.snapshot)
        return self._limited(result)

    def adjust(self) -> Adjustments:
        """Step 5."""
        return self._limited(adjust(self._engine, self.snapshot))

    def found(self) -> Assessment:
        """What every detector finds, with nothing else worked out; what is accepted is marked as that.

        Derives what the detectors read into the snapshot, as the steps do.
        """
        self.snapshot = with_admin_paths(self._engine, self.snapshot)
        register_all(self._engine, self.snapshot)
        before = run_detectors(self._engine, self.snapshot, (1, 2, 3))
        self.snapshot = derive(self._engine, self.snapshot)
        after = run_detectors(self._engine, self.snapshot, (4, 5, 6))
        people, accepted = people_in_scope(self._engine, self.snapshot), self._accepted()
        findings = (*before.findings, *after.findings)
        return Assessment(
            findings=tuple(
                replace(one, state=FindingState.ACCEPTED) if one.fingerprint in accepted else one
                for one in (findings if people is None else about(findings, people))
            ),
            runs=(*before.runs, *after.runs),
        )

    def _limited(self, result: Stage) -> Stage:
        """`result` with the findings about the people in scope."""
        return about_people(result, people_in_scope(self._engine, self.snapshot))

    def result(
        self,
        audited: AuditResult,
        validated: ValidationResult,
        examined: WorkflowResult,
        adjusted: Adjustments,
        past: Sequence[PastReview] = (),
    ) -> ReviewResult:
        """Everything in one value: items linked to the findings of all stages, findings compared with `past` ones."""
        findings = (*audited.findings, *validated.findings, *examined.findings, *adjusted.findings)
        result = ReviewResult(
            scope=self.snapshot.manifest.scope,
            snapshot=self.snapshot,
            audit=audited,
            validation=validated,
            workflows=examined,
            adjustments=adjusted,
            items=relink(validated.items, held_in_scope(self._engine, self.snapshot), findings),
        )
        marked = with_states(result, past, self._accepted())
        return replace(marked, trend=trend(self._engine, self.snapshot, past, past_review(marked)))

    def _accepted(self) -> Mapping[str, datetime]:
        """Fingerprints of findings that are on the register of exceptions, with when that ends."""
        rows = ask(self._engine, self.snapshot, _ACCEPTED, ["exceptions"])
        return {row["finding"]: row["until"] for row in rows}


def run_stages(
    new_engine: Callable[[], Engine],
    snapshot: Snapshot,
    on_stage: Callable[[str], None] = lambda _: None,
    past: Sequence[PastReview] = (),
) -> ReviewResult:
    """All stages on `snapshot`; `on_stage` is told the name of each as it begins. `past` are earlier reviews."""
    with Stages(new_engine(), snapshot) as stages:
        on_stage("audit")
        audited = stages.audit()
        on_stage("validate")
        validated = stages.validate(audited)
        on_stage("workflows")
        examined = stages.workflows()
        on_stage("adjust")
        adjusted = stages.adjust()
        return stages.result(audited, validated, examined, adjusted, past)
