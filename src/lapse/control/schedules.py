"""Recurring reviews: put one on the schedule, take one off, note that one was started. Called by the API and clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lapse.control.context import Control
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict
from lapse.domain.names import check_name, check_text
from lapse.domain.reviews import ReviewPlan
from lapse.domain.schedules import ReviewSchedule, first_after
from lapse.ledger.entry import Entry, changed, created
from lapse.ports import Transaction


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
    )

    async def work(tx: Transaction) -> ReviewSchedule:
        if any(one.name == name for one in await tx.schedules()):
            raise Conflict(f"there is a schedule `{name}` already", hint="take it off first, or choose another name")
        await tx.add_schedule(made)
        await tx.append([created("schedule.added", made, f"schedule:{name}", at=now, actor=actor.name)])
        return made

    return await control.store.write(work)


async def remove_schedule(control: Control, actor: Actor, name: str) -> None:
    """Take a recurring review off the schedule; reviews that were started go on."""
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(tx: Transaction) -> None:
        await tx.remove_schedule(name)
        entry = Entry(type="schedule.removed", at=control.now(), actor=actor.name, subject=f"schedule:{name}")
        await tx.append([entry])

    await control.store.write(work)


async def note_started(control: Control, name: str, review_id: str, due_at: datetime) -> bool:
    """The review that was due at `due_at` was started as `review_id`; False if somebody else did so before."""

    async def work(tx: Transaction) -> bool:
        before = await tx.schedule(name)
        if before.next_at != due_at:
            return False
        after, now = before.started(review_id), control.now()
        await tx.save_schedule(after)
        await tx.append([changed("schedule.started", before, after, f"schedule:{name}", at=now, actor="system:clock")])
        return True

    return await control.store.write(work)
