"""Recordings go when their time is over: first from where they are kept, then on record. Called by the server's clock.

What fails in between is done again: removing what is gone changes nothing. Hashes stay in store and ledger, so that
what was recorded, and that it was removed when it was due, can be shown for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lapse.control.context import Control
from lapse.domain.data import Json, to_data
from lapse.domain.errors import LapseError
from lapse.domain.recordings import Segment
from lapse.ledger.entry import Entry
from lapse.ports import Blobs, Transaction

ACTOR = "system:clock"
AT_ONCE = 500


async def remove_due_recordings(control: Control, blobs: Blobs) -> int:
    """Remove pieces of recordings that were kept long enough; returns how many.

    Raises:
        Unavailable: some could not be removed; all others were.
    """
    now = control.now()
    due = await control.store.read(lambda reader: reader.segments_due(now, AT_ONCE))
    removed, problem = await _removed(blobs, due)
    if removed:
        await control.store.write(lambda tx: _record(control, tx, removed))
    if problem is not None:
        raise problem
    return len(removed)


async def _removed(blobs: Blobs, due: Sequence[Segment]) -> tuple[list[Segment], LapseError | None]:
    removed: list[Segment] = []
    problem: LapseError | None = None
    for segment in due:
        try:
            await blobs.remove(segment.place)
        except LapseError as error:
            problem = error
        else:
            removed.append(segment)
    return removed, problem


async def _record(control: Control, tx: Transaction, removed: Sequence[Segment]) -> None:
    now = control.now()
    known = [await tx.segment(one.id) for one in removed]
    fresh = [replace(one, removed_at=now, version=one.version + 1) for one in known if one.removed_at is None]
    await tx.save_segments(fresh)
    await tx.append([_entry(segment) for segment in fresh])


def _entry(segment: Segment) -> Entry:
    after: dict[str, Json] = {
        "number": segment.number,
        "sha256": segment.sha256,
        "removed_at": to_data(segment.removed_at),
    }
    at = segment.removed_at or segment.keep_until
    return Entry(type="recording.removed", at=at, actor=ACTOR, subject=segment.session_id, after=after)
