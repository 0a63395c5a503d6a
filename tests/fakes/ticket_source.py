"""Tickets that a test writes down. Passes the contract suite of `ports.TicketSource`."""

from __future__ import annotations

from dataclasses import dataclass, field

from lapse.domain.requests import Ticket
from lapse.policy.values import TicketFacts, TicketStatus


@dataclass
class FakeTicketSource:
    """`tickets` by `system:number`; of systems in `down` nothing is known."""

    tickets: dict[str, TicketStatus] = field(default_factory=dict)
    systems: frozenset[str] = frozenset({"jira"})
    down: set[str] = field(default_factory=set)
    asked: list[Ticket] = field(default_factory=list)

    async def look_up(self, ticket: Ticket) -> TicketFacts:
        self.asked.append(ticket)
        system = ticket.system.strip().lower()
        if system in self.down:
            return TicketFacts(status=TicketStatus.UNREACHABLE, detail="it does not answer")
        return TicketFacts(status=self.tickets.get(f"{system}:{ticket.number.strip()}", TicketStatus.UNKNOWN))
