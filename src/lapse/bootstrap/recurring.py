"""Starts reviews that recur when their time has come, and takes them to where people decide. Called by the clock.

After an absence only the latest period that is over is reviewed; those before it are on record as missed, and can be
started by hand. A review that a crash or a failing step left half way is taken on from there the next time. One that
fails keeps no other from going on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace

from lapse.bootstrap.app import App
from lapse.bootstrap.reviewing import at_desk, given_of
from lapse.control.schedules import note_made_up_for, note_started
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict, LapseError, NotFound
from lapse.domain.reviews import Review, ReviewState
from lapse.domain.schedules import ReviewSchedule
from lapse.ports import Transaction
from lapse.review import campaign
from lapse.review.campaign import Desk, Given, Noted
from lapse.review.terms import ReviewTerms

CLOCK = Actor(name="system:clock", scopes=frozenset({Scope.REVIEW}), via="system")

_NEXT: Mapping[ReviewState, Callable[[Desk, Actor, str], Awaitable[object]]] = {
    ReviewState.AUDITED: campaign.validate,
    ReviewState.COLLECTED: campaign.audit,
    ReviewState.VALIDATED: campaign.workflows,
    ReviewState.EXAMINED: campaign.adjust,
}
_UNFINISHED = frozenset({ReviewState.STARTED, *_NEXT})


async def start_due_reviews(app: App) -> int:
    """Start every review whose time has come, and take all that recur as far as they go; returns how many moved.

    Raises:
        LapseError: one of them failed, after all others were tried.
    """
    now, problems = app.clock.now(), list[LapseError]()
    schedules = {one.name: one for one in await app.store.read(lambda reader: reader.schedules())}
    for schedule in schedules.values():
        if schedule.next_at <= now:
            await _tried(_start(app, schedule.caught_up(now)), problems)
    reviews = await app.store.read(lambda reader: reader.reviews())
    unfinished = [one for one in reviews if one.schedule and one.state in _UNFINISHED]
    for review in unfinished:
        await _tried(_take_on(app, review, given_to(schedules.get(review.schedule))), problems)
    if problems:
        raise problems[0]
    return len(unfinished)


async def start_missed(app: App, actor: Actor, name: str, period: str) -> Review:
    """Start the review of a period that was missed; the clock takes it on from there.

    Raises:
        NotFound: there is no such schedule, or it missed no such period.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)
    schedule = await app.store.read(lambda reader: reader.schedule(name))
    schedule.made_up_for(period)

    async def noted(tx: Transaction, review: Review) -> None:
        await note_made_up_for(app.control, tx, review)

    return await _opened(app, actor, schedule, period, noted)


def given_to(schedule: ReviewSchedule | None) -> Given:
    """The files that a schedule reads besides the targets; none where it is no more."""
    return given_of(asdict(schedule.given)) if schedule else campaign.NOTHING_GIVEN


async def _tried(work: Awaitable[None], problems: list[LapseError]) -> None:
    try:
        await work
    except LapseError as error:
        problems.append(error)


async def _start(app: App, schedule: ReviewSchedule) -> None:
    async def noted(tx: Transaction, review: Review) -> None:
        await note_started(app.control, tx, review, schedule.next_at)

    try:
        await _opened(app, CLOCK, schedule, schedule.period, noted)
    except (Conflict, NotFound):
        if await _still_due(app, schedule):
            raise


async def _still_due(app: App, schedule: ReviewSchedule) -> bool:
    """Whether nobody else started it, nor took it off."""
    found = await app.store.read(lambda reader: reader.schedules())
    return any(one.name == schedule.name and one.next_at <= schedule.next_at for one in found)


async def _opened(app: App, actor: Actor, schedule: ReviewSchedule, period: str, noted: Noted) -> Review:
    plan = replace(schedule.plan, fallback=schedule.plan.fallback or schedule.created_by)
    terms = ReviewTerms(title=schedule.title, plan=plan, frameworks=schedule.frameworks, schedule=schedule.name)
    return await at_desk(app, lambda desk: campaign.start(desk, actor, schedule.scope, period, terms, noted))


async def _take_on(app: App, review: Review, given: Given) -> None:
    async def work(desk: Desk) -> None:
        now = review
        if now.state is ReviewState.STARTED:
            now = await campaign.collect_evidence(desk, CLOCK, review.id, given)
        while (step := _NEXT.get(now.state)) is not None:
            await step(desk, CLOCK, review.id)
            now = await desk.store.read(lambda reader: reader.review(review.id))

    await at_desk(app, work)
