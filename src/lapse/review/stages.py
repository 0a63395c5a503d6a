"""The computing stages of a review over one snapshot, in order, in one engine. Called by the edges.

Each stage takes and returns a value, so that a review can stop after any of them and go on from what is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from lapse.ports import Engine
from lapse.review.adjust import adjust
from lapse.review.audit import audit
from lapse.review.escalation import with_admin_paths
from lapse.review.holdings import holdings
from lapse.review.model import (
    Adjustments,
    AuditResult,
    ReviewResult,
    Snapshot,
    ValidationResult,
    WorkflowResult,
)
from lapse.review.snapshot import register_all
from lapse.review.validate import relink, validate
from lapse.review.workflows import workflows


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
        return audit(self._engine, self.snapshot)

    def validate(self, audited: AuditResult) -> ValidationResult:
        """Step 3."""
        return validate(self._engine, self.snapshot, audited)

    def workflows(self) -> WorkflowResult:
        """Step 4; derives `rederivations` and `approver_sets` into the snapshot."""
        result, self.snapshot = workflows(self._engine, self.snapshot)
        return result

    def adjust(self) -> Adjustments:
        """Step 5."""
        return adjust(self._engine, self.snapshot)

    def result(
        self,
        audited: AuditResult,
        validated: ValidationResult,
        examined: WorkflowResult,
        adjusted: Adjustments,
    ) -> ReviewResult:
        """Everything in one value, the items linked to the findings of all stages."""
        findings = (*audited.findings, *validated.findings, *examined.findings, *adjusted.findings)
        return ReviewResult(
            scope=self.snapshot.manifest.scope,
            snapshot=self.snapshot,
            audit=audited,
            validation=validated,
            workflows=examined,
            adjustments=adjusted,
            items=relink(validated.items, holdings(self._engine, self.snapshot), findings),
        )


def run_stages(
    new_engine: Callable[[], Engine], snapshot: Snapshot, on_stage: Callable[[str], None] = lambda _: None
) -> ReviewResult:
    """All stages on `snapshot`; `on_stage` is told the name of each as it begins."""
    with Stages(new_engine(), snapshot) as stages:
        on_stage("audit")
        audited = stages.audit()
        on_stage("validate")
        validated = stages.validate(audited)
        on_stage("workflows")
        examined = stages.workflows()
        on_stage("adjust")
        adjusted = stages.adjust()
        return stages.result(audited, validated, examined, adjusted)
