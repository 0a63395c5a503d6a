"""The stage itself: detectors about policies, then every finder, then the patches. Called by `stages`."""

from __future__ import annotations

from collections.abc import Callable

from lapse.ports import Engine
from lapse.review.adjust.approvers import approver_sets
from lapse.review.adjust.drafts import Draft, Found, finished
from lapse.review.adjust.durations import shorter_maxima
from lapse.review.adjust.model import NotProposed, PolicyProposal, ProposalKind
from lapse.review.adjust.standing import standing_into_offers
from lapse.review.adjust.unused import unused_offers
from lapse.review.detection.detector import run_detectors
from lapse.review.in_force import InForce, policy_in_force
from lapse.review.model import Adjustments, Snapshot

STEPS = (5, 6)
MOST_PROPOSALS = 200

Finder = Callable[[Engine, Snapshot, InForce | None], Found]
_FINDERS: tuple[Finder, ...] = (standing_into_offers, shorter_maxima, approver_sets, unused_offers)
_ORDER = list(ProposalKind)


def adjust(engine: Engine, snapshot: Snapshot) -> Adjustments:
    """Step 5 on a snapshot that is registered in `engine`."""
    assessment = run_detectors(engine, snapshot, STEPS)
    proposals, reasons = propose(engine, snapshot)
    return Adjustments(proposals=proposals, not_proposed=reasons, findings=assessment.findings, runs=assessment.runs)


def propose(engine: Engine, snapshot: Snapshot) -> tuple[tuple[PolicyProposal, ...], tuple[NotProposed, ...]]:
    """Proposals, most hours saved first within their kind; and what nothing is proposed for, with the reason."""
    in_force = policy_in_force(engine, snapshot)
    found = [finder(engine, snapshot, in_force) for finder in _FINDERS]
    drafts = sorted((draft for one in found for draft in one.drafts), key=_rank)[:MOST_PROPOSALS]
    return tuple(finished(draft, in_force) for draft in drafts), tuple(s for one in found for s in one.not_proposed)


def _rank(draft: Draft) -> tuple[int, float, str]:
    return _ORDER.index(draft.kind), -draft.saved_hours, draft.subject
