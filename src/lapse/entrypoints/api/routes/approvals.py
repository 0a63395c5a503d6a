"""What waits for a decision, and what an approver can offer instead of yes or no."""

from __future__ import annotations

from lapse.control import counters
from lapse.control.counters import Less
from lapse.control.inbox import Waiting, waiting_for
from lapse.domain.durations import parse_duration
from lapse.domain.requests import Request
from lapse.entrypoints.api.operations import Body, Call, Listing, Routes

ROUTES = Routes("approvals")


class OfferBody(Body, frozen=True, kw_only=True):
    """Less than was asked: a shorter `duration`, another `entitlement` of the same resource, or both; and why."""

    duration: str = ""
    entitlement: str = ""
    reason: str


@ROUTES.get("/api/v1/approvals", Listing[Waiting])
async def list_approvals(call: Call) -> Listing[Waiting]:
    """What waits for the caller's decision, the soonest to expire first."""
    return Listing(await waiting_for(call.control, call.actor))


@ROUTES.post("/api/v1/requests/{request_id}/offer", Request, body=OfferBody, status=201)
async def offer_less(call: Call) -> Request:
    """Offer the requester less instead of saying yes or no. Until they answer nobody can approve."""
    body: OfferBody = call.body
    duration = parse_duration(body.duration) if body.duration else None
    less = Less(duration=duration, entitlement=body.entitlement, reason=body.reason)
    return await counters.offer_less(call.control, call.actor, call.path["request_id"], less)


@ROUTES.post("/api/v1/requests/{request_id}/accept", Request)
async def accept_less(call: Call) -> Request:
    """Accept what was offered: the request is for that from now on. Who does not want it cancels."""
    return await counters.accept_less(call.control, call.actor, call.path["request_id"])
