"""Recurring reviews: what is reviewed how often, when the next one begins, and when it is looked at in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.looks import Look, LookFailure, failed
from lapse.domain.names import shown
from lapse.domain.reviews import ReviewPlan
from lapse.domain.times import Instant

CADENCES = (1, 2, 3, 4, 6, 12)
"""Months between two reviews: those that divide a year, so that periods are the calendar's."""
_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFiles:
    """Files and folders on the server's machine that are read besides the targets, each time anew.

    `sources` are like `cloudtrail=PATH,complete=yes`.
    """

    imports: str = ""
    people: str = ""
    conflicts: str = ""
    detectors: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSchedule:
    """A review of `scope` every so many months, over the months before it begins.

    `continuous` besides looks at new evidence every day and keeps the findings up to date, with nothing to decide.
    `last_review` is the one that was started last. `missed` are periods that were over while nothing ran, but for the
    latest: they are not reviewed unless somebody starts them. `look` is the last look that is on record, `failure`
    says that what was tried after it failed.
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
    given: GivenFiles = field(default_factory=GivenFiles)
    missed: tuple[str, ...] = ()
    look: Look | None = None
    failure: LookFailure | None = None

    @property
    def period(self) -> str:
        """The period that the next review is about, as a person writes it, e.g. `2026-07-01..2026-09-30`."""
        start, end = _months_before(self.next_at, self.every_months), _first_of_month(self.next_at)
        last = datetime.fromtimestamp(end.timestamp() - 1, UTC)
        return f"{start:%Y-%m-%d}..{last:%Y-%m-%d}"

    def caught_up(self, now: datetime) -> ReviewSchedule:
        """This when the latest period that is over at `now` is next; those before it are missed."""
        at, missed = self.next_at, []
        while (following := first_after(at, self.every_months)) <= now:
            missed.append(replace(self, next_at=at).period)
            at = following
        return replace(self, next_at=at, missed=(*self.missed, *missed))

    def started(self, review_id: str) -> ReviewSchedule:
        """The next one was started."""
        following = first_after(self.next_at, self.every_months)
        return replace(self, last_review=review_id, next_at=following, version=self.version + 1)

    def made_up_for(self, period: str) -> ReviewSchedule:
        """A period that was missed was started after all.

        Raises:
            NotFound: it was not missed.
        """
        if period not in self.missed:
            raise NotFound(
                f"`{shown(self.name)}` missed no period `{shown(period)}`",
                hint=f"it missed {', '.join(self.missed) or 'none'}",
            )
        missed = tuple(one for one in self.missed if one != period)
        return replace(self, missed=missed, version=self.version + 1)

    @property
    def last_look(self) -> str:
        """The id of the last look that is on record, if there is one."""
        return self.look.id if self.look else ""

    def look_due(self, now: datetime) -> bool:
        """Whether to look now: once on each day (UTC), and again after a while where it failed."""
        if not self.continuous:
            return False
        if self.failure is not None:
            return self.failure.again_at <= now
        return self.look is None or self.look.at.date() < now.astimezone(UTC).date()

    def looking_back(self, now: datetime) -> str:
        """The period of a look at `now`: up to today, from the first of the month that many months ago."""
        return f"{_months_before(now, self.every_months):%Y-%m-%d}..{now.astimezone(UTC):%Y-%m-%d}"

    def looked(self, look: Look) -> ReviewSchedule:
        """A look was made."""
        return replace(self, look=look, failure=None, version=self.version + 1)

    def look_failed(self, reason: str, at: datetime) -> ReviewSchedule:
        """A look failed; what was known before stays as it is."""
        return replace(self, failure=failed(self.failure, reason, at), version=self.version + 1)


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
