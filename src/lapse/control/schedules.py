"""Recurring reviews: put one on the schedule, take one off, note that one was started. Called by the API and clock.

That a review was started is noted in the transaction that opens it: however often it is tried, and by however many
servers, there is one review for one period.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.notices import post
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict
from lapse.domain.names import check_name, check_text
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.reviews import Review, ReviewPlan
from lapse.domain.schedules import GivenFiles, ReviewSchedule, first_after
from lapse.ledger.entry import Entry, changed, created
from lapse.ports import Transaction

_CLOCK = "system:clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A review of `scope` every so many months; the first begins when the present period is over."""

    name: str
    scope: str
    every_months: int = 3
    title: str = ""
    plan: ReviewPlan = field(default_factory=ReviewPlan)
    frameworks: tuple[str, ...] = ()
    continuous: bool = False
    given: GivenFiles = field(default_factory=GivenFiles)


async def add_schedule(control: Control, actor: Actor, wanted: NewSchedule) -> ReviewSchedule:
    """Put a recurring review on the schedule. Its scope is checked by whoever calls this.

    Raises:
        InvalidInput: the name is none, or the months do not divide a year.
        Conflict: there is one of this name.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)
    name, now = check_name(wanted.name, what="name of the schedule"), control.now()
    made = ReviewSchedule(
        name=name,
        scope=wanted.scope,
        every_months=wanted.every_months,
        next_at=first_after(now, wanted.every_months),
        created_by=actor.name,
        created_at=now,
        title=check_text(wanted.title, what="title"),
        plan=wanted.plan,
        frameworks=wanted.frameworks,
        continuous=wanted.continuous,
        given=wanted.given,
    )

    async def work(tx: Transaction) -> ReviewSchedule:
        if any(one.name == name for one in await tx.schedules()):
            raise Conflict(f"there is a schedule `{name}` already", hint="take it off first, or choose another name")
        await tx.add_schedule(made)
        await tx.append([created("schedule.added", made, f"schedule:{name}", at=now, actor=actor.name)])
        return made

    return await control.store.write(work)


async def set_continuous(control: Control, actor: Actor, name: str, *, continuous: bool) -> ReviewSchedule:
    """Have new evidence looked at every day from now on, or no more; what is known stays."""
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(tx: Transaction) -> ReviewSchedule:
        before = await tx.schedule(name)
        if before.continuous == continuous:
            return before
        after = replace(before, continuous=continuous, version=before.version + 1)
        await tx.save_schedule(after)
        entry = changed("schedule.changed", before, after, f"schedule:{name}", at=control.now(), actor=actor.name)
        await tx.append([entry])
        return after

    return await control.store.write(work)


async def remove_schedule(control: Control, actor: Actor, name: str) -> None:
    """Take a recurring review off the schedule; reviews that were started go on."""
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(tx: Transaction) -> None:
        await tx.remove_schedule(name)
        entry = Entry(type="schedule.removed", at=control.now(), actor=actor.name, subject=f"schedule:{name}")
        await tx.append([entry])

    await control.store.write(work)


async def note_started(control: Control, tx: Transaction, review: Review, due_at: datetime) -> None:
    """Note in `tx`, which opens `review`, that it is the one that was due at `due_at`; what is missed is noted too.

    `due_at` is that of the latest period that is over. Periods before it are not reviewed late: a review reads targets
    as they are now, which says nothing of what was there then.

    Raises:
        Conflict: it was started by somebody else.
    """
    before, now = await tx.schedule(review.schedule), control.now()
    ready = before.caught_up(now)
    if ready.next_at != due_at:
        raise Conflict(f"the review of `{before.name}` was started by somebody else")
    after, subject = ready.started(review.id), f"schedule:{before.name}"
    await tx.save_schedule(after)
    if ready != before:
        await tx.append([changed("schedule.missed", before, ready, subject, at=now, actor=_CLOCK)])
        periods = ", ".join(ready.missed[len(before.missed) :])
        text = f"no server ran when {periods} of `{before.name}` were to be reviewed; each can be started by hand"
        await tell_of(control, tx, after, NoticeKind.REVIEW_MISSED, text)
    await tx.append([changed("schedule.started", ready, after, subject, at=now, actor=_CLOCK)])


async def note_made_up_for(control: Control, tx: Transaction, review: Review) -> None:
    """Note in `tx`, which opens `review`, that it is about a period that was missed.

    Raises:
        NotFound: it was not missed, or somebody started it before.
    """
    before = await tx.schedule(review.schedule)
    after = before.made_up_for(review.period)
    await tx.save_schedule(after)
    entry = changed(
        "schedule.made_up", before, after, f"schedule:{before.name}", at=control.now(), actor=review.started_by
    )
    await tx.append([replace(entry, context={"review": review.id, "period": review.period})])


async def tell_of(control: Control, tx: Transaction, schedule: ReviewSchedule, kind: NoticeKind, text: str) -> None:
    """Tell who put the review on the schedule, and who is asked where there is nobody else."""
    catalog, name = await tx.catalog(), schedule.created_by
    fallback = catalog.persons_in(schedule.plan.fallback) if schedule.plan.fallback else frozenset[str]()
    to = tuple(sorted({catalog.person_of(name) or name, *fallback}))
    subject = f"schedule:{schedule.name}"
    await post(control, tx, [Notice(kind=kind, subject=subject, to=to, text=text, at=control.now())])
