"""Test cases of a policy as values: a question, what is expected of the answer, and where each word stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from lapse.domain.data import Json
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketStatus
from lapse.policy.yaml_tree import Place

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A value, and where it stands."""

    value: T
    place: Place


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, or (`after`) so long after the question is asked."""

    at: datetime | None = None
    after: timedelta = timedelta(0)

    def seen_from(self, now: datetime) -> datetime:
        """The instant, for a question that is asked at `now`."""
        return self.at if self.at is not None else now + self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Someone:
    """A principal as a case file describes it; `groups` are those it is in besides those that list it."""

    place: Place
    name: str
    kind: str = "person"
    groups: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Placed[str]] = field(default_factory=dict)
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeGroup:
    """A group as a case file describes it."""

    place: Place
    name: str
    members: tuple[Placed[str], ...] = ()
    groups: tuple[Placed[str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeResource:
    """A resource as a case file describes it, with its roles and their tags."""

    place: Place
    name: str
    connector: str = "postgresql"
    owner: Placed[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Access that the beneficiary has or had; of the entitlement that is asked for, if none is named."""

    begins: Moment
    ends: Moment
    entitlement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A request that the requester made."""

    at: Moment
    offer: str = ""
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What there was before the question. With `known` False nobody looked."""

    known: bool = True
    held: tuple[Held, ...] = ()
    requests: tuple[Made, ...] = ()
    justifications: tuple[str, ...] = ()
    pending: int = 0
    overdue_reviews: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTicket:
    """A ticket, and what its system says of it."""

    ticket: Ticket
    status: TicketStatus = TicketStatus.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question of a case."""

    requester: Someone | Placed[str]
    beneficiary: Someone | Placed[str] | None
    entitlement: SomeResource | Placed[str]
    duration: timedelta
    at: Moment | None = None
    starts_at: Moment | None = None
    justification: str = ""
    ticket: GivenTicket | None = None
    break_glass: bool = False
    extension: bool = False
    past: Past = Past()
    context: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStage:
    """What is expected of one stage of approval; None and () expect nothing."""

    name: str | None = None
    quorum: int | str | None = None
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of the answer. `denied` is a part of the reason; None if it must be allowed."""

    place: Place
    places: Mapping[str, Place]
    allowed: bool | None = None
    denied: str | None = None
    by: tuple[str, ...] = ()
    hint: str | None = None
    offer: str | None = None
    automatic: bool | None = None
    break_glass: bool | None = None
    max_duration: timedelta | None = None
    max_total: timedelta | None = None
    pending_timeout: timedelta | None = None
    approvals: tuple[ExpectedStage, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test: a question and what is expected of the answer."""

    name: str
    place: Place
    asked: Asked
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """The cases of one file, with the people and resources they speak of.

    `catalogs` are files with more of them, named from where the case file is.
    """

    file: str
    catalogs: tuple[Placed[str], ...] = ()
    at: Moment | None = None
    people: tuple[Someone, ...] = ()
    groups: tuple[SomeGroup, ...] = ()
    resources: tuple[SomeResource, ...] = ()
    cases: tuple[Case, ...] = ()
