"""Parts of reviews by themselves: figures, roles, proposals; and a proposal that is filed for two persons."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.bootstrap.effects import effects_of
from lapse.bootstrap.reviewing import desk_of, proposed_files
from lapse.control.policies import propose_policy
from lapse.domain.actors import Scope
from lapse.domain.proposals import Proposal
from lapse.entrypoints.api.operations import Body, Call, Routes
from lapse.review.adjust.filing import proposal_called
from lapse.review.adjust.model import NotProposed, PolicyProposal
from lapse.review.parts import ReviewFigures, adjustments_of, figures_of, roles_of
from lapse.review.roles.model import RoleValidation
from lapse.review.scope import parse_period

ROUTES = Routes("reviews")
_READERS = (Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)


class FilingBody(Body, frozen=True, kw_only=True):
    """Why; the review's own reason if it is left out."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewProposals:
    """What a review proposes, and what it looked at without a proposal."""

    proposals: tuple[PolicyProposal, ...]
    not_proposed: tuple[NotProposed, ...]


@ROUTES.get("/api/v1/reviews/{review_id}/figures", ReviewFigures)
async def show_review_figures(call: Call) -> ReviewFigures:
    """The figures of a review, as far as it is."""
    call.actor.require(*_READERS)
    return await figures_of(desk_of(call.app), call.path["review_id"])


@ROUTES.get("/api/v1/reviews/{review_id}/roles", RoleValidation)
async def show_review_roles(call: Call) -> RoleValidation:
    """Roles against their use, with the narrower ones; movers and teams."""
    call.actor.require(*_READERS)
    return await roles_of(desk_of(call.app), call.path["review_id"])


@ROUTES.get("/api/v1/reviews/{review_id}/proposals", ReviewProposals)
async def list_review_proposals(call: Call) -> ReviewProposals:
    """The policy changes that a review proposes, each with its patch and what it would do."""
    call.actor.require(*_READERS)
    found = await adjustments_of(desk_of(call.app), call.path["review_id"])
    return ReviewProposals(proposals=found.proposals, not_proposed=found.not_proposed)


@ROUTES.post("/api/v1/reviews/{review_id}/proposals/{proposal_id}/filing", Proposal, body=FilingBody, status=201)
async def file_review_proposal(call: Call) -> Proposal:
    """File a review's proposal as a change of the policy. Another administrator activates or rejects it.

    Refused if another policy is in force than the one that the proposal was made for.
    """
    call.actor.require(Scope.ADMIN)
    body: FilingBody = call.body
    review = await call.app.store.read(lambda reader: reader.review(call.path["review_id"]))
    found = proposal_called(await adjustments_of(desk_of(call.app), review.id), call.path["proposal_id"])
    files = await proposed_files(call.app, found)
    computed = await effects_of(call.app, files, parse_period(review.period).start)
    reason = body.reason or f"review {review.id}: {found.title.replace('`', '')}; {found.reason.replace('`', '')}"
    return await propose_policy(call.control, call.actor, files, reason, base=found.base, effects=computed.effects)
