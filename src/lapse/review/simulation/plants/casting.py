"""Who plays in which planted story, when and where, so that stories and everyday life do not touch each other.

A story is told at a moment of its own; if nobody is free then, it is told a little later. Called by all plants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from lapse.domain.principals import Principal, PrincipalKind
from lapse.domain.requests import Ticket
from lapse.review.simulation.areas import Area
from lapse.review.simulation.asking import AFTER_NO, make_request
from lapse.review.simulation.chance import Stream
from lapse.review.simulation.clocks import is_workday
from lapse.review.simulation.parts import Parts
from lapse.review.simulation.tickets import TASKS
from lapse.review.simulation.wishes import Twist, Wish
from lapse.review.simulation.world import World

FIRST_STORY, LAST_STORY = timedelta(days=4), timedelta(days=8)
"""Stories are told neither in the first days of the period nor in the last ones."""

LATER = timedelta(hours=2)
_HOURS = (7, 15)
_LATELY = timedelta(days=30)


Tell = Callable[[], bool]
"""Tells a story now; False if nobody is free for it."""


@dataclass(slots=True)
class Casting:
    """The parts, and what of them is `taken` already. `special` resources have stories of their own."""

    parts: Parts
    areas: list[Area] = field(default_factory=list)
    special: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.areas = list(self.parts.world.staff.product)
        self.stream.shuffle(self.areas)

    @property
    def world(self) -> World:
        """The world in which it all happens."""
        return self.parts.world

    @property
    def stream(self) -> Stream:
        """Chance for stories."""
        return self.world.chance.stream("stories")

    @property
    def copies(self) -> int:
        """How often each anomaly is planted."""
        return self.world.size.copies

    def area(self, number: int) -> Area:
        """An area by number, the same in every story; areas come round again."""
        return self.areas[number % len(self.areas)]

    def plant(self, detector: str, subject: str, what: str, strength: int | None = None) -> None:
        """Label something."""
        self.world.books.plant(detector, subject, what, strength)

    def story(self, tell: Tell, *, after: float = 0.0) -> None:
        """Tell a story at some moment, after `after` (0 to 1) of the period."""
        self.story_at(self.moment(after), tell)

    def story_at(self, at: datetime, tell: Tell) -> None:
        """Tell a story at `at`, or as soon as somebody is free."""

        def attempt() -> None:
            if not tell():
                self.story_at(self.world.now + LATER, tell)

        self.world.agenda.at(at, attempt)

    def moment(self, after: float = 0.0) -> datetime:
        """A moment on a working day."""
        size = self.world.size
        first, last = max(size.start + FIRST_STORY, size.day(after)), size.end - LAST_STORY
        while True:
            at = first + (last - first) * self.stream.random()
            if is_workday(at.date()):
                break
        hour = self.stream.randrange(*_HOURS)
        return at.replace(hour=hour, minute=self.stream.randrange(60), second=self.stream.randrange(60), microsecond=0)

    def people(self, area: Area, group: str = "dev") -> list[str]:
        """Who of a group of an area could play a part now."""
        world = self.world
        names = world.catalog.groups[area.group(group)].members
        return [n for n in names if n in world.staff.persons and n not in world.quiet and n not in self.taken]

    def free_pair(self, role: str, *, kind: str = "", group: str = "dev") -> tuple[str, str] | None:
        """Somebody who may ask for `role` now and holds nothing there, on a resource that is nothing special."""
        world = self.world
        areas = list(self.areas)
        self.stream.shuffle(areas)
        for area in areas:
            names = self.people(area, group)
            self.stream.shuffle(names)
            for resource in area.resources:
                usable = (
                    resource.entitlement(role) and resource.name.endswith(kind) and resource.name not in self.special
                )
                for name in names if usable else ():
                    pair = (name, f"{resource.name}/{role}")
                    if world.is_free(pair) and pair not in world.kept_apart:
                        return pair
        return None

    def ask(
        self, pair: tuple[str, str], hours: float, twist: Twist, *, task: str = "", ticket: Ticket | None = None
    ) -> str:
        """`pair` asks now; nobody else tells a story with it for a day. Returns the request's id."""
        wish = Wish(
            who=pair[0],
            entitlement=pair[1],
            duration=timedelta(hours=hours),
            task=task or self.stream.choice(TASKS).format(n=self.stream.randrange(1_000, 9_999)),
            ticket=ticket,
        )
        case = make_request(self.world, wish, twist)
        return case.request.id

    def release_later(self, pair: tuple[str, str]) -> None:
        """Everyday life may ask for `pair` again, once nobody would take that for going on after a no."""
        self.world.agenda.at(self.world.now + AFTER_NO, partial(self.world.kept_apart.discard, pair))

    def outlier(self, name: str, what: str) -> None:
        """Label that somebody holds `what` (resource/role) like no one else among their peers."""
        peers = [p for p in self.world.catalog.principals.values() if p.active and not p.alias_of]
        me = self.world.catalog.principals[name]
        alike = sum(1 for p in peers if (p.department, p.title) == (me.department, me.title))
        self.plant("R8", f"{name} {what}", f"one of {alike} with the same job holds it", 100 - 100 // alike)

    def service(self, name: str, area: Area) -> str:
        """A service of an area that asks for nothing, with an owner."""
        owner = self.world.catalog.groups[area.group("senior")].members[0]
        self.world.add_principal(Principal(name=name, kind=PrincipalKind.SERVICE, owner=owner))
        return name

    def someone(self, area: Area) -> str:
        """At the end: somebody of an area who has no part in another story, and did not move lately; empty if none."""
        lately = self.world.size.end - _LATELY
        able = [n for n in self.people(area) if self.world.moved_at.get(n, self.world.size.start) < lately]
        name = able[self.stream.randrange(len(able))] if able else ""
        self.taken.add(name)
        return name

    def reserve(self, area: Area, group: str = "dev", *, share: bool = False) -> str:
        """Somebody who has a part in a long story: they stay, and play in no other; with `share` only in some."""
        able = [n for n in self.people(area, group) if share or n not in self.world.reserved]
        name = able[self.stream.randrange(len(able))]
        self.world.reserved.add(name)
        self.taken.add(name)
        return name
