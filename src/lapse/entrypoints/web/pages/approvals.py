"""What waits for somebody's decision: who asks for what, why and for how long, and yes, no or less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from lapse.control.counters import Less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.inbox import Waiting, waiting_for
from lapse.domain.actors import Scope
from lapse.domain.durations import parse_duration
from lapse.domain.grants import Grant
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit
from lapse.ports import Page, Reader

PAGES = Pages()
_EARLIER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to decide, with what the same person was given there before."""

    waiting: Waiting
    earlier: Sequence[Grant]


@PAGES.get("/approvals", Scope.APPROVE)
async def approvals_page(visit: Visit) -> Response:
    """The queue, the soonest to expire first."""
    return page(visit, "approvals_part" if visit.by_htmx else "approvals", cases=await _cases(visit), said="")


@PAGES.post("/requests/{request_id}/approve", Scope.APPROVE)
async def say_yes(visit: Visit) -> Response:
    """A vote for it."""
    decided = await approve(visit.control, visit.actor, visit.path("request_id"), visit.form.get("reason", ""))
    state = "approved" if decided.state == "approved" else "noted; more approvals are needed"
    return await _next(visit, f"{decided.entitlement} for {decided.beneficiary}: {state}.")


@PAGES.post("/requests/{request_id}/deny", Scope.APPROVE)
async def say_no(visit: Visit) -> Response:
    """A vote against it, with a reason."""
    decided = await deny(visit.control, visit.actor, visit.path("request_id"), visit.form.get("reason", ""))
    return await _next(visit, f"{decided.entitlement} for {decided.beneficiary}: denied.")


@PAGES.post("/requests/{request_id}/offer", Scope.APPROVE)
async def say_less(visit: Visit) -> Response:
    """A shorter time, which the requester may accept."""
    less = Less(duration=parse_duration(visit.form.get("duration", "")), reason=visit.form.get("reason", ""))
    offered = await offer_less(visit.control, visit.actor, visit.path("request_id"), less)
    return await _next(visit, f"{offered.entitlement} for {offered.beneficiary}: less was offered.")


async def _next(visit: Visit, said: str) -> Response:
    if not visit.by_htmx:
        return RedirectResponse("/approvals", 303)
    return page(visit, "approvals_part", cases=await _cases(visit), said=said)


async def _cases(visit: Visit) -> Sequence[Case]:
    found = await waiting_for(visit.control, visit.actor)

    async def work(reader: Reader) -> Sequence[Case]:
        return [Case(waiting=one, earlier=await _earlier(reader, one)) for one in found]

    return await visit.app.store.read(work)


async def _earlier(reader: Reader, one: Waiting) -> Sequence[Grant]:
    asked = one.request
    return await reader.grants(Page(limit=_EARLIER), beneficiary=asked.beneficiary, entitlement=asked.entitlement)
