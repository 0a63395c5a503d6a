"""The question a policy answers: `Ask`, with every fact a decision may depend on.

An ask is pinned in the ledger as data when it is made, so that years later the same policy gives the same answer
without the catalog of that day. `asks.ask_for` builds one from the catalog; nothing else should be needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.data import Json
from lapse.domain.requests import Ticket
from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalFacts:
    """What was known of a principal. Sets are sorted tuples.

    `person` is the principal this one is an alias of (itself if it is none, empty if that cannot be resolved);
    `groups` are those of the name and of `person`; `humans` are the persons behind it (sponsor, owner), and
    `human_groups` their groups. `active` is whether it may act at all: itself, its `person`, an agent's sponsor.
    """

    name: str
    kind: str = "person"
    person: str = ""
    display_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    humans: tuple[str, ...] = ()
    human_groups: tuple[str, ...] = ()
    department: str = ""
    title: str = ""
    manager: str = ""
    sponsor: str = ""
    owner: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFacts:
    """What was known of the resource; `owner` is a principal's name, `group:NAME` or empty."""

    name: str
    connector: str = ""
    title: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementFacts:
    """What was known of the entitlement; `name` is `resource/role`."""

    name: str
    role: str
    title: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class TicketStatus(StrEnum):
    """What the ticket system said."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFacts:
    """What is known of the ticket; `detail` is one clause for people, e.g. `OPS-7 is closed`.

    `title` and `assignee` are for those who review later; requesters are not shown them.
    """

    status: TicketStatus
    detail: str = ""
    looked_up_at: Instant | None = None
    title: str = ""
    assignee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastGrant:
    """Access that the persons behind the beneficiary had, have, or will have; `ends_at` is real once it is over."""

    entitlement: str
    begins_at: Instant
    ends_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRequest:
    """A request that the persons behind the requester made."""

    at: Instant
    offer: str
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What rules about frequency and amount look at; complete from `since` on.

    `justifications` are the requester's last ones, newest first; `pending` counts their open requests;
    `overdue_reviews` are the beneficiary's break-glass post-reviews that are overdue.
    """

    since: Instant
    grants: tuple[PastGrant, ...] = ()
    requests: tuple[PastRequest, ...] = ()
    justifications: tuple[str, ...] = ()
    pending: int = 0
    overdue_reviews: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question: may `beneficiary` have `entitlement` for `duration`, as `requester` asks at `at`?

    `total_duration` is the contiguous time that the beneficiary's person would hold the entitlement: this and all that
    it touches, whether it extends them or not. Access would begin at `begins_at`. With
    `break_glass` the requester says that this is an emergency. Durations are whole seconds, so that
    data keeps them. Without `history` or `ticket_facts` nobody looked, and a rule that needs them fails.
    """

    requester: PrincipalFacts
    beneficiary: PrincipalFacts
    resource: ResourceFacts
    entitlement: EntitlementFacts
    duration: timedelta
    total_duration: timedelta
    at: datetime
    is_extension: bool = False
    break_glass: bool = False
    justification: str = ""
    ticket: Ticket | None = None
    starts_at: datetime | None = None
    context: Mapping[str, Json] = field(default_factory=dict)
    ticket_facts: TicketFacts | None = None
    history: History | None = None

    @property
    def begins_at(self) -> datetime:
        """The earliest instant at which the access could begin."""
        return self.at if self.starts_at is None else max(self.starts_at, self.at)

    @property
    def for_self(self) -> bool:
        """Whether the requester is the beneficiary."""
        return self.requester.name == self.beneficiary.name
