"""Step 2b, audit: who holds what now and until when, what never expires, and how much exposure that is.

Takes a snapshot registered in an engine, returns `AuditResult`. Runs the detectors of scope and audit.
"""

from __future__ import annotations

from collections.abc import Sequence

from lapse.ports import Engine
from lapse.review.detection.detector import run_detectors
from lapse.review.figures.exposure import exposure_figures
from lapse.review.figures.settings import settings_of
from lapse.review.items.holdings import GRANT, Holding, holdings
from lapse.review.model import ActiveGrant, AuditResult, Exposure, Snapshot, StandingAccess

STEPS = (1, 2)


def audit(engine: Engine, snapshot: Snapshot) -> AuditResult:
    """Step 2 on a snapshot that is registered in `engine`."""
    held = holdings(engine, snapshot)
    active = tuple(_active(h) for h in held if h.holding == GRANT)
    standing = tuple(_standing(h) for h in held if h.holding != GRANT)
    assessment = run_detectors(engine, snapshot, STEPS)
    figures, by_role = exposure_figures(engine, snapshot, settings_of(snapshot.manifest.scope))
    return AuditResult(
        active_grants=active,
        standing=standing,
        exposure=by_role,
        figures=figures,
        counts=_counts(snapshot, active, standing),
        findings=assessment.findings,
        runs=assessment.runs,
    )


def exposure(engine: Engine, snapshot: Snapshot) -> tuple[Exposure, ...]:
    """Privilege-hours by role in the period, most first."""
    return exposure_figures(engine, snapshot, settings_of(snapshot.manifest.scope))[1]


def _active(held: Holding) -> ActiveGrant:
    return ActiveGrant(
        grant_id=held.grant_id or "",
        resource=held.resource,
        role=held.role,
        account=held.account,
        principal=held.principal,
        state=held.state,
        starts_at=held.window_from,
        ends_at=held.ends_at,
        task=held.task,
        ticket=held.ticket,
        approved_by=held.approved_by,
        usage=held.usage,
        last_used=held.last_used,
    )


def _standing(held: Holding) -> StandingAccess:
    return StandingAccess(
        resource=held.resource,
        account=held.account,
        principal=held.principal,
        role=held.role,
        via=held.via,
        powers=held.powers,
        admin_option=held.admin_option,
        can_login=held.can_login,
        valid_until=held.ends_at,
        known_since=None,
        last_used=held.last_used,
        usage=held.usage,
        reason=_reason(held),
    )


def _reason(held: Holding) -> str:
    if held.excepted:
        return f"on the exception register: {held.excepted}"
    if held.out_of_band:
        return "no grant accounts for it"
    if held.via:
        return f"held through {' > '.join(held.via)}"
    return "no end" if held.ends_at is None else f"ends on the target at {held.ends_at:%Y-%m-%d}"


def _counts(snapshot: Snapshot, active: Sequence[ActiveGrant], standing: Sequence[StandingAccess]) -> dict[str, int]:
    rows = {table.table: table.rows for table in snapshot.manifest.tables if table.file}
    return {
        **rows,
        "active_grants": len(active),
        "standing_access": sum(1 for s in standing if not s.via),
        "inherited_access": sum(1 for s in standing if s.via),
    }
