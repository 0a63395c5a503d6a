"""One look between reviews: evidence collected anew, every detector run, and what became of each finding.

It reads, computes and returns a value; who records it says whether it counts. Called through `bootstrap`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lapse.domain.looks import KnownChange, KnownFinding, Look, counts, known_hash
from lapse.domain.schedules import ReviewSchedule
from lapse.review.campaign import Desk, Given, freeze
from lapse.review.collection.snapshot import MANIFEST, file_sha256
from lapse.review.detection.changes import seen_by
from lapse.review.detection.known import after_look, updated
from lapse.review.model import RunStatus
from lapse.review.scope import parse_scope
from lapse.review.stages import Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A look as it is to be recorded, and what it changes in what is known."""

    look: Look
    changes: tuple[KnownChange, ...]


async def look_at(
    desk: Desk, schedule: ReviewSchedule, known: Sequence[KnownFinding], look_id: str, given: Given
) -> Seen:
    """Look at what `schedule` is about, now. Nothing of it is on record when this returns.

    Raises:
        LapseError: evidence that should be there cannot be collected, or computed with.
    """
    period = schedule.looking_back(desk.clock.now())
    scope = parse_scope(schedule.scope, period, review_id=look_id, frameworks=schedule.frameworks)
    scope.check_people(await desk.store.read(lambda reader: reader.catalog()))
    folder = _folder_of(desk, schedule.name) / look_id
    snapshot = await freeze(desk, scope, given, folder)
    with Stages(desk.engine(), snapshot) as stages:
        found = stages.found()
    now = seen_by(snapshot.manifest, found.runs, found.findings)
    changes = after_look(schedule, known, now)
    after = updated(known, changes)
    look = Look(
        id=look_id,
        at=now.at,
        snapshot=file_sha256(folder / MANIFEST),
        findings=known_hash(after, now.at),
        counts=counts(after, now.at),
        assessed=len(now.assessed),
        not_assessed=tuple(sorted(run.detector for run in found.runs if run.status is RunStatus.NOT_ASSESSED)),
        unread=now.unread,
    )
    return Seen(look=look, changes=changes)


def keep_only(desk: Desk, schedule: str, look_id: str) -> None:
    """Of the evidence of a schedule's looks keep that of one, or nothing: a year of daily looks would fill a disk.

    Its hashes stay in the ledger.
    """
    folder = _folder_of(desk, schedule)
    for one in folder.iterdir() if folder.is_dir() else ():
        if one.name != look_id:
            shutil.rmtree(one, ignore_errors=True)


def forget(desk: Desk, schedule: str, look_id: str = "") -> None:
    """Remove the evidence of a look that came to nothing, or of all looks of a schedule that is no more."""
    folder = _folder_of(desk, schedule)
    shutil.rmtree(folder / look_id if look_id else folder, ignore_errors=True)


def _folder_of(desk: Desk, schedule: str) -> Path:
    return desk.folder / "looks" / schedule
