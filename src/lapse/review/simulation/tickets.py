"""Tickets: what requests are about, as the ticket system has it. Open when they are named, of their people, about that.

Called by `demand`, by `emergencies` for incidents, and by the plants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.domain.requests import Ticket
from lapse.review.simulation.chance import Stream, lognormal
from lapse.review.simulation.world import World

TASKS = (
    "look into failed order {n}",
    "check the totals of invoice {n}",
    "fix a stuck job, run {n}",
    "answer support case {n}",
    "prepare migration {n}",
    "verify the backfill of batch {n}",
    "compare the counts of import {n}",
    "find out why page {n} is slow",
    "restore the settings of tenant {n}",
    "rotate the key of integration {n}",
)
NAMED = 0.75
"""Share of the requests that name a ticket."""

_OPEN_DAYS_MEDIAN, _OPEN_DAYS_SIGMA = 4.0, 0.9
_AGE_HOURS_MEDIAN, _AGE_HOURS_SIGMA = 20.0, 1.2
_SAYS_WHAT = 0.85
_LEAST_OPEN = timedelta(hours=1)
_KINDS = (("task", 0.6), ("change", 0.4))


@dataclass(frozen=True, slots=True)
class Open:
    """A ticket and when it is closed."""

    ticket: Ticket
    until: datetime


@dataclass(slots=True)
class Tickets:
    """The open tickets, by person and resource."""

    world: World
    _open: dict[tuple[str, str], Open] = field(default_factory=dict)
    _number: int = 1_000

    def for_request(self, stream: Stream, who: str, resource: str) -> Ticket | None:
        """A ticket to name in a request that is made now: one that is open, or a new one; None for a quarter."""
        if stream.random() >= NAMED or who not in self.world.staff.persons:
            return None
        known = self._open.get((who, resource))
        if known is not None and known.until > self.world.now:
            return known.ticket
        age = timedelta(hours=lognormal(stream, _AGE_HOURS_MEDIAN, _AGE_HOURS_SIGMA))
        lasts = timedelta(days=lognormal(stream, _OPEN_DAYS_MEDIAN, _OPEN_DAYS_SIGMA))
        until = self.world.now + max(_LEAST_OPEN, lasts)
        kind = stream.choices([k for k, _ in _KINDS], weights=[w for _, w in _KINDS])[0]
        about = [resource] if stream.random() < _SAYS_WHAT else []
        made = self.add((self.world.now - age, until), kind, [who], about)
        self._open[who, resource] = Open(made, until)
        return made

    def add(
        self, span: tuple[datetime, datetime], kind: str, people: Iterable[str], resources: Iterable[str]
    ) -> Ticket:
        """A ticket that is open over `span`."""
        self._number += 1
        system = "pager" if kind == "incident" else "jira"
        ticket = Ticket(system=system, number=f"{'INC' if kind == 'incident' else 'OPS'}-{self._number}")
        opened, closed = span
        self.world.books.add(
            "tickets",
            {
                "ticket": f"{ticket.system}:{ticket.number}",
                "found": True,
                "kind": kind,
                "title": f"{kind} {self._number}",
                "opened_at": opened,
                "closed_at": closed if closed < self.world.size.end else None,
                "people": ";".join(people) or None,
                "resources": ";".join(resources) or None,
            },
        )
        return ticket
