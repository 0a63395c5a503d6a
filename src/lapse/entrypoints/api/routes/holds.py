"""Holds: statements that wait at the gateway for an approver."""

from __future__ import annotations

from collections.abc import Sequence

from lapse.control.holds import decide_hold
from lapse.control.visibility import SEES_ALL, parties_of, require_sight_of
from lapse.domain.holds import Hold, HoldState
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Routes, page_of
from lapse.ports import Reader

ROUTES = Routes("sessions")


class HoldQuery(Paging, frozen=True, kw_only=True):
    """Which holds: in one of the states, of a session, on a resource."""

    state: tuple[HoldState, ...] = ()
    session_id: str | None = None
    resource: str | None = None


class HoldBody(Body, frozen=True, kw_only=True):
    """A word about the decision, for whoever reads it later."""

    comment: str = ""


@ROUTES.get("/api/v1/holds", Listing[Hold], query=HoldQuery)
async def list_holds(call: Call) -> Listing[Hold]:
    """Statements that wait, or waited; newest first. Who may only ask sees those of their own sessions."""
    query: HoldQuery = call.query

    async def work(reader: Reader) -> Sequence[Hold]:
        rows = await reader.holds(
            query.page(), states=query.state, session_id=query.session_id, resource=query.resource
        )
        if call.actor.scopes & SEES_ALL:
            return rows
        catalog = await reader.catalog()
        return [hold for hold in rows if call.actor.name in parties_of(catalog, hold.principal)]

    return page_of(await call.app.store.read(work), query)


@ROUTES.get("/api/v1/holds/{hold_id}", Hold)
async def show_hold(call: Call) -> Hold:
    """One hold."""

    async def work(reader: Reader) -> Hold:
        hold = await reader.hold(call.path["hold_id"])
        parties = parties_of(await reader.catalog(), hold.principal)
        require_sight_of(call.actor, parties, f"hold `{hold.id}`")
        return hold

    return await call.app.store.read(work)


@ROUTES.post("/api/v1/holds/{hold_id}/allow", Hold, body=HoldBody)
async def allow_hold(call: Call) -> Hold:
    """Let the statement run."""
    return await decide_hold(call.control, call.actor, call.path["hold_id"], allow=True, comment=call.body.comment)


@ROUTES.post("/api/v1/holds/{hold_id}/refuse", Hold, body=HoldBody)
async def refuse_hold(call: Call) -> Hold:
    """Refuse the statement; the session goes on."""
    return await decide_hold(call.control, call.actor, call.path["hold_id"], allow=False, comment=call.body.comment)
