"""Recurring reviews: what is reviewed how often, and when the next one begins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lapse.domain.errors import InvalidInput
from lapse.domain.reviews import ReviewPlan
from lapse.domain.times import Instant

CADENCES = (1, 2, 3, 4, 6, 12)
"""Months between two reviews: those that divide a year, so that periods are the calendar's."""
_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSchedule:
    """A review of `scope` every so many months, over the months before it begins.

    `continuous` besides looks at new evidence every day and keeps the findings up to date, with nothing to decide.
    `last_review` is the one that was started last.
    """

    name: str
    scope: str
    every_months: int
    next_at: Instant
    created_by: str
    created_at: Instant
    title: str = ""
    plan: ReviewPlan = field(default_factory=ReviewPlan)
    frameworks: tuple[str, ...] = ()
    continuous: bool = False
    last_review: str = ""
    version: int = 0

    @property
    def period(self) -> str:
        """The period that the next review is about, as a person writes it, e.g. `2026-07-01..2026-09-30`."""
        start, end = _months_before(self.next_at, self.every_months), _first_of_month(self.next_at)
        last = datetime.fromtimestamp(end.timestamp() - 1, UTC)
        return f"{start:%Y-%m-%d}..{last:%Y-%m-%d}"

    def started(self, review_id: str) -> ReviewSchedule:
        """The next one was started."""
        following = first_after(self.next_at, self.every_months)
        return replace(self, last_review=review_id, next_at=following, version=self.version + 1)


def first_after(at: datetime, every_months: int) -> datetime:
    """When the first period of so many months that goes on at `at` is over: the first of a month.

    Raises:
        InvalidInput: the number of months does not divide a year.
    """
    if every_months not in CADENCES:
        known = ", ".join(map(str, CADENCES))
        raise InvalidInput(f"a review every {every_months} months does not divide a year", hint=f"it can be: {known}")
    month = (at.month - 1) // every_months * every_months + every_months
    return datetime(at.year + month // _YEAR, month % _YEAR + 1, 1, tzinfo=UTC)


def _first_of_month(at: datetime) -> datetime:
    return datetime(at.year, at.month, 1, tzinfo=UTC)


def _months_before(at: datetime, months: int) -> datetime:
    number = at.year * _YEAR + at.month - 1 - months
    return datetime(number // _YEAR, number % _YEAR + 1, 1, tzinfo=UTC)
