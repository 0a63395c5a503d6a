"""The part of the in-memory store that knows of exceptions, removals and schedules. Used by `fakes.store` alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lapse.domain.exceptions import ReviewException
from lapse.domain.looks import KnownFinding
from lapse.domain.removals import OPEN, Removal
from lapse.domain.schedules import ReviewSchedule

REVIEW_TABLES = ("exception", "removal", "schedule", "known finding")


class FakeReviewTransaction:
    """Reads and writes what reviews leave behind; the tables are those of the transaction that inherits it."""

    tables: dict[str, dict[Any, Any]]

    async def exceptions(self) -> Sequence[ReviewException]:
        return self._where("exception")

    async def exception(self, exception_id: str) -> ReviewException:
        return self._one("exception", exception_id)

    async def removals(self, *, resource: str | None = None) -> Sequence[Removal]:
        return self._where("removal", resource=resource)

    async def removal(self, removal_id: str) -> Removal:
        return self._one("removal", removal_id)

    async def removals_due(self, now: datetime, limit: int) -> Sequence[Removal]:
        due = [one for one in self._where("removal") if one.state in OPEN and one.due_at <= now]
        return sorted(due, key=lambda one: (one.due_at, one.id))[:limit]

    async def schedules(self) -> Sequence[ReviewSchedule]:
        return self._where("schedule")

    async def schedule(self, name: str) -> ReviewSchedule:
        return self._one("schedule", name)

    async def known_findings(self, schedule: str) -> Sequence[KnownFinding]:
        return self._where("known finding", schedule=schedule)

    async def add_exception(self, exception: ReviewException) -> None:
        self._add("exception", exception.id, exception)

    async def save_exception(self, exception: ReviewException) -> None:
        self._save("exception", exception)

    async def add_removals(self, removals: Sequence[Removal]) -> None:
        for removal in removals:
            self._add("removal", removal.id, removal)

    async def save_removals(self, removals: Sequence[Removal]) -> None:
        for removal in removals:
            self._save("removal", removal)

    async def add_schedule(self, schedule: ReviewSchedule) -> None:
        self._add("schedule", schedule.name, schedule)

    async def save_schedule(self, schedule: ReviewSchedule) -> None:
        self._save("schedule", schedule, key=schedule.name)

    async def remove_schedule(self, name: str) -> None:
        self._one("schedule", name)
        del self._table("schedule")[name]
        table = self._table("known finding")
        for key in [key for key, one in table.items() if one.schedule == name]:
            del table[key]

    async def put_known_findings(self, findings: Sequence[KnownFinding]) -> None:
        for one in findings:
            self._table("known finding")[one.id] = one
