"""The question a policy answers: `Ask`, with every fact a decision may depend on.

An ask is pinned in the ledger as data when it is made, so that years later the same policy gives the same answer
without the catalog of that day. `asks.ask_for` builds one from the catalog; nothing else should be needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.domain.data import Json
from lapse.domain.requests import Ticket


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question: may `beneficiary` have `entitlement` for `duration`, as `requester` asks at `at`?

    `total_duration` is the contiguous time of the chain being extended including this one; without an extension
    it is `duration`. Access would begin at `begins_at`. Durations are whole seconds, so that data keeps them.
    """

    requester: PrincipalFacts
    beneficiary: PrincipalFacts
    resource: ResourceFacts
    entitlement: EntitlementFacts
    duration: timedelta
    total_duration: timedelta
    at: datetime
    is_extension: bool = False
    justification: str = ""
    ticket: Ticket | None = None
    starts_at: datetime | None = None
    context: Mapping[str, Json] = field(default_factory=dict)

    @property
    def begins_at(self) -> datetime:
        """The earliest instant at which the access could begin."""
        return self.at if self.starts_at is None else max(self.starts_at, self.at)

    @property
    def for_self(self) -> bool:
        """Whether the requester is the beneficiary."""
        return self.requester.name == self.beneficiary.name
