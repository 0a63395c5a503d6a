"""Delegations: who decides for whom, until when."""

from __future__ import annotations

from lapse.control import delegations
from lapse.control.delegations import NewDelegation
from lapse.domain.delegations import Delegation
from lapse.domain.times import parse_time
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes

ROUTES = Routes("delegations")


class NewDelegationBody(Body, frozen=True, kw_only=True):
    """Who decides for whom (`principal`: the caller, if left out), from when (now) to when, and why."""

    delegate: str
    ends_at: str
    reason: str
    principal: str = ""
    starts_at: str = ""


class DelegationQuery(Query, frozen=True, kw_only=True):
    """`all`: those that are over too."""

    all: bool = False


@ROUTES.post("/api/v1/delegations", Delegation, body=NewDelegationBody, status=201)
async def add_delegation(call: Call) -> Delegation:
    """Let somebody else decide, until an end at most 90 days away: for oneself, or as an administrator for others."""
    body: NewDelegationBody = call.body
    wanted = NewDelegation(
        delegate=body.delegate,
        ends_at=parse_time(body.ends_at),
        principal=body.principal,
        starts_at=parse_time(body.starts_at) if body.starts_at else None,
        reason=body.reason,
    )
    return await delegations.create_delegation(call.control, call.actor, wanted)


@ROUTES.get("/api/v1/delegations", Listing[Delegation], query=DelegationQuery)
async def list_delegations(call: Call) -> Listing[Delegation]:
    """Delegations that are not over: those the caller has a part in; auditors and administrators see all."""
    found = await delegations.list_delegations(call.control, call.actor, everything=call.query.all)
    return Listing(found)


@ROUTES.post("/api/v1/delegations/{delegation_id}/end", Delegation)
async def end_delegation(call: Call) -> Delegation:
    """End a delegation early: by whose it is, or an administrator."""
    return await delegations.end_delegation(call.control, call.actor, call.path["delegation_id"])
