"""Recurring reviews: what is reviewed how often, and what looks in between know of findings."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lapse.bootstrap.looking import Looked, look, take_off
from lapse.bootstrap.recurring import start_missed
from lapse.bootstrap.reviewing import given_of
from lapse.control.schedules import NewSchedule, add_schedule, set_continuous
from lapse.domain.actors import Scope
from lapse.domain.errors import NotFound
from lapse.domain.looks import KnownFinding, current
from lapse.domain.names import shown
from lapse.domain.reviews import Review
from lapse.domain.schedules import GivenFiles, ReviewSchedule
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes
from lapse.entrypoints.api.routes.reviews import PlanBody
from lapse.ports import Reader
from lapse.review.scope import parse_scope
from lapse.review.terms import ReviewTerms, check_terms

ROUTES = Routes("reviews")
_READERS = (Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)


class NewScheduleBody(PlanBody, frozen=True, kw_only=True):
    """A review of `scope` every so many months; with `continuous` findings are kept up to date every day besides.

    Folders and files are on the server's machine, and read anew each time. `sources` are like
    `cloudtrail=PATH,complete=yes`.
    """

    name: str
    scope: str
    every_months: int = 3
    title: str = ""
    frameworks: tuple[str, ...] = ()
    continuous: bool = False
    imports: str = ""
    people: str = ""
    conflicts: str = ""
    detectors: str = ""
    sources: tuple[str, ...] = ()

    def given(self) -> GivenFiles:
        """The files, if they are there.

        Raises:
            NotFound: one is not, or there is no such kind of source.
        """
        files = GivenFiles(
            imports=self.imports,
            people=self.people,
            conflicts=self.conflicts,
            detectors=self.detectors,
            sources=self.sources,
        )
        wanted = [source.path for source in given_of(msgspec.to_builtins(files)).sources]
        named = [Path(path) for path in (self.imports, self.people, self.conflicts, self.detectors) if path]
        for path in (*named, *wanted):
            if not path.exists():
                raise NotFound(f"there is no `{shown(str(path), 200)}`", hint="name what is there each time it is read")
        return files


class ContinuousBody(Body, frozen=True, kw_only=True):
    """Whether new evidence is looked at every day."""

    continuous: bool


class FindingsQuery(Query, frozen=True, kw_only=True):
    """`fixed`: with those that were fixed."""

    fixed: bool = False


class MissedBody(Body, frozen=True, kw_only=True):
    """`period`: one that was missed, as the schedule names it."""

    period: str


@ROUTES.get("/api/v1/review-schedules", Listing[ReviewSchedule])
async def list_schedules(call: Call) -> Listing[ReviewSchedule]:
    """What recurs, by name."""
    call.actor.require(*_READERS)
    return Listing(await call.app.store.read(lambda reader: reader.schedules()))


@ROUTES.post("/api/v1/review-schedules", ReviewSchedule, body=NewScheduleBody, status=201)
async def new_schedule(call: Call) -> ReviewSchedule:
    """Put a recurring review on the schedule."""
    body: NewScheduleBody = call.body
    call.actor.require(Scope.REVIEW, Scope.ADMIN)
    catalog = await call.app.store.read(lambda reader: reader.catalog())
    scope = parse_scope(body.scope, f"{call.control.now():%Y}", frameworks=body.frameworks)
    scope.resources_of(catalog)
    scope.check_people(catalog)
    check_terms(ReviewTerms(plan=body.plan()), catalog)
    wanted = NewSchedule(
        name=body.name,
        scope=scope.selector,
        every_months=body.every_months,
        title=body.title,
        plan=body.plan(),
        frameworks=scope.frameworks,
        continuous=body.continuous,
        given=body.given(),
    )
    return await add_schedule(call.control, call.actor, wanted)


@ROUTES.get("/api/v1/review-schedules/{name}", ReviewSchedule)
async def show_schedule(call: Call) -> ReviewSchedule:
    """One of them: when its next review begins, what it missed, how the last look went."""
    call.actor.require(*_READERS)
    return await call.app.store.read(lambda reader: reader.schedule(call.path["name"]))


@ROUTES.post("/api/v1/review-schedules/{name}/continuous", ReviewSchedule, body=ContinuousBody)
async def change_schedule(call: Call) -> ReviewSchedule:
    """Have new evidence looked at every day, or no more."""
    return await set_continuous(call.control, call.actor, call.path["name"], continuous=call.body.continuous)


@ROUTES.post("/api/v1/review-schedules/{name}/remove", None)
async def drop_schedule(call: Call) -> None:
    """Take a recurring review off the schedule, with what is known of findings in between; the ledger keeps that."""
    await take_off(call.app, call.actor, call.path["name"])


@ROUTES.post("/api/v1/review-schedules/{name}/missed", Review, body=MissedBody, status=201)
async def start_one_missed(call: Call) -> Review:
    """Start the review of a period that was missed."""
    return await start_missed(call.app, call.actor, call.path["name"], call.body.period)


@ROUTES.post("/api/v1/review-schedules/{name}/looks", Looked, status=201)
async def look_now(call: Call) -> Looked:
    """Look at new evidence now: what became of each finding. Nobody is asked, and nothing is taken away."""
    return await look(call.app, call.actor, call.path["name"])


@ROUTES.get("/api/v1/review-schedules/{name}/findings", Listing[KnownFinding], query=FindingsQuery)
async def current_findings(call: Call) -> Listing[KnownFinding]:
    """What is there, accepted or not known as of the last look, worst first; nothing if there was none."""
    call.actor.require(*_READERS)
    name = call.path["name"]

    async def work(reader: Reader) -> list[KnownFinding]:
        schedule = await reader.schedule(name)
        known = await reader.known_findings(name)
        return current(known, schedule.look.at, fixed=call.query.fixed) if schedule.look else []

    return Listing(await call.app.store.read(work))
