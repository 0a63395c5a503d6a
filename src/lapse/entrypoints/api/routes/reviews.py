"""Reviews: start one, take its steps, read what it found, compare two, download its pack, sign it off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lapse.bootstrap.exports import pseudonymised_pack
from lapse.bootstrap.reviewing import at_desk, desk_of, given_of
from lapse.control.signing import sign_review
from lapse.domain.actors import Actor, Scope
from lapse.domain.durations import parse_duration
from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.domain.reviews import ItemDecision, Review, ReviewPlan
from lapse.entrypoints.api.operations import Body, Call, Download, Listing, Query, Routes
from lapse.review import campaign
from lapse.review.campaign import Desk
from lapse.review.detection.changes import ReviewDiff, compare
from lapse.review.model import ReviewResult
from lapse.review.terms import LONGEST, ReviewTerms

ROUTES = Routes("reviews")
_READERS = (Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)


class PlanBody(Body, frozen=True, kw_only=True):
    """How a review is decided. Durations like `14d` or `P14D`; `by_default`: `keep`, `revoke`, or nothing."""

    within: str = "14d"
    by_default: ItemDecision | None = None
    fallback: str = ""
    stages: int = 1
    escalate_after: str = "5d"
    reversible_for: str = "7d"
    carry_out_within: str = "24h"
    canaries: int = 0
    seed: int = 0

    def plan(self) -> ReviewPlan:
        """This as a value."""
        return ReviewPlan(
            within=parse_duration(self.within, longest=LONGEST),
            by_default=self.by_default,
            fallback=self.fallback,
            stages=self.stages,
            escalate_after=parse_duration(self.escalate_after, longest=LONGEST),
            reversible_for=parse_duration(self.reversible_for, longest=LONGEST),
            carry_out_within=parse_duration(self.carry_out_within, longest=LONGEST),
            canaries=self.canaries,
            seed=self.seed,
        )


class NewReviewBody(PlanBody, frozen=True, kw_only=True):
    """`scope`: `all`, `resource:NAME`, `tag:KEY=VALUE`; `period`: `2026-Q3`, `2026-07`, `2026` or two days.

    `thresholds` are of detectors, by id and name.
    """

    scope: str
    period: str
    title: str = ""
    frameworks: tuple[str, ...] = ()
    thresholds: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)


class StageBody(Body, frozen=True, kw_only=True):
    """For `collect`: folders and files on the server's machine with evidence from elsewhere.

    `sources` are like `cloudtrail=PATH,complete=yes`.
    """

    imports: str = ""
    people: str = ""
    conflicts: str = ""
    detectors: str = ""
    sources: tuple[str, ...] = ()


class SignBody(Body, frozen=True, kw_only=True):
    """`sealed`: at least 12 digits of the SHA-256 that the pack's verification prints."""

    sealed: str
    note: str = ""


class PackQuery(Query, frozen=True, kw_only=True):
    """`pseudonymised`: an export without names and free texts, made when it is first asked for."""

    pseudonymised: bool = False


class DiffQuery(Query, frozen=True, kw_only=True):
    """`against`: the older review."""

    against: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that was taken: the review as it is now, and what the step says in a few figures."""

    review: Review
    summary: dict[str, int | str]


@ROUTES.post("/api/v1/reviews", Review, body=NewReviewBody, status=201)
async def start_review(call: Call) -> Review:
    """Step 1, scope: open a review."""
    body: NewReviewBody = call.body
    terms = ReviewTerms(title=body.title, plan=body.plan(), frameworks=body.frameworks, thresholds=body.thresholds)
    return await campaign.start(desk_of(call.app), call.actor, body.scope, body.period, terms)


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


@ROUTES.get("/api/v1/reviews/{review_id}/diff", ReviewDiff, query=DiffQuery)
async def diff_reviews(call: Call) -> ReviewDiff:
    """What a review found and an older one did not, what was fixed, what could not be assessed any more."""
    call.actor.require(*_READERS)
    desk = desk_of(call.app)
    older, newer = (
        await campaign.past_of(desk, call.query.against),
        await campaign.past_of(desk, call.path["review_id"]),
    )
    return compare(older, newer)


@ROUTES.post("/api/v1/reviews/{review_id}/signatures", Review, body=SignBody, status=201)
async def sign(call: Call) -> Review:
    """Sign a sealed review by naming what was sealed; two persons do."""
    body: SignBody = call.body
    return await sign_review(call.control, call.actor, call.path["review_id"], body.sealed, body.note)


@ROUTES.get("/api/v1/reviews/{review_id}/pack", Download, query=PackQuery, media_type="application/zip")
async def download_pack(call: Call) -> Download:
    """The sealed pack, a zip file that `verify.py` inside it (or `lapse review verify`) checks offline."""
    call.actor.require(*_READERS)
    review_id = (await _review(call)).id
    path = campaign.pack_of(desk_of(call.app), review_id)
    if call.query.pseudonymised:
        path = await at_desk(call.app, lambda desk: _pseudonymised(desk, call.actor, review_id))
    return Download(path.read_bytes(), "application/zip", path.name)


async def _pseudonymised(desk: Desk, actor: Actor, review_id: str) -> Path:
    return pseudonymised_pack(desk, actor, review_id)


async def _review(call: Call) -> Review:
    return await call.app.store.read(lambda reader: reader.review(call.path["review_id"]))


Summary = dict[str, int | str]
Stage = Callable[[Desk, Actor, str, StageBody], Awaitable[Summary]]


async def _collect(desk: Desk, actor: Actor, review_id: str, body: StageBody) -> Summary:
    review = await campaign.collect_evidence(desk, actor, review_id, given_of(msgspec.to_builtins(body)))
    return {"tables": len(review.hashes.keys() - {campaign.STORED})}


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
