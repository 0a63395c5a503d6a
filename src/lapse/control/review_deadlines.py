"""The clock of reviews: reminds those who are asked, hands on what they leave lying, and closes at the deadline.

Each call is made once: that it was made is recorded with the item, in the transaction that posts the notice. Costs grow
with the items that are undecided in reviews that go on, and with nothing else. Called by the server's clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.notices import post
from lapse.control.reviews import record_vote, undecided
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.reviews import Item, ItemVote, Review, ReviewState
from lapse.ledger.entry import changed
from lapse.ports import Reader, Transaction

_CLOCK = "system:clock"
_DECIDABLE = frozenset({ReviewState.VALIDATED, ReviewState.EXAMINED, ReviewState.ADJUSTED})
_AT_ONCE = 500
ASKED, HALF, LAST = "asked", "half", "last"


async def move_reviews_on(control: Control) -> int:
    """Make every call and take every default that is due now; returns how many items changed."""
    done = 0
    for review in await control.store.read(lambda reader: reader.reviews()):
        if review.state in _DECIDABLE and review.due_at is not None:
            done += await _move_on(control, review)
    return done


async def _move_on(control: Control, review: Review) -> int:
    now = control.now()
    waiting = await control.store.read(lambda reader: _waiting(reader, review, now))
    for start in range(0, len(waiting), _AT_ONCE):
        some = [item.id for item in waiting[start : start + _AT_ONCE]]

        async def work(tx: Transaction, some: Sequence[str] = some) -> None:
            await _step(control, tx, review.id, some)

        await control.store.write(work)
    return len(waiting)


async def _waiting(reader: Reader, review: Review, now: datetime) -> list[Item]:
    """The undecided items for which something is to be done."""
    return [item for item in undecided(await reader.items(review.id)) if _due(item, review, now)]


def _due(item: Item, review: Review, now: datetime) -> str:
    """What is to be done about an undecided item: a call, `escalate`, `default`, or nothing."""
    if review.over(now):
        return "default" if review.plan.by_default is not None else ""
    began = (review.due_at or now) - review.plan.within
    if item.asking + 1 < len(item.asked) and now >= began + (item.asking + 1) * review.plan.escalate_after:
        return "escalate"
    return _call_due(item, review, now) if item.turn else ""


def _call_due(item: Item, review: Review, now: datetime) -> str:
    """Those who are asked are told at once, half way, and when an eighth of the time is left."""
    left = (review.due_at or now) - now
    if f"{ASKED} {item.asking}" not in item.told:
        return ASKED
    if left <= review.plan.within / 8 and LAST not in item.told:
        return LAST
    half = left <= review.plan.within / 2 and not {HALF, LAST} & set(item.told)
    return HALF if half else ""


async def _step(control: Control, tx: Transaction, review_id: str, item_ids: Sequence[str]) -> None:
    review, now = await tx.review(review_id), control.now()
    calls: dict[tuple[str, tuple[str, ...]], int] = defaultdict(int)
    for item_id in item_ids:
        item = await tx.item(item_id)
        what = _due(item, review, now) if item.decision is None else ""
        if what == "default":
            await _default(tx, item, review, now)
        elif what == "escalate":
            after = replace(item, asking=item.asking + 1, version=item.version + 1)
            await tx.save_item(after)
            await tx.append([changed("review.escalated", item, after, item.id, at=now, actor=_CLOCK)])
        elif what:
            mark = f"{what} {item.asking}" if what == ASKED else what
            await tx.save_item(replace(item, told=(*item.told, mark), version=item.version + 1))
            calls[what, item.turn] += 1
    await post(control, tx, [_notice(review, what, to, number, now) for (what, to), number in calls.items()])


async def _default(tx: Transaction, item: Item, review: Review, now: datetime) -> None:
    """Nobody decided in time: the review's own default is taken, and is shown as that."""
    if review.plan.by_default is None:
        return
    reason = f"nobody decided by {review.due_at:%Y-%m-%d %H:%M} UTC, and that is the default of this review"
    vote = ItemVote(
        decision=review.plan.by_default, by=_CLOCK, at=now, stage=item.stage, reason=reason, by_default=True
    )
    after = await record_vote(tx, item, vote, review)
    await tx.append([changed("review.defaulted", item, after, item.id, at=now, actor=_CLOCK)])


def _notice(review: Review, what: str, to: tuple[str, ...], number: int, now: datetime) -> Notice:
    items = "1 permission waits" if number == 1 else f"{number} permissions wait"
    until = f"{review.due_at:%Y-%m-%d %H:%M} UTC" if review.due_at else "its end"
    default = f"; after that: {review.plan.by_default}" if review.plan.by_default else ""
    kind = NoticeKind.ITEMS_ASKED if what == ASKED else NoticeKind.ITEMS_REMINDER
    text = f"{items} for your decision in `{review.title}` until {until}{default}"
    return Notice(kind=kind, subject=review.id, to=to, text=text, at=now)
