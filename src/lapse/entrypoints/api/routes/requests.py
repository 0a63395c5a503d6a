"""Requests and the decisions on them."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control import decisions, requests
from lapse.control.inbox import standing_of
from lapse.control.questions import NewRequest
from lapse.domain.actors import Actor, Scope
from lapse.domain.durations import parse_duration
from lapse.domain.requests import Request, RequestState, Ticket, Verdict
from lapse.domain.times import parse_time
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Routes, page_of
from lapse.entrypoints.api.standing import RequestDetail, request_detail
from lapse.entrypoints.api.visibility import only_own, require_sight_of
from lapse.policy import Evaluation, explain_lines
from lapse.ports import Page

ROUTES = Routes("requests")


class TicketBody(Body, frozen=True, kw_only=True):
    """A reference into another system."""

    system: str
    number: str


class NewRequestBody(Body, frozen=True, kw_only=True):
    """What is asked for. `duration` is `PT2H` or `2h`; an empty beneficiary is the requester."""

    entitlement: str
    duration: str
    justification: str = ""
    beneficiary: str = ""
    ticket: TicketBody | None = None
    starts_at: str | None = None

    def wanted(self) -> NewRequest:
        """The same in the words of the use case."""
        return NewRequest(
            entitlement=self.entitlement,
            duration=parse_duration(self.duration),
            justification=self.justification,
            beneficiary=self.beneficiary,
            ticket=Ticket(system=self.ticket.system, number=self.ticket.number) if self.ticket else None,
            starts_at=parse_time(self.starts_at) if self.starts_at else None,
        )


class PreviewBody(NewRequestBody, frozen=True, kw_only=True):
    """A request to explain. `requester` is somebody else than the caller: for auditors and administrators."""

    requester: str = ""


class ReasonBody(Body, frozen=True, kw_only=True):
    """Why."""

    reason: str = ""


class DecisionBody(Body, frozen=True, kw_only=True):
    """A vote. A denial needs a reason."""

    verdict: Verdict
    reason: str = ""


class RequestQuery(Paging, frozen=True, kw_only=True):
    """Which requests: in one of the states, by (or for) somebody, for an entitlement."""

    state: tuple[RequestState, ...] = ()
    requester: str | None = None
    entitlement: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the policy answers, and how every rule came out; `lines` are the same for people."""

    evaluation: Evaluation
    lines: tuple[str, ...]


@ROUTES.post("/api/v1/requests", Request, body=NewRequestBody, status=201)
async def create_request(call: Call) -> Request:
    """Ask for access. The answer may be approved already, where the policy asks for nobody's approval."""
    return await requests.create_request(call.control, call.actor, call.body.wanted())


@ROUTES.post("/api/v1/requests/preview", Preview, body=PreviewBody)
async def preview_request(call: Call) -> Preview:
    """What the policy would answer, with every rule explained. Nothing is recorded."""
    evaluation = await requests.preview_request(
        call.control, _asker(call.actor, call.body.requester), call.body.wanted()
    )
    return Preview(evaluation=evaluation, lines=tuple(explain_lines(evaluation)))


@ROUTES.get("/api/v1/requests", Listing[Request], query=RequestQuery)
async def list_requests(call: Call) -> Listing[Request]:
    """Requests, newest first. Who may only ask sees their own."""
    query: RequestQuery = call.query
    rows = await call.app.store.read(
        lambda reader: reader.requests(
            query.page(),
            states=query.state,
            requester=only_own(call.actor, query.requester),
            entitlement=query.entitlement,
        )
    )
    return page_of(rows, query)


@ROUTES.get("/api/v1/requests/{request_id}", RequestDetail)
async def show_request(call: Call) -> RequestDetail:
    """One request with its votes, who may still decide, and its grants."""
    found = await standing_of(call.control, call.path["request_id"])
    request = found.request
    require_sight_of(call.actor, {request.requester, request.beneficiary}, f"request `{request.id}`")
    followed = await call.app.store.read(lambda reader: reader.grants(Page(limit=10), request_id=request.id))
    return request_detail(found, followed)


@ROUTES.post("/api/v1/requests/{request_id}/cancel", Request, body=ReasonBody)
async def cancel_request(call: Call) -> Request:
    """Withdraw a pending request."""
    return await requests.cancel_request(call.control, call.actor, call.path["request_id"], call.body.reason)


@ROUTES.post("/api/v1/requests/{request_id}/decisions", Request, body=DecisionBody, status=201)
async def decide_request(call: Call) -> Request:
    """Vote on a pending request; with the last vote that is needed its grant is scheduled."""
    decide = decisions.approve if call.body.verdict is Verdict.APPROVE else decisions.deny
    return await decide(call.control, call.actor, call.path["request_id"], call.body.reason)


def _asker(actor: Actor, requester: str) -> Actor:
    """Explaining what somebody else would be answered shows their standing, so it takes an auditor."""
    if not requester or requester == actor.name:
        return actor
    actor.require(Scope.AUDIT, Scope.ADMIN)
    return Actor(name=requester, scopes=frozenset({Scope.REQUEST}), via=actor.via)
