"""How large a simulated world is, and what follows from that: its days, and how often each anomaly is planted.

Guarantee: sizes in which some detector could not be tried are refused here, in one sentence. Called by `run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from lapse.domain.errors import InvalidInput

FEWEST_PEOPLE, MOST_PEOPLE = 50, 20_000
FEWEST_DAYS, MOST_DAYS = 92, 1_100
MOST_PERSON_DAYS = 4_000_000
LAST_DAY = date(2026, 9, 30)
"""The last day of a world for which no other was named: fixed, so that the same words give the same bytes."""

_PEOPLE_A_COPY = 150
_MOST_COPIES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A world of `people` over `days`, of which `last_day` is the last. The same `seed` gives the same world."""

    people: int
    days: int
    seed: int
    last_day: date = LAST_DAY

    @property
    def end(self) -> datetime:
        """The first instant after the period: when the targets are read."""
        return datetime.combine(self.last_day + timedelta(days=1), time(), UTC)

    @property
    def start(self) -> datetime:
        """The first instant of the period."""
        return self.end - timedelta(days=self.days)

    @property
    def period(self) -> str:
        """The period as `lapse review run --period` takes it."""
        return f"{self.start:%Y-%m-%d}..{self.last_day}"

    @property
    def copies(self) -> int:
        """How often each anomaly is planted that may be there several times."""
        return min(_MOST_COPIES, 1 + self.people // _PEOPLE_A_COPY)

    def day(self, share: float) -> datetime:
        """The midnight nearest to `share` (0 to 1) of the period."""
        return self.start + timedelta(days=round(self.days * share))

    def checked(self) -> Size:
        """This size.

        Raises:
            InvalidInput: it is too small for every detector to be tried, or too large to be made on one machine.
        """
        _within("people", self.people, FEWEST_PEOPLE, MOST_PEOPLE)
        _within("days", self.days, FEWEST_DAYS, MOST_DAYS)
        if self.seed < 0:
            raise InvalidInput(f"`{self.seed}` is no seed", hint="a seed is a whole number from 0 on")
        if self.people * self.days > MOST_PERSON_DAYS:
            most = MOST_PERSON_DAYS // self.people
            raise InvalidInput(
                f"{self.people} people over {self.days} days are too many for one machine",
                hint=f"with as many people take {most} days at most",
            )
        if self.last_day.year < 2001 or self.last_day.year > 2200:  # noqa: PLR2004  years that every format can hold
            raise InvalidInput(f"`{self.last_day}` is too far away", hint="end in a year from 2001 to 2200")
        return self


def _within(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidInput(
            f"a world of {value} {what} cannot be made", hint=f"--{what} takes a number from {least} to {most}"
        )
