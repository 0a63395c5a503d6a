"""Sessions through the gateway: see them, and end one."""

from __future__ import annotations

from collections.abc import Sequence

from lapse.control.sessions import kill_session
from lapse.control.visibility import only_own, parties_of, require_sight_of
from lapse.domain.sessions import Session, SessionState
from lapse.entrypoints.api.operations import Call, Listing, Paging, Routes, page_of
from lapse.entrypoints.api.routes.requests import ReasonBody
from lapse.ports import Reader

ROUTES = Routes("sessions")


class SessionQuery(Paging, frozen=True, kw_only=True):
    """Which sessions: in one of the states, of somebody, on a resource, by a grant, held by a gateway."""

    state: tuple[SessionState, ...] = ()
    principal: str | None = None
    resource: str | None = None
    grant_id: str | None = None
    gateway: str | None = None


@ROUTES.get("/api/v1/sessions", Listing[Session], query=SessionQuery)
async def list_sessions(call: Call) -> Listing[Session]:
    """Sessions, newest first. Who may only ask sees their own."""
    query: SessionQuery = call.query

    async def work(reader: Reader) -> Sequence[Session]:
        return await reader.sessions(
            query.page(),
            states=query.state,
            principal=only_own(call.actor, query.principal, await reader.catalog()),
            resource=query.resource,
            grant_id=query.grant_id,
            gateway=query.gateway,
        )

    return page_of(await call.app.store.read(work), query)


@ROUTES.get("/api/v1/sessions/{session_id}", Session)
async def show_session(call: Call) -> Session:
    """One session."""

    async def work(reader: Reader) -> Session:
        session = await reader.session(call.path["session_id"])
        parties = parties_of(await reader.catalog(), session.principal)
        require_sight_of(call.actor, parties, f"session `{session.id}`")
        return session

    return await call.app.store.read(work)


@ROUTES.post("/api/v1/sessions/{session_id}/kill", Session, body=ReasonBody)
async def end_session(call: Call) -> Session:
    """Cut a session, with a reason. Its grant goes on."""
    return await kill_session(call.control, call.actor, call.path["session_id"], call.body.reason)
