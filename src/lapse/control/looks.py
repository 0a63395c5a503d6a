"""Looks between reviews: record what one saw, or that it failed. Called by `bootstrap.looking`.

One look follows another: what it changes was worked out from what the look before had left, and is recorded only if
that is still the last one on record, whoever else looks at the same time. Entries grow with the findings whose state
changed, and those who look after the schedule hear of what is new in one notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lapse.control.context import Control
from lapse.control.schedules import tell_of
from lapse.domain.actors import Actor
from lapse.domain.errors import Conflict
from lapse.domain.looks import THERE, KnownChange, KnownFinding, Look
from lapse.domain.names import shown
from lapse.domain.notices import NoticeKind
from lapse.domain.reviews import FindingState, Severity
from lapse.domain.schedules import ReviewSchedule
from lapse.ledger.entry import Entry, changed, created
from lapse.ports import Transaction

_NEWS = frozenset({FindingState.NEW, FindingState.BACK})
_LONGEST_REASON = 500


async def record_look(
    control: Control, actor: Actor, before: ReviewSchedule, look: Look, changes: Sequence[KnownChange]
) -> ReviewSchedule:
    """Record `look` and what it changed, worked out from what was known at `before`.

    Raises:
        Conflict: another look was recorded meanwhile.
        NotFound: the schedule is no more.
    """

    async def work(tx: Transaction) -> ReviewSchedule | None:
        found = await tx.schedule(before.name)
        if found.last_look != before.last_look:
            return None
        after = found.looked(look)
        await tx.save_schedule(after)
        await tx.put_known_findings([change.after for change in changes])
        entry = created("look.recorded", look, f"schedule:{found.name}", at=look.at, actor=actor.name)
        await tx.append([entry, *(_entry(one, look, actor) for one in changes if one.on_record)])
        await _tell_of_news(control, tx, after, changes)
        return after

    recorded = await control.store.write(work)
    if recorded is None:
        raise Conflict(f"another look at `{before.name}` was recorded meanwhile", hint="look again")
    return recorded


async def note_failed_look(control: Control, actor: Actor, before: ReviewSchedule, reason: str) -> bool:
    """Record that a look failed; what is known stays as it is. False if another one was recorded meanwhile."""

    async def work(tx: Transaction) -> bool:
        found, now = await tx.schedule(before.name), control.now()
        if found.last_look != before.last_look:
            return False
        after = found.look_failed(shown(reason, _LONGEST_REASON), now)
        await tx.save_schedule(after)
        await tx.append([changed("look.failed", found, after, f"schedule:{found.name}", at=now, actor=actor.name)])
        if found.failure is None:
            text = f"looking at new evidence of `{found.name}` failed, and is tried again: {reason}"
            await tell_of(control, tx, after, NoticeKind.LOOK_FAILED, text)
        return True

    return await control.store.write(work)


def _entry(change: KnownChange, look: Look, actor: Actor) -> Entry:
    after = change.after
    state = after.at_look(look.at).finding.state
    kind, subject = f"finding.{state.replace(' ', '_')}", f"finding:{after.finding.fingerprint}"
    context = {"schedule": after.schedule, "look": look.id}
    if change.before is None:
        return replace(created(kind, after, subject, at=look.at, actor=actor.name), context=context)
    return replace(changed(kind, change.before, after, subject, at=look.at, actor=actor.name), context=context)


async def _tell_of_news(
    control: Control, tx: Transaction, schedule: ReviewSchedule, changes: Sequence[KnownChange]
) -> None:
    look = schedule.look
    if look is None:
        return
    moved = [change.after.at_look(look.at) for change in changes if change.on_record]
    news = [one for one in moved if one.finding.state in _NEWS or _graver(one, changes)]
    if not news:
        return
    order = list(Severity)
    worst = min((one.finding for one in news), key=lambda finding: order.index(finding.severity))
    counted = ", ".join(f"{number} {name}" for name, number in _by_severity(news))
    fixed = sum(one.finding.state is FindingState.FIXED for one in moved)
    text = (
        f"new evidence of `{schedule.name}`: new, back again or graver are {counted}; fixed are {fixed}; "
        f"the worst is {worst.detector}, {worst.summary}"
    )
    await tell_of(control, tx, schedule, NoticeKind.FINDINGS_NEW, text)


def _graver(one: KnownFinding, changes: Sequence[KnownChange]) -> bool:
    """Whether one that is there became more severe."""
    if one.finding.state not in THERE:
        return False
    before = next((c.before for c in changes if c.after.id == one.id), None)
    order = list(Severity)
    return before is not None and order.index(one.finding.severity) < order.index(before.finding.severity)


def _by_severity(found: Sequence[KnownFinding]) -> list[tuple[str, int]]:
    numbers = [(str(one), sum(f.finding.severity is one for f in found)) for one in Severity]
    return [(name, number) for name, number in numbers if number]
