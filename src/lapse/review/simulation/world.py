"""The state of a simulated world while time passes: who and what there is now, what is held, what is planned.

Guarantee: every change of the catalog is in the ledger when it happens, so that past decisions can be derived again.
Called by everything in this package.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal
from lapse.domain.requests import Request
from lapse.domain.resources import Resource
from lapse.ledger.entry import changed, created
from lapse.policy import Policy
from lapse.ports import PolicyVersion
from lapse.review.simulation.agenda import Agenda
from lapse.review.simulation.areas import Offering
from lapse.review.simulation.books import Books
from lapse.review.simulation.chance import Chance
from lapse.review.simulation.people import Staff
from lapse.review.simulation.size import Size

BREAK = timedelta(minutes=30)
"""Nobody asks for the same thing again sooner than this after it ended."""

NOT_AT_END = timedelta(hours=40)
"""So long before the end nobody asks any more for what is to be in nobody's hands then."""

Pair = tuple[str, str]
"""A principal and an entitlement."""


@dataclass(slots=True)
class Habit:
    """What one principal did with one entitlement: when it was asked for, how often little of the time was needed."""

    days: set[date] = field(default_factory=set)
    grants: int = 0
    oversized: int = 0


@dataclass(slots=True, kw_only=True)
class World:
    """Everything at `now`. `offers` are the offerings by the group that may ask.

    `quiet` people are about to leave or move, `reserved` ones have a part in a long story, `kept_apart` pairs are asked
    for by a story alone, and entitlements that are `not_at_end` are in nobody's hands when the targets are read.
    `favourites` says whose requests another takes, and in how many of a hundred; `stamps` who decides within seconds.
    """

    size: Size
    chance: Chance
    books: Books
    staff: Staff
    catalog: Catalog
    agenda: Agenda
    offerings: tuple[Offering, ...]
    offers: Mapping[str, Sequence[Offering]]
    policy: Policy
    version: PolicyVersion
    versions: list[PolicyVersion] = field(default_factory=list)
    free_from: dict[Pair, datetime] = field(default_factory=dict)
    habits: dict[Pair, Habit] = field(default_factory=lambda: defaultdict(Habit))
    last_use: dict[tuple[str, str], datetime] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Request] = field(default_factory=dict)
    recent: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    moved_at: dict[str, datetime] = field(default_factory=dict)
    member_since: dict[Pair, datetime] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)
    reserved: set[str] = field(default_factory=set)
    kept_apart: set[Pair] = field(default_factory=set)
    not_at_end: set[str] = field(default_factory=set)
    favourites: dict[str, tuple[str, int]] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The time of what is being done."""
        return self.agenda.now

    def is_free(self, pair: Pair) -> bool:
        """Whether the principal has had a real break since holding or asking for this last."""
        return self.free_from.get(pair, self.size.start) <= self.now

    def is_late_for(self, entitlement: str) -> bool:
        """Whether this must be in nobody's hands at the end, which is near."""
        return entitlement in self.not_at_end and self.now > self.size.end - NOT_AT_END

    def hold(self, pair: Pair, until: datetime) -> None:
        """The principal has this, or waits for it, until `until`."""
        self.free_from[pair] = until

    def change_principal(self, name: str, **fields: Any) -> None:
        """A principal changes; HR or an administrator says so."""
        before = self.catalog.principals[name]
        after = replace(before, **fields)
        self._record("principal", before, after, name)
        self.catalog = replace(self.catalog, principals={**self.catalog.principals, name: after})

    def add_principal(self, principal: Principal) -> None:
        """Somebody new."""
        subject = f"principal:{principal.name}"
        self.books.record(created("catalog.principal.add", principal, subject, at=self.now, actor="hr-sync"))
        self.catalog = replace(self.catalog, principals={**self.catalog.principals, principal.name: principal})

    def add_resource(self, resource: Resource) -> None:
        """Something more in the inventory."""
        subject = f"resource:{resource.name}"
        self.books.record(created("catalog.resource.add", resource, subject, at=self.now, actor="root"))
        self.catalog = replace(self.catalog, resources={**self.catalog.resources, resource.name: resource})

    def set_group(self, name: str, members: tuple[str, ...]) -> None:
        """Who is in a group from now on."""
        before = self.catalog.groups[name]
        if before.members != members:
            for member in set(members) - set(before.members):
                self.member_since[name, member] = self.now
            after = replace(before, members=members)
            self._record("group", before, after, name)
            self.catalog = replace(self.catalog, groups={**self.catalog.groups, name: after})

    def change_resource(self, name: str, **fields: Any) -> None:
        """A resource changes, such as its owner."""
        before = self.catalog.resources[name]
        after = replace(before, **fields)
        self._record("resource", before, after, name)
        self.catalog = replace(self.catalog, resources={**self.catalog.resources, name: after})

    def on_call(self, rota: str) -> tuple[str, ...]:
        """Who is on call now: the seniors of an area, a week each."""
        seniors = self.catalog.groups[f"{rota}-senior"].members
        able = [name for name in seniors if self.catalog.person_of(name) and name not in self.quiet]
        return (able[self.now.isocalendar().week % len(able)],) if able else ()

    def _record(self, kind: str, before: Any, after: Any, name: str) -> None:
        entry = changed(f"catalog.{kind}.change", before, after, f"{kind}:{name}", at=self.now, actor="hr-sync")
        self.books.record(entry)


def record_catalog(books: Books, catalog: Catalog, at: datetime) -> None:
    """The ledger's beginning: every part of the catalog is added."""
    kinds: tuple[tuple[str, Mapping[str, Principal | Group | Resource]], ...] = (
        ("principal", catalog.principals),
        ("group", catalog.groups),
        ("resource", catalog.resources),
    )
    for kind, things in kinds:
        for name, thing in things.items():
            books.record(created(f"catalog.{kind}.add", thing, f"{kind}:{name}", at=at, actor="root"))
