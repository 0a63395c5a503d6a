"""What requests are made of in the API's words. Used by every operation that asks for something."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control.prepared import Filling
from lapse.control.questions import NewRequest
from lapse.domain.durations import parse_duration
from lapse.domain.recurrence import read_recurrence
from lapse.domain.requests import Recurrence, Request, Ticket
from lapse.domain.times import parse_time
from lapse.entrypoints.api.operations import Body


class TicketBody(Body, frozen=True, kw_only=True):
    """A reference into another system. Where that is known, e.g. from a template, the number is enough."""

    number: str
    system: str = ""

    def ticket(self) -> Ticket:
        """The same in the words of the domain."""
        return Ticket(system=self.system, number=self.number)


class RepeatsBody(Body, frozen=True, kw_only=True):
    """The same access again: on `days` (`mon-fri`, `sat,sun`, `daily`) `at` a time of day in `timezone`.

    `until` is a day (with its last minute, there) or an RFC 3339 time.
    """

    days: str
    at: str
    until: str
    timezone: str = "UTC"

    def recurrence(self) -> Recurrence:
        """The same in the words of the domain."""
        return read_recurrence(self.days, self.at, self.timezone, self.until)


class SayingBody(Body, frozen=True, kw_only=True):
    """What is said about a request, whatever it asks for. An empty beneficiary is the requester."""

    justification: str = ""
    beneficiary: str = ""
    ticket: TicketBody | None = None
    starts_at: str | None = None
    repeats: RepeatsBody | None = None
    break_glass: bool = False


class FillingBody(SayingBody, frozen=True, kw_only=True):
    """What is said this time; what is left out is as it was prepared."""

    duration: str | None = None

    def filling(self) -> Filling:
        """The same in the words of the use case."""
        return Filling(
            duration=parse_duration(self.duration) if self.duration else None,
            justification=self.justification,
            ticket=self.ticket.ticket() if self.ticket else None,
            beneficiary=self.beneficiary,
            starts_at=parse_time(self.starts_at) if self.starts_at else None,
            repeats=self.repeats.recurrence() if self.repeats else None,
            break_glass=self.break_glass,
        )


class NewRequestBody(SayingBody, frozen=True, kw_only=True):
    """What is asked for. `duration` is `PT2H` or `2h`; an empty beneficiary is the requester."""

    entitlement: str
    duration: str

    def wanted(self) -> NewRequest:
        """The same in the words of the use case."""
        return new_request(self, self.entitlement, self.duration)


class NewBundleBody(SayingBody, frozen=True, kw_only=True):
    """Several entitlements that are granted together or not at all, for one duration and with one justification."""

    entitlements: list[str]
    duration: str

    def wanted(self) -> list[NewRequest]:
        """The same in the words of the use case."""
        return [new_request(self, name, self.duration) for name in self.entitlements]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Requests that are granted together or not at all; one alone has no bundle, and `id` is empty."""

    id: str
    requests: tuple[Request, ...]


def new_request(said: SayingBody, entitlement: str, duration: str) -> NewRequest:
    """One request of what was said."""
    return NewRequest(
        entitlement=entitlement,
        duration=parse_duration(duration),
        justification=said.justification,
        beneficiary=said.beneficiary,
        ticket=said.ticket.ticket() if said.ticket else None,
        starts_at=parse_time(said.starts_at) if said.starts_at else None,
        repeats=said.repeats.recurrence() if said.repeats else None,
        break_glass=said.break_glass,
    )
