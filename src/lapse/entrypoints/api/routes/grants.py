"""Grants: see, extend, release, revoke, and the credential of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lapse.control import grants, requests
from lapse.control.visibility import only_own, parties_of, require_sight_of
from lapse.domain.durations import parse_duration
from lapse.domain.grants import Grant, GrantState
from lapse.domain.requests import Request
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Routes, page_of
from lapse.entrypoints.api.routes.asking import TicketBody
from lapse.entrypoints.api.routes.requests import ReasonBody
from lapse.ports import Reader

ROUTES = Routes("grants")


class GrantQuery(Paging, frozen=True, kw_only=True):
    """Which grants: in one of the states, of somebody, on a resource, of an entitlement or a request."""

    state: tuple[GrantState, ...] = ()
    beneficiary: str | None = None
    resource: str | None = None
    entitlement: str | None = None
    request_id: str | None = None


class ExtendBody(Body, frozen=True, kw_only=True):
    """More time: `duration` is added to the end of the grant, under today's policy."""

    duration: str
    justification: str = ""
    ticket: TicketBody | None = None
    break_glass: bool = False


@ROUTES.get("/api/v1/grants", Listing[Grant], query=GrantQuery)
async def list_grants(call: Call) -> Listing[Grant]:
    """Grants, newest first. Who may only ask sees their own."""
    query: GrantQuery = call.query

    async def work(reader: Reader) -> Sequence[Grant]:
        return await reader.grants(
            query.page(),
            states=query.state,
            beneficiary=only_own(call.actor, query.beneficiary, await reader.catalog()),
            resource=query.resource,
            entitlement=query.entitlement,
            request_id=query.request_id,
        )

    return page_of(await call.app.store.read(work), query)


@ROUTES.get("/api/v1/grants/{grant_id}", Grant)
async def show_grant(call: Call) -> Grant:
    """One grant."""

    async def work(reader: Reader) -> Grant:
        grant = await reader.grant(call.path["grant_id"])
        request = await reader.request(grant.request_id)
        parties = parties_of(await reader.catalog(), grant.beneficiary, request.requester)
        require_sight_of(call.actor, parties, f"grant `{grant.id}`")
        return grant

    return await call.app.store.read(work)


@ROUTES.post("/api/v1/grants/{grant_id}/extend", Request, body=ExtendBody, status=201)
async def extend_grant(call: Call) -> Request:
    """Ask for more time: a new request that continues the grant without a gap."""
    body: ExtendBody = call.body
    return await requests.extend_grant(
        call.control,
        call.actor,
        call.path["grant_id"],
        parse_duration(body.duration),
        body.justification,
        ticket=body.ticket.ticket() if body.ticket else None,
        break_glass=body.break_glass,
    )


@ROUTES.post("/api/v1/grants/{grant_id}/release", Grant)
async def release_grant(call: Call) -> Grant:
    """End an own grant early."""
    return await grants.release(call.control, call.actor, call.path["grant_id"])


@ROUTES.post("/api/v1/grants/{grant_id}/revoke", Grant, body=ReasonBody)
async def revoke_grant(call: Call) -> Grant:
    """Take a grant away, with a reason."""
    return await grants.revoke(call.control, call.actor, call.path["grant_id"], call.body.reason)


@ROUTES.post("/api/v1/grants/{grant_id}/credential", Mapping[str, str], secret=True)
async def issue_credential(call: Call) -> Mapping[str, str]:
    """A fresh secret for a grant with an account of its own. It is shown once; the one before stops working."""
    return await grants.issue_credential(call.control, call.actor, call.path["grant_id"])
