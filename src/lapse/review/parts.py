"""Parts of a review's result by themselves, read from what its steps left: figures, roles, proposals. No engine runs.

Called by the edges, which show them long before or after the whole result is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.domain.reviews import Review
from lapse.review.campaign import Desk, kept
from lapse.review.figures.model import ApprovalFigures, ExpiryLag, ExposureFigures
from lapse.review.model import Adjustments, AuditResult, ValidationResult, WorkflowResult
from lapse.review.roles.model import RoleValidation

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFigures:
    """The figures of one review; what its steps have not come to yet is None. `expiry` is over all resources."""

    review_id: str
    exposure: ExposureFigures | None = None
    expiry: ExpiryLag | None = None
    approvals: ApprovalFigures | None = None


async def figures_of(desk: Desk, review_id: str) -> ReviewFigures:
    """The figures as far as the review is.

    Raises:
        NotFound: there is no such review.
    """
    review = await _review(desk, review_id)
    audited = _part(desk, review, "audit", AuditResult)
    examined = _part(desk, review, "workflows", WorkflowResult)
    return ReviewFigures(
        review_id=review.id,
        exposure=audited.figures if audited else None,
        expiry=examined.lag[0] if examined and examined.lag else None,
        approvals=examined.approvals if examined else None,
    )


async def roles_of(desk: Desk, review_id: str) -> RoleValidation:
    """Roles against their use.

    Raises:
        NotFound: there is no such review, or step 3 is not done.
    """
    review = await _review(desk, review_id)
    validated = _part(desk, review, "validation", ValidationResult)
    if validated is None or validated.roles is None:
        raise _not_yet(review, "validate")
    return validated.roles


async def adjustments_of(desk: Desk, review_id: str) -> Adjustments:
    """What a review proposes.

    Raises:
        NotFound: there is no such review, or step 5 is not done.
    """
    review = await _review(desk, review_id)
    adjusted = _part(desk, review, "adjustments", Adjustments)
    if adjusted is None:
        raise _not_yet(review, "adjust")
    return adjusted


async def _review(desk: Desk, review_id: str) -> Review:
    return await desk.store.read(lambda reader: reader.review(review_id))


def _part(desk: Desk, review: Review, name: str, kind: type[T]) -> T | None:
    if not (desk.folder_of(review.id) / f"{name}.json").is_file():
        return None
    return kept(desk, review.id, name, kind)


def _not_yet(review: Review, step: str) -> NotFound:
    return NotFound(
        f"review {shown(review.id)} is only {review.state}", hint=f"`lapse review {step} {review.id}` is what makes it"
    )
