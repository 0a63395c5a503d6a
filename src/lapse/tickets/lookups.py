"""`ports.TicketSource` over all configured systems: asks the right one, and remembers the answer for a while.

Never raises for a system that does not answer: that is the status `unreachable`. What is remembered is bounded, and how
long depends on what it is: open for `keep_for` (a ticket that is closed meanwhile counts as open that long), closed and
unknown shorter, so that who opens a ticket need not wait, unreachable for seconds. While a system gives no answer it
is not asked for other tickets either, so that it holds nobody up. Several who ask for one ticket share one question.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lapse.domain.errors import LapseError, Unavailable
from lapse.domain.names import shown
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketFacts, TicketStatus
from lapse.ports import Clock
from lapse.tickets.export import ExportSource
from lapse.tickets.found import NOWHERE, Found, MisunderstoodError, Source

MOST_KEPT = 2_000
LONGEST = 200
KEEP_CLOSED = timedelta(seconds=15)
KEEP_UNREACHABLE = timedelta(seconds=5)
KEEP_OPEN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    facts: TicketFacts
    until: datetime


class Lookups:
    """Looks tickets up in `sources`, by the name of their system."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        clock: Clock,
        keep_for: Mapping[str, timedelta] | None = None,
        broken: Mapping[str, str] | None = None,
        trouble: str = "",
    ) -> None:
        """`broken` are systems that are configured but cannot be used, and why: their tickets are unreachable.

        `trouble` is why it is not known which systems there are: then the tickets of all others are unreachable, too.
        """
        self._sources, self._clock = dict(sources), clock
        self._keep_for, self._broken, self._trouble = dict(keep_for or {}), dict(broken or {}), trouble
        self._kept: OrderedDict[Ticket, _Kept] = OrderedDict()
        self._asking: dict[Ticket, asyncio.Task[TicketFacts]] = {}
        self._down: dict[str, _Kept] = {}

    @property
    def systems(self) -> tuple[str, ...]:
        """All systems that are configured."""
        return tuple(sorted({*self._sources, *self._broken}))

    async def look_up(self, ticket: Ticket) -> TicketFacts:
        """What is known of `ticket`, now or a short while ago."""
        if len(ticket.system) > LONGEST or len(ticket.number) > LONGEST:
            return _facts(NOWHERE, self._clock.now())
        ticket = Ticket(system=ticket.system.strip().lower(), number=ticket.number.strip())
        kept = self._remembered(ticket)
        if kept is not None:
            return kept
        task = self._asking.get(ticket)
        if task is None:
            task = self._asking[ticket] = asyncio.create_task(self._ask(ticket))
            task.add_done_callback(lambda _: self._asking.pop(ticket, None))
        # Who gives up waiting must not take the answer away from the others.
        return await asyncio.shield(task)

    async def ask_now(self, ticket: Ticket) -> TicketFacts:
        """As `look_up`, but asks the system whatever is remembered."""
        ticket = Ticket(system=ticket.system.strip().lower(), number=ticket.number.strip())
        self._down.pop(ticket.system, None)
        return await self._ask(ticket)

    async def summary(self, system: str) -> str:
        """What can be said of a system without a ticket: how much its export holds, or that it is set up.

        Raises:
            Unavailable: it cannot be used.
        """
        if why := self._broken.get(system):
            raise Unavailable(why)
        source = self._sources[system]
        return await source.summary() if isinstance(source, ExportSource) else "set up; `--ticket` looks one up"

    async def close(self) -> None:
        """Close what the sources hold open."""
        for source in self._sources.values():
            await source.close()

    def _remembered(self, ticket: Ticket) -> TicketFacts | None:
        now = self._clock.now()
        for kept in (self._kept.get(ticket), self._down.get(ticket.system)):
            if kept is not None and now < kept.until:
                return kept.facts
        return None

    async def _ask(self, ticket: Ticket) -> TicketFacts:
        now = self._clock.now()
        source = self._sources.get(ticket.system)
        if source is None:
            return self._no_source(ticket, now)
        try:
            facts = _facts(await source.find(ticket.number), now)
        except LapseError as error:
            facts = TicketFacts(status=TicketStatus.UNREACHABLE, detail=shown(error.message, 200), looked_up_at=now)
            if not isinstance(error, MisunderstoodError):
                self._down[ticket.system] = _Kept(facts, now + KEEP_UNREACHABLE)
        self._keep(ticket, facts, now)
        return facts

    def _no_source(self, ticket: Ticket, now: datetime) -> TicketFacts:
        why = self._broken.get(ticket.system, self._trouble)
        if why:
            return TicketFacts(status=TicketStatus.UNREACHABLE, detail=shown(why, 200), looked_up_at=now)
        known = ", ".join(f"`{name}`" for name in self.systems) or "none is set up"
        detail = f"there is no ticket system `{shown(ticket.system)}`; known: {known}"
        return TicketFacts(status=TicketStatus.UNKNOWN, detail=detail[:300], looked_up_at=now)

    def _keep(self, ticket: Ticket, facts: TicketFacts, now: datetime) -> None:
        longest = self._keep_for.get(ticket.system, KEEP_OPEN)
        shorter = KEEP_UNREACHABLE if facts.status is TicketStatus.UNREACHABLE else KEEP_CLOSED
        life = longest if facts.status is TicketStatus.OPEN else min(shorter, longest)
        self._kept[ticket] = _Kept(facts, now + life)
        self._kept.move_to_end(ticket)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def _facts(found: Found, now: datetime) -> TicketFacts:
    said = f"`{found.state}`" if found.state else ""
    detail = "; ".join(part for part in (said, found.note) if part)
    return TicketFacts(status=found.status, detail=detail, title=found.title, assignee=found.assignee, looked_up_at=now)
