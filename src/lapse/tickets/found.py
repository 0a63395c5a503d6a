"""What one source says of one ticket. A source raises `Unavailable` when it cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lapse.domain.errors import Unavailable
from lapse.policy.values import TicketStatus


class MisunderstoodError(Unavailable):
    """The system answered, but not so that it says anything about this ticket; it may about others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`status`, and in the system's own words `state`, `title` and `assignee`; `note` says what is odd about it."""

    status: TicketStatus
    state: str = ""
    title: str = ""
    assignee: str = ""
    note: str = ""


class Source(Protocol):
    """One ticket system."""

    async def find(self, number: str) -> Found:
        """The ticket `number`; of what it does not have the status is `unknown`.

        Raises:
            Unavailable: it does not answer, or not in a way that can be understood.
        """
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...


NOWHERE = Found(status=TicketStatus.UNKNOWN)
