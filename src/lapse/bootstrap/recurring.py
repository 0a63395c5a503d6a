"""Starts reviews that recur when their time has come, and takes them to where people decide. Called by the clock.

A review that a crash or a failing step left half way is taken on from there the next time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from lapse.bootstrap.app import App
from lapse.bootstrap.reviewing import at_desk
from lapse.control.schedules import note_started
from lapse.domain.actors import Actor, Scope
from lapse.domain.reviews import Review, ReviewState
from lapse.domain.schedules import ReviewSchedule
from lapse.review import campaign
from lapse.review.campaign import Desk
from lapse.review.terms import ReviewTerms

CLOCK = Actor(name="system:clock", scopes=frozenset({Scope.REVIEW}), via="system")

_NEXT: Mapping[ReviewState, Callable[[Desk, Actor, str], Awaitable[object]]] = {
    ReviewState.STARTED: campaign.collect_evidence,
    ReviewState.COLLECTED: campaign.audit,
    ReviewState.AUDITED: campaign.validate,
    ReviewState.VALIDATED: campaign.workflows,
    ReviewState.EXAMINED: campaign.adjust,
}


async def start_due_reviews(app: App) -> int:
    """Start every review whose time has come, and take all that recur as far as they go; returns how many moved."""
    now = app.clock.now()
    for schedule in await app.store.read(lambda reader: reader.schedules()):
        if schedule.next_at <= now:
            await _start(app, schedule)
    reviews = await app.store.read(lambda reader: reader.reviews())
    unfinished = [one for one in reviews if one.schedule and one.state in _NEXT]
    for review in unfinished:
        await _take_on(app, review)
    return len(unfinished)


async def _start(app: App, schedule: ReviewSchedule) -> None:
    plan = replace(schedule.plan, fallback=schedule.plan.fallback or schedule.created_by)
    terms = ReviewTerms(title=schedule.title, plan=plan, frameworks=schedule.frameworks, schedule=schedule.name)

    async def work(desk: Desk) -> None:
        review = await campaign.start(desk, CLOCK, schedule.scope, schedule.period, terms)
        await note_started(app.control, schedule.name, review.id, schedule.next_at)

    await at_desk(app, work)


async def _take_on(app: App, review: Review) -> None:
    async def work(desk: Desk) -> None:
        now = review
        while (step := _NEXT.get(now.state)) is not None:
            await step(desk, CLOCK, review.id)
            now = await desk.store.read(lambda reader: reader.review(review.id))

    await at_desk(app, work)
