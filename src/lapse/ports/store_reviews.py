"""The store's side of reviews: what was accepted, what is being taken away, what recurs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from lapse.domain.exceptions import ReviewException
from lapse.domain.looks import KnownFinding
from lapse.domain.removals import Removal
from lapse.domain.schedules import ReviewSchedule


class ReviewReader(Protocol):
    """The reading part; see `ports.Reader`."""

    async def exceptions(self) -> Sequence[ReviewException]:
        """All, ended or not, by id."""
        ...

    async def exception(self, exception_id: str) -> ReviewException: ...
    async def removals(self, *, resource: str | None = None) -> Sequence[Removal]: ...
    async def removal(self, removal_id: str) -> Removal: ...
    async def removals_due(self, now: datetime, limit: int) -> Sequence[Removal]:
        """Those with something to do by `now`, oldest first; costs grow with what is found."""
        ...

    async def schedules(self) -> Sequence[ReviewSchedule]: ...
    async def schedule(self, name: str) -> ReviewSchedule: ...
    async def known_findings(self, schedule: str) -> Sequence[KnownFinding]:
        """What the looks of one schedule know, by id; fixed ones included."""
        ...


class ReviewWriter(Protocol):
    """The writing part; see `ports.Transaction`."""

    async def add_exception(self, exception: ReviewException) -> None: ...
    async def save_exception(self, exception: ReviewException) -> None:
        """Replace the version before, or `Conflict`."""
        ...

    async def add_removals(self, removals: Sequence[Removal]) -> None: ...
    async def save_removals(self, removals: Sequence[Removal]) -> None:
        """Replace the versions before, or `Conflict`."""
        ...

    async def add_schedule(self, schedule: ReviewSchedule) -> None: ...
    async def save_schedule(self, schedule: ReviewSchedule) -> None:
        """Replace the version before, or `Conflict`."""
        ...

    async def remove_schedule(self, name: str) -> None:
        """It, and what its looks know."""
        ...

    async def put_known_findings(self, findings: Sequence[KnownFinding]) -> None:
        """Insert or replace by id; whoever calls this saves the schedule too, which keeps others away."""
        ...
