"""Reviews: start one, take its steps, decide its items, read what it found, download its pack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from lapse.bootstrap.reviewing import at_desk, desk_of
from lapse.control.reviews import decide_item
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.domain.reviews import Item, ItemDecision, Review
from lapse.enforcement.carry_out import carry_out_review
from lapse.entrypoints.api.operations import Body, Call, Download, Listing, Query, Routes
from lapse.review import campaign
from lapse.review.campaign import Desk
from lapse.review.model import ReviewResult

ROUTES = Routes("reviews")
_READERS = (Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)


class NewReviewBody(Body, frozen=True, kw_only=True):
    """`scope`: `all`, `resource:NAME` or `tag:KEY=VALUE`; `period`: `2026-Q3`, `2026-07`, `2026` or two days."""

    scope: str
    period: str
    title: str = ""


class StageBody(Body, frozen=True, kw_only=True):
    """For `collect`: folders and files on the server's machine with evidence from elsewhere."""

    imports: str = ""
    people: str = ""


class ItemDecisionBody(Body, frozen=True, kw_only=True):
    """What becomes of a permission, and why."""

    decision: ItemDecision
    reason: str = ""


class ItemQuery(Query, frozen=True, kw_only=True):
    """`undecided`: only what nobody decided yet."""

    undecided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that was taken: the review as it is now, and what the step says in a few figures."""

    review: Review
    summary: dict[str, int | str]


@ROUTES.post("/api/v1/reviews", Review, body=NewReviewBody, status=201)
async def start_review(call: Call) -> Review:
    """Step 1, scope: open a review."""
    body: NewReviewBody = call.body
    return await campaign.start(desk_of(call.app), call.actor, body.scope, body.period, title=body.title)


@ROUTES.get("/api/v1/reviews", Listing[Review])
async def list_reviews(call: Call) -> Listing[Review]:
    """Every review, newest first."""
    call.actor.require(*_READERS)
    found = await call.app.store.read(lambda reader: reader.reviews())
    return Listing(sorted(found, key=lambda review: review.id, reverse=True))


@ROUTES.get("/api/v1/reviews/{review_id}", Review)
async def show_review(call: Call) -> Review:
    """One review."""
    call.actor.require(*_READERS)
    return await _review(call)


@ROUTES.post("/api/v1/reviews/{review_id}/stages/{stage}", Step, body=StageBody)
async def take_stage(call: Call) -> Step:
    """Take the next step: `collect`, `audit`, `validate`, `workflows`, `adjust` or `seal`."""
    stage = _STAGES.get(call.path["stage"])
    if stage is None:
        raise NotFound(f"there is no step `{shown(call.path['stage'])}`", hint=f"the steps are {', '.join(_STAGES)}")
    summary = await at_desk(call.app, lambda desk: stage(desk, call.actor, call.path["review_id"], call.body))
    return Step(review=await _review(call), summary=summary)


@ROUTES.get("/api/v1/reviews/{review_id}/result", ReviewResult)
async def show_result(call: Call) -> ReviewResult:
    """Everything a review found, once it is adjusted."""
    call.actor.require(*_READERS)
    return await at_desk(call.app, lambda desk: campaign.result_of(desk, call.path["review_id"]))


@ROUTES.get("/api/v1/reviews/{review_id}/items", Listing[Item], query=ItemQuery)
async def list_items(call: Call) -> Listing[Item]:
    """The permissions to decide on, riskiest first."""
    call.actor.require(*_READERS)
    items = await call.app.store.read(lambda reader: reader.items(call.path["review_id"]))
    wanted = [item for item in items if not (call.query.undecided and item.decision is not None)]
    return Listing(sorted(wanted, key=lambda item: (-item.risk, item.id)))


@ROUTES.post("/api/v1/review-items/{item_id}/decision", Item, body=ItemDecisionBody, status=201)
async def decide(call: Call) -> Item:
    """Keep, shorten or revoke one permission; a revocation is carried out and read back."""
    body: ItemDecisionBody = call.body
    item = await decide_item(call.control, call.actor, call.path["item_id"], body.decision, body.reason)
    if item.decision is not ItemDecision.REVOKE:
        return item
    await call.app.enforcer.tick()
    await carry_out_review(call.app.parts, item.review_id)
    return await call.app.store.read(lambda reader: reader.item(item.id))


@ROUTES.get("/api/v1/reviews/{review_id}/pack", Download, media_type="application/zip")
async def download_pack(call: Call) -> Download:
    """The sealed pack, a zip file that `verify.py` inside it (or `lapse review verify`) checks offline."""
    call.actor.require(*_READERS)
    path = campaign.pack_of(desk_of(call.app), (await _review(call)).id)
    return Download(path.read_bytes(), "application/zip", path.name)


async def _review(call: Call) -> Review:
    return await call.app.store.read(lambda reader: reader.review(call.path["review_id"]))


Summary = dict[str, int | str]
Stage = Callable[[Desk, Actor, str, StageBody], Awaitable[Summary]]


async def _collect(desk: Desk, actor: Actor, review_id: str, body: StageBody) -> Summary:
    imports, people = (Path(text) if text else None for text in (body.imports, body.people))
    review = await campaign.collect_evidence(desk, actor, review_id, imports=imports, people=people)
    return {"tables": len(review.hashes)}


async def _audit(desk: Desk, actor: Actor, review_id: str, _body: StageBody) -> Summary:
    result = await campaign.audit(desk, actor, review_id)
    return {
        "active grants": len(result.active_grants),
        "standing": len(result.standing),
        "findings": len(result.findings),
    }


async def _validate(desk: Desk, actor: Actor, review_id: str, _body: StageBody) -> Summary:
    result = await campaign.validate(desk, actor, review_id)
    return {"items": len(result.items), "findings": len(result.findings)}


async def _workflows(desk: Desk, actor: Actor, review_id: str, _body: StageBody) -> Summary:
    result = await campaign.workflows(desk, actor, review_id)
    return {
        "re-derived": result.rederived,
        "different": len(result.different),
        "findings": len(result.findings),
    }


async def _adjust(desk: Desk, actor: Actor, review_id: str, _body: StageBody) -> Summary:
    result = await campaign.adjust(desk, actor, review_id)
    return {"proposals": len(result.proposals), "findings": len(result.findings)}


async def _seal(desk: Desk, actor: Actor, review_id: str, _body: StageBody) -> Summary:
    pack = await campaign.document(desk, actor, review_id)
    return {
        "report": str(pack.folder / "report.html"),
        "pack": str(pack.archive),
        "manifest": pack.manifest_sha256,
    }


_STAGES: dict[str, Stage] = {
    "collect": _collect,
    "audit": _audit,
    "validate": _validate,
    "workflows": _workflows,
    "adjust": _adjust,
    "seal": _seal,
}
