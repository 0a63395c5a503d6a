"""Looks between reviews: at a schedule's new evidence now, or each day where it says so. Called by the API and clock.

A look computes apart and is recorded in one transaction at its end, so a crash before that leaves nothing, and the next
tick makes it good. Two servers that look at once both compute; the one that is later records nothing. A look that fails
is on record as that, and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lapse.bootstrap.app import App
from lapse.bootstrap.recurring import CLOCK, given_to
from lapse.bootstrap.reviewing import at_desk, desk_of
from lapse.control.looks import note_failed_look, record_look
from lapse.control.schedules import remove_schedule
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict, LapseError
from lapse.domain.looks import KnownFinding
from lapse.domain.schedules import ReviewSchedule
from lapse.ports import Reader
from lapse.review.detection.look import Seen, forget, keep_only, look_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look that is on record: the schedule as it is now, and the findings whose state it changed."""

    schedule: ReviewSchedule
    changed: tuple[KnownFinding, ...]


async def look_where_due(app: App, on_trouble: Callable[[str, str], None]) -> int:
    """Look once at every schedule that is due; returns how many looks were recorded. `on_trouble` hears of failures."""
    due = [one for one in await app.store.read(lambda reader: reader.schedules()) if one.look_due(app.clock.now())]
    done = 0
    for schedule in due:
        try:
            await look(app, CLOCK, schedule.name)
        except Conflict:
            continue  # another server looked
        except LapseError as error:
            on_trouble(schedule.name, error.message)
        else:
            done += 1
    return done


async def look(app: App, actor: Actor, name: str) -> Looked:
    """Look at what a schedule is about, now, whether or not it is due.

    Raises:
        NotFound: there is no such schedule.
        Conflict: another look was recorded meanwhile.
        LapseError: it failed, which is on record too.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(reader: Reader) -> tuple[ReviewSchedule, Sequence[KnownFinding]]:
        return await reader.schedule(name), await reader.known_findings(name)

    before, known = await app.store.read(work)
    look_id = app.parts.new_id("look")
    try:
        seen = await at_desk(app, lambda desk: look_at(desk, before, known, look_id, given_to(before)))
        app.parts.on_step("look.seen")
        after = await _recorded(app, actor, before, seen)
    except Exception as error:
        forget(desk_of(app), name, look_id)
        await _failed(app, actor, before, error)
        raise
    keep_only(desk_of(app), name, look_id)
    changed = (change.after.at_look(seen.look.at) for change in seen.changes if change.on_record)
    return Looked(schedule=after, changed=tuple(changed))


async def take_off(app: App, actor: Actor, name: str) -> None:
    """Take a schedule off, with what its looks know and the evidence of the last one."""
    await remove_schedule(app.control, actor, name)
    forget(desk_of(app), name)


async def _recorded(app: App, actor: Actor, before: ReviewSchedule, seen: Seen) -> ReviewSchedule:
    """The schedule with the look on record; a store that reports a failure may have recorded it all the same."""
    try:
        return await record_look(app.control, actor, before, seen.look, seen.changes)
    except LapseError:
        now = await app.store.read(lambda reader: reader.schedule(before.name))
        if now.last_look != seen.look.id:
            raise
        return now


async def _failed(app: App, actor: Actor, before: ReviewSchedule, error: Exception) -> None:
    """Put it on record, unless the schedule is no more.

    Raises:
        Conflict: another look was recorded meanwhile, which may be why this one failed.
    """
    now = {one.name: one for one in await app.store.read(lambda reader: reader.schedules())}.get(before.name)
    if now is None:
        return
    if now.last_look != before.last_look:
        raise Conflict(f"another look at `{before.name}` was recorded meanwhile", hint="look again") from error
    reason = error.message if isinstance(error, LapseError) else f"{type(error).__name__}: {error}"
    await note_failed_look(app.control, actor, before, reason)
