"""Recurring reviews: what is reviewed how often."""

from __future__ import annotations

from lapse.control.schedules import NewSchedule, add_schedule, remove_schedule
from lapse.domain.actors import Scope
from lapse.domain.schedules import ReviewSchedule
from lapse.entrypoints.api.operations import Call, Listing, Routes
from lapse.entrypoints.api.routes.reviews import PlanBody
from lapse.review.scope import parse_scope
from lapse.review.terms import ReviewTerms, check_terms

ROUTES = Routes("reviews")


class NewScheduleBody(PlanBody, frozen=True, kw_only=True):
    """A review of `scope` every so many months; with `continuous` findings are kept up to date every day besides."""

    name: str
    scope: str
    every_months: int = 3
    title: str = ""
    frameworks: tuple[str, ...] = ()
    continuous: bool = False


@ROUTES.get("/api/v1/review-schedules", Listing[ReviewSchedule])
async def list_schedules(call: Call) -> Listing[ReviewSchedule]:
    """What recurs, by name."""
    call.actor.require(Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)
    return Listing(await call.app.store.read(lambda reader: reader.schedules()))


@ROUTES.post("/api/v1/review-schedules", ReviewSchedule, body=NewScheduleBody, status=201)
async def new_schedule(call: Call) -> ReviewSchedule:
    """Put a recurring review on the schedule."""
    body: NewScheduleBody = call.body
    catalog = await call.app.store.read(lambda reader: reader.catalog())
    scope = parse_scope(body.scope, f"{call.control.now():%Y}", frameworks=body.frameworks)
    scope.resources_of(catalog)
    check_terms(ReviewTerms(plan=body.plan()), catalog)
    wanted = NewSchedule(
        name=body.name,
        scope=scope.selector,
        every_months=body.every_months,
        title=body.title,
        plan=body.plan(),
        frameworks=scope.frameworks,
        continuous=body.continuous,
    )
    return await add_schedule(call.control, call.actor, wanted)


@ROUTES.post("/api/v1/review-schedules/{name}/remove", None)
async def drop_schedule(call: Call) -> None:
    """Take a recurring review off the schedule."""
    await remove_schedule(call.control, call.actor, call.path["name"])
