"""What ticket systems said of tickets when requests named them, as the ledger's records of the questions have it.

Called by `ledger_rows`, entry by entry. A system that could not be reached said nothing, and neither does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lapse.domain.data import Json, from_data
from lapse.domain.errors import LapseError
from lapse.ledger.entry import Entry
from lapse.policy import TicketFacts, TicketStatus


@dataclass
class TicketHistory:
    """Tickets in the ledger's order; of one that was looked up several times each answer is kept."""

    _found: list[tuple[str, TicketFacts]] = field(default_factory=list)

    def note(self, entry: Entry) -> None:
        """Take in one entry."""
        ask = entry.context.get("ask") if entry.type == "request.created" else None
        if not isinstance(ask, Mapping):
            return
        name, facts = _name(ask.get("ticket")), _facts(ask.get("ticket_facts"))
        if name and facts is not None and facts.status is not TicketStatus.UNREACHABLE:
            self._found.append((name, facts))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of `tickets`, one a ticket: what was said first, which is when a request named it."""
        seen = set()
        for name, facts in self._found:
            if name not in seen:
                seen.add(name)
                yield {
                    "ticket": name,
                    "found": facts.status is not TicketStatus.UNKNOWN,
                    "title": facts.title or None,
                    "status": str(facts.status),
                    "looked_up_at": facts.looked_up_at,
                }

    def __bool__(self) -> bool:
        return bool(self._found)


def _name(ticket: Json) -> str:
    if not isinstance(ticket, Mapping):
        return ""
    return f"{ticket.get('system')}:{ticket.get('number')}"


def _facts(data: Json) -> TicketFacts | None:
    try:
        return from_data(TicketFacts, data) if data else None
    except (LapseError, ValueError, TypeError):
        return None
