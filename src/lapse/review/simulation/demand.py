"""What people, services and agents ask for, day by day: few ask often, most ask seldom, everybody in working hours.

A well-run company takes from people what they do not ask for. So whoever may ask for something does so at least once.
Nobody asks for the same so often that it would be standing access. Called by `run` each day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial

from lapse.review.simulation.areas import Level, Offering
from lapse.review.simulation.asking import make_request
from lapse.review.simulation.chance import Stream, lognormal, pick, poisson, ranked
from lapse.review.simulation.clocks import SITES, WEEKEND, Site, is_workday, moment_of
from lapse.review.simulation.tickets import TASKS, Tickets
from lapse.review.simulation.wishes import RIGHT, Case, Fate, Twist, Wish
from lapse.review.simulation.world import Pair, World

DENIED, FORGOTTEN, WITHDRAWN = 0.04, 0.015, 0.015
"""Shares of the requests that somebody refuses, that nobody decides, and that the requester takes back."""

EXTENDED = 0.05
"""Share of the grants that are extended shortly before their end."""

LENGTHS = ((30, 0.15), (60, 0.3), (120, 0.3), (240, 0.15), (480, 0.1))
"""Minutes that people ask for, as far as the offer allows it."""

LATER = 0.04
"""Share of the requests for a start later on the same day."""

_MOST_DAYS = 0.4
_WORKLOADS_A_DAY = 0.3
_RETRIES = timedelta(days=1)
_BEFORE_END = timedelta(minutes=9)
_OWED_UNTIL = 0.85
_LONGEST = {
    Level.READ: timedelta(hours=8),
    Level.WRITE: timedelta(hours=4),
    Level.ADMIN: timedelta(hours=2),
    Level.TEST: timedelta(hours=8),
    Level.AGENT: timedelta(hours=1),
}


@dataclass(slots=True)
class Demand:
    """Who will ask for what. `owed` are pairs that must still be asked for, by the day on which they will be."""

    world: World
    tickets: Tickets
    owed: dict[date, list[Pair]] = field(default_factory=dict)
    _liked: dict[str, list[tuple[Offering, str, float]]] = field(default_factory=dict)

    def owe_everything(self) -> None:
        """Plan one day for everything that anybody may ask for from the first day on."""
        stream, size = self.world.chance.stream("owed"), self.world.size
        for offering in self.world.offerings:
            for name in self.world.catalog.groups[offering.group].members:
                for entitlement in offering.entitlements:
                    share = stream.uniform(0.02, _OWED_UNTIL)
                    self._owe((name, entitlement), (size.start + timedelta(days=size.days * share)).date())

    def new_day(self) -> None:
        """Plan what is asked for on this day."""
        day = self.world.now.date()
        stream = self.world.chance.stream(f"day {day}")
        for pair in self.owed.pop(day, []):
            if is_workday(day):
                self.world.agenda.at(self._when(stream, pair[0], day), partial(self._try, pair, owed=True))
            else:
                self._owe(pair, day + _RETRIES)
        for name, rate in self._askers():
            likes = self._likes(name)
            wishes = poisson(stream, rate * (1.0 if is_workday(day) else WEEKEND)) if likes else 0
            for _ in range(wishes):
                entitlement = pick(stream, [(what, weight) for _, what, weight in likes])
                wanted = partial(self._try, (name, entitlement), owed=False)
                self.world.agenda.at(self._when(stream, name, day), wanted)

    def _askers(self) -> Iterator[tuple[str, float]]:
        """Everybody who may ask for anything, with requests a working day."""
        world = self.world
        for name, principal in world.catalog.principals.items():
            if principal.active and name not in world.quiet:
                person = world.staff.persons.get(name)
                if person is None and not principal.alias_of:
                    yield name, _WORKLOADS_A_DAY
                elif person is not None and person.area:
                    yield name, person.rate

    def _likes(self, name: str) -> list[tuple[Offering, str, float]]:
        """What `name` may ask for now, some of it more often than other."""
        known = self._liked.get(name)
        now = [
            (offering, entitlement)
            for group in sorted(self.world.catalog.groups_of(name))
            for offering in self.world.offers.get(group, ())
            if offering.level is not Level.EMERGENCY
            for entitlement in offering.entitlements
        ]
        if known is None or [(offering, what) for offering, what, _ in known] != now:
            order = dict(ranked(self.world.chance.stream(f"likes {name}"), [what for _, what in now]))
            known = self._liked[name] = [(offering, what, order[what]) for offering, what in now]
        return known

    def _when(self, stream: Stream, name: str, day: date) -> datetime:
        person = self.world.staff.persons.get(name)
        site: Site = person.site if person else SITES[0]
        return moment_of(stream, site, day)

    def _try(self, pair: Pair, *, owed: bool) -> None:
        """Ask, if the principal still may and is free to; what is owed is tried again on the next day."""
        world, name = self.world, pair[0]
        offering = next((o for o, what, _ in self._likes(name) if what == pair[1]), None)
        if offering is None or not world.catalog.may_hold(name):
            return
        busy = not world.is_free(pair) or name in world.quiet or pair in world.kept_apart or world.is_late_for(pair[1])
        if busy or (self._often(pair) and not owed):
            if owed and name not in world.quiet:
                self._owe(pair, world.now.date() + _RETRIES)
            return
        world.habits[pair].days.add(world.now.date())
        self._ask(pair, offering)

    def _often(self, pair: Pair) -> bool:
        return len(self.world.habits[pair].days) >= _MOST_DAYS * self.world.size.days * 5 / 7

    def _ask(self, pair: Pair, offering: Offering) -> None:
        world, stream = self.world, self.world.chance.stream("wishes")
        name, entitlement = pair
        minutes = pick(stream, LENGTHS)
        ticket = self.tickets.for_request(stream, name, entitlement.partition("/")[0])
        wish = Wish(
            who=name,
            entitlement=entitlement,
            duration=min(_LONGEST[offering.level], timedelta(minutes=minutes)),
            task=stream.choice(TASKS).format(n=stream.randrange(1_000, 9_999)),
            ticket=ticket,
            starts_in=timedelta(minutes=stream.randrange(60, 240)) if stream.random() < LATER else None,
        )
        make_request(world, wish, self._twist(stream, offering, wish))

    def _twist(self, stream: Stream, offering: Offering, wish: Wish) -> Twist:
        fate = stream.random()
        if not offering.stages:
            return RIGHT
        if fate < DENIED:
            return Twist(fate=Fate.DENY)
        if fate < DENIED + FORGOTTEN:
            return Twist(fate=Fate.EXPIRE)
        if fate < DENIED + FORGOTTEN + WITHDRAWN:
            return Twist(fate=Fate.CANCEL)
        extend = stream.random() < EXTENDED and offering.level is Level.READ and wish.starts_in is None
        return Twist(then=self._plan_extension) if extend else RIGHT

    def _plan_extension(self, case: Case) -> None:
        grant = case.grant
        if grant is not None and grant.ends_at is not None and grant.ends_at - _BEFORE_END > self.world.now:
            self.world.agenda.at(grant.ends_at - _BEFORE_END, lambda: self._extend(case))

    def _extend(self, case: Case) -> None:
        """More time for the same task, once: a new request that goes on where the grant ends."""
        grant, world = case.grant, self.world
        if grant is None or grant.id not in world.live or case.wish.who in world.quiet:
            return
        wait = timedelta(seconds=min(500.0, lognormal(world.chance.stream("wishes"), 120.0, 0.6)))
        wish = Wish(
            who=case.wish.who,
            entitlement=case.wish.entitlement,
            duration=min(case.wish.duration, timedelta(hours=4)),
            task=f"not done yet: {case.wish.task}",
            ticket=self.tickets.for_request(world.chance.stream("wishes"), case.wish.who, grant.resource),
            extends=grant,
        )
        make_request(world, wish, Twist(wait=wait))

    def _owe(self, pair: Pair, day: date) -> None:
        self.owed.setdefault(day, []).append(pair)
