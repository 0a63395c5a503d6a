"""Requests and the decisions on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lapse.control import decisions, requests
from lapse.control.inbox import standing_of
from lapse.control.visibility import only_own, parties_of, require_sight_of
from lapse.domain.actors import Actor, Scope
from lapse.domain.grants import Grant
from lapse.domain.recurrence import MOST_OCCURRENCES
from lapse.domain.requests import Request, RequestState, Verdict
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Routes, page_of
from lapse.entrypoints.api.routes.asking import NewRequestBody
from lapse.entrypoints.api.standing import RequestDetail, request_detail
from lapse.policy import Evaluation, explain_lines
from lapse.ports import Page, Reader

ROUTES = Routes("requests")


class PreviewBody(NewRequestBody, frozen=True, kw_only=True):
    """A request to explain. `requester` is somebody else than the caller: for auditors and administrators."""

    requester: str = ""


class ReasonBody(Body, frozen=True, kw_only=True):
    """Why."""

    reason: str = ""


class CancelBody(ReasonBody, frozen=True, kw_only=True):
    """Why. With `alone` the others of its bundle go on without it."""

    alone: bool = False


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

    async def work(reader: Reader) -> Sequence[Request]:
        owner = only_own(call.actor, query.requester, await reader.catalog())
        return await reader.requests(query.page(), states=query.state, requester=owner, entitlement=query.entitlement)

    return page_of(await call.app.store.read(work), query)


@ROUTES.get("/api/v1/requests/{request_id}", RequestDetail)
async def show_request(call: Call) -> RequestDetail:
    """One request with its votes, who may still decide, and its grants."""
    found = await standing_of(call.control, call.path["request_id"])
    request = found.request

    async def work(reader: Reader) -> Sequence[Grant]:
        parties = parties_of(await reader.catalog(), request.requester, request.beneficiary)
        require_sight_of(call.actor, parties, f"request `{request.id}`")
        return await reader.grants(Page(limit=MOST_OCCURRENCES, newest_first=False), request_id=request.id)

    return request_detail(found, await call.app.store.read(work))


@ROUTES.post("/api/v1/requests/{request_id}/cancel", Request, body=CancelBody)
async def cancel_request(call: Call) -> Request:
    """Withdraw a pending request, and what waits with it in a bundle."""
    return await requests.cancel_request(
        call.control, call.actor, call.path["request_id"], call.body.reason, alone=call.body.alone
    )


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
