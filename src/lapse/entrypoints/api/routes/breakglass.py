"""Break-glass: what was used, and the review by an independent person that is due after it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lapse.control import aftermath
from lapse.domain.aftermath import Aftermath, Judgement
from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes
from lapse.ports import Page, Reader

ROUTES = Routes("break-glass")


class JudgementBody(Body, frozen=True, kw_only=True):
    """Whether it was justified, and what the reviewer looked at."""

    judgement: Judgement
    note: str


class BreakGlassQuery(Query, frozen=True, kw_only=True):
    """`all`: those that were reviewed too."""

    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassUse(Aftermath):
    """One use: who asked and why, what it gave, and whether its review is overdue."""

    requester: str
    justification: str
    grants: tuple[str, ...]
    is_overdue: bool


@ROUTES.get("/api/v1/breakglass", Listing[BreakGlassUse], query=BreakGlassQuery)
async def list_break_glass(call: Call) -> Listing[BreakGlassUse]:
    """Uses of break-glass whose review is due, newest last. Who may only ask sees their own."""
    found = await aftermath.list_aftermaths(call.control, call.actor, open_only=not call.query.all)
    return Listing([await _use(call, one) for one in found])


@ROUTES.get("/api/v1/breakglass/{aftermath_id}", BreakGlassUse)
async def show_break_glass(call: Call) -> BreakGlassUse:
    """One use of break-glass."""
    wanted = call.path["aftermath_id"]
    for one in await aftermath.list_aftermaths(call.control, call.actor, open_only=False):
        if one.id == wanted:
            return await _use(call, one)
    raise NotFound(f"there is no use of break-glass `{shown(wanted)}`", hint="`lapse breakglass list` shows them")


@ROUTES.post("/api/v1/breakglass/{aftermath_id}/review", BreakGlassUse, body=JudgementBody)
async def review_break_glass(call: Call) -> BreakGlassUse:
    """Say whether it was justified: once, by one of its reviewers who had no part in it."""
    body: JudgementBody = call.body
    judged = await aftermath.judge(call.control, call.actor, call.path["aftermath_id"], body.judgement, body.note)
    return await _use(call, judged)


async def _use(call: Call, found: Aftermath) -> BreakGlassUse:
    async def work(reader: Reader) -> BreakGlassUse:
        request = await reader.request(found.request_id)
        grants = await reader.grants(Page(limit=100), request_id=request.id)
        return BreakGlassUse(
            **{field.name: getattr(found, field.name) for field in fields(Aftermath)},
            requester=request.requester,
            justification=request.justification,
            grants=tuple(grant.id for grant in grants),
            is_overdue=found.overdue(call.control.now()),
        )

    return await call.app.store.read(work)
