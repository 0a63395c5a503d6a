"""Deliver what waits in the outbox, by every way that is set up, at least once and for at most some days.

Called by the server all the time, and after each command that works without one. A notice is taken before it is tried:
its next try is put off in the store, so that a second replica leaves it alone, and one that dies meanwhile has kept it
from the others for a minute only. What a place took is noted and not sent there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.errors import Conflict, LapseError, Refused
from lapse.domain.notices import Attempt, Posting, PostingState
from lapse.ledger.entry import Entry
from lapse.ports import Notifier, Transaction

LEASE = timedelta(seconds=60)
LONGEST_TRY = 45.0
"""Seconds for all places of one notice: less than the lease, so that nobody else begins meanwhile."""

AT_ONCE = 20
GIVE_UP_AFTER = timedelta(days=3)


async def deliver_due(control: Control, ways: Sequence[Notifier], give_up_after: timedelta = GIVE_UP_AFTER) -> int:
    """Try every notice that is due now, once; returns how many were tried. Without a way they wait."""
    now = control.now()
    if not ways or not await control.store.read(lambda reader: reader.postings_due(now, 1)):
        return 0
    try:
        taken = await control.store.write(lambda tx: _take(tx, now))
    except Conflict:
        return 0  # others are at it
    catalog = await control.store.read(lambda reader: reader.catalog())
    await asyncio.gather(*(_deliver(control, ways, catalog, posting, give_up_after) for posting in taken))
    return len(taken)


async def _take(tx: Transaction, now: datetime) -> Sequence[Posting]:
    due = await tx.postings_due(now, AT_ONCE)
    taken = [posting.taken(now + LEASE) for posting in due]
    await tx.save_postings(taken)
    return taken


async def _deliver(
    control: Control, ways: Sequence[Notifier], catalog: Catalog, posting: Posting, give_up_after: timedelta
) -> None:
    attempt = await _try(control, ways, catalog, posting)
    after = posting.tried(attempt, at=control.now(), give_up_after=give_up_after)

    async def work(tx: Transaction) -> None:
        stored = await tx.posting(posting.id)
        if stored.version != posting.version:
            return  # the lease ran out and somebody else has it: what they do holds
        await tx.save_postings([after])
        if after.state is not PostingState.WAITING:
            await tx.append([_entry(after, control.now())])

    await control.store.write(work)


@dataclass
class _Outcome:
    sent: dict[str, datetime] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)


async def _try(control: Control, ways: Sequence[Notifier], catalog: Catalog, posting: Posting) -> Attempt:
    """Send to every place that neither took it nor refused it; what was sent before the time is up counts."""
    found = _Outcome()
    try:
        async with asyncio.timeout(LONGEST_TRY):
            for way in ways:
                await _try_way(control, way, catalog, posting, found)
    except TimeoutError:
        found.errors.append("there was not enough time for all places")
    missing = f"no address of {', '.join(f'`{name}`' for name in sorted(found.missing))} is known"
    said = [*found.errors, *found.refused.values(), *([missing] if found.missing else [])]
    return Attempt(sent=found.sent, refused=found.refused, error="; ".join(said)[:500], complete=not found.errors)


async def _try_way(control: Control, way: Notifier, catalog: Catalog, posting: Posting, found: _Outcome) -> None:
    places = way.places(posting.notice, catalog)
    found.missing |= set(places.missing)
    for place in places.reached:
        if place in posting.sent or place in posting.refused:
            continue
        try:
            await way.send(posting, place)
        except Refused as error:
            found.refused[place] = error.message
        except LapseError as error:
            found.errors.append(error.message)
        else:
            found.sent[place] = control.now()


def _entry(closed: Posting, at: datetime) -> Entry:
    """That it was delivered, or given up: whoever says later that nobody told them can be answered."""
    notice = closed.notice
    reached = {"state": closed.state.value, "sent": sorted(closed.sent), "refused": sorted(closed.refused)}
    return Entry(
        type=f"notice.{closed.state}",
        at=at,
        actor="system:notices",
        subject=notice.subject,
        after={name: to_data(value) for name, value in reached.items()},
        context={"notice": closed.id, "kind": notice.kind.value, "to": to_data(notice.to), "error": closed.error},
    )
