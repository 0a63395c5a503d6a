"""Who comes, goes and moves: the directory is synchronized once a day, and everything follows on the same day.

A well-run company gives what leavers owned to others, keeps enough people who may decide, and takes groups away from
those who move. What is forgotten is planted elsewhere. Called by `run`, day by day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.domain.principals import PrincipalKind
from lapse.review.simulation.chance import Stream, poisson
from lapse.review.simulation.clocks import is_workday
from lapse.review.simulation.organization import boss_of, groups_of, manager_of, members, principal_of
from lapse.review.simulation.people import ENGINEER, GENERAL, MANAGER, SENIOR, Person, add_person, seniors_of
from lapse.review.simulation.world import World

LEAVING_A_MONTH = 0.033
"""Share of the people who leave in a month."""

MOVING_A_YEAR = 0.20
"""Share of the people who change their job within the company in a year."""

BACK_SHARE = 0.045
"""Share of the new hires who have worked here before."""

NOTICE = timedelta(days=3)
"""So long before they leave or move, people ask for nothing more and decide nothing more."""

CALM = timedelta(days=5)
"""Nobody comes, goes or moves in the last days, nor in the first: what is then in force is what was asked for."""

_WORKDAYS_A_MONTH, _WORKDAYS_A_YEAR = 21.0, 250.0
_GONE_LONG_ENOUGH = timedelta(days=20)
_REPLACED_WITHIN = 25
_SYNC_HOUR = 3


@dataclass(slots=True)
class Turnover:
    """Who has left, and what is never handed on because somebody forgot it."""

    world: World
    gone: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def new_day(self) -> None:
        """Announce who will leave and move. The directory is synchronized at night."""
        world = self.world
        near_the_end = world.now > world.size.end - CALM - NOTICE
        if near_the_end or world.now < world.size.start + CALM or not is_workday(world.now.date()):
            return
        stream = world.chance.stream("turnover")
        for _ in range(poisson(stream, world.size.people * LEAVING_A_MONTH / _WORKDAYS_A_MONTH)):
            self._announce(self._anybody(stream), self.leave)
        for _ in range(poisson(stream, world.size.people * MOVING_A_YEAR / _WORKDAYS_A_YEAR)):
            self._announce(self._anybody(stream, within=True), self.move)

    def announce_leaving(self, name: str) -> None:
        """`name` will leave, whatever chance says."""
        self._announce(name, self.leave)

    def announce_moving(self, name: str) -> None:
        """`name` will move, whatever chance says."""
        self._announce(name, self.move)

    def leave(self, name: str) -> None:
        """The person is gone: what they owned and decided is handed on first, and somebody follows."""
        world, person = self.world, self.world.staff.of(name)
        area, grade = person.area, person.grade
        person.area, person.department = "", f"left {person.department}"
        if area:
            self._fill(area, grade)
            self._hand_on(name, area)
        world.change_principal(name, active=False, left_at=world.now, accounts=())
        world.books.add("people_events", {"principal": name, "happened_at": world.now, "event": "left"})
        self.gone[name] = area
        self._regroup()
        self._plan_hire(area)

    def move(self, name: str) -> None:
        """The person works on something else from now on, and keeps nothing from before."""
        person = self.world.staff.of(name)
        old, new = person.area, self._another_area(person.area)
        person.area = person.department = new
        grade, person.grade = person.grade, ENGINEER
        self._fill(old, grade)
        self._hand_on(name, old)
        self._update(person, f"moved from {old} to {new}")
        self._regroup()

    def hire(self, area: str) -> None:
        """Somebody new, or somebody who comes back."""
        world, stream = self.world, self.world.chance.stream("hires")
        back = sorted(name for name in self.gone if self._may_come_back(name))
        if back and stream.random() < BACK_SHARE:
            self.come_back(stream.choice(back), area)
            return
        department = area or stream.choice(GENERAL)
        person = add_person(world.staff, stream, department, ENGINEER)
        world.add_principal(principal_of(person, manager_of(world.staff, person)))
        world.books.add("people_events", {"principal": person.name, "happened_at": world.now, "event": "joined"})
        self._regroup()

    def come_back(self, name: str, area: str) -> None:
        """Somebody who had left is hired again."""
        world, person = self.world, self.world.staff.of(name)
        del self.gone[name]
        person.area, person.grade = area, ENGINEER
        person.department = area or GENERAL[0]
        manager = manager_of(world.staff, person)
        world.change_principal(
            name, active=True, left_at=None, department=person.department, title=ENGINEER, manager=manager
        )
        row = {"principal": name, "happened_at": world.now, "event": "joined", "detail": "back again"}
        world.books.add("people_events", row)
        self._regroup()

    def promote(self, name: str, area: str) -> None:
        """The person is a senior of an area from now on."""
        person = self.world.staff.of(name)
        if person.area == area and person.grade == ENGINEER:
            person.grade = SENIOR
            self._update(person, f"title: {ENGINEER} to {SENIOR}")
            self._regroup()

    def _announce(self, name: str, what: Callable[[str], None]) -> None:
        if name:
            self.world.quiet.add(name)
            self.world.agenda.at(self._next_sync(), lambda: self._carry_out(name, what))

    def _carry_out(self, name: str, what: Callable[[str], None]) -> None:
        what(name)
        self.world.quiet.discard(name)

    def _next_sync(self) -> datetime:
        """The night after the notice is over."""
        day = self.world.now + NOTICE
        return day.replace(hour=_SYNC_HOUR, minute=0, second=0, microsecond=0)

    def _anybody(self, stream: Stream, *, within: bool = False) -> str:
        """Somebody who may leave or, `within` the areas of the product, move; managers stay."""
        world = self.world
        areas = {area.name for area in world.staff.product}
        able = sorted(
            p.name
            for p in world.staff.persons.values()
            if p.name not in self.gone
            and p.name not in world.reserved
            and p.name not in world.quiet
            and p.grade != MANAGER
            and (p.area in areas if within else True)
        )
        return stream.choice(able) if able else ""

    def _may_come_back(self, name: str) -> bool:
        left = self.world.catalog.principals[name].left_at
        kept = self.forgotten | self.world.reserved
        return left is not None and name not in kept and left < self.world.now - _GONE_LONG_ENOUGH

    def _another_area(self, old: str) -> str:
        areas = [area.name for area in self.world.staff.product if area.name != old]
        return self.world.chance.stream("turnover").choice(areas)

    def _plan_hire(self, area: str) -> None:
        later = self.world.now + timedelta(days=self.world.chance.stream("hires").randrange(3, _REPLACED_WITHIN))
        if later < self.world.size.end - CALM:
            self.world.agenda.at(later, lambda: self.hire(area))

    def _fill(self, area: str, grade: str) -> None:
        """Whoever has been there longest follows in the place that became free."""
        staff = self.world.staff
        if grade == SENIOR and len(members(staff, area, SENIOR)) < seniors_of(staff.areas[area]):
            able = [n for n in members(staff, area, ENGINEER) if n not in self.world.quiet]
            if able:
                follower = staff.of(able[0])
                follower.grade = SENIOR
                self._update(follower, f"title: {ENGINEER} to {SENIOR}")

    def _hand_on(self, name: str, area: str) -> None:
        """What belongs to `name` belongs to others in the area now, unless it is forgotten."""
        world = self.world
        seniors = members(world.staff, area, SENIOR) or (boss_of(world.staff, area),)
        heir = seniors[0]
        for one in list(world.catalog.principals.values()):
            if one.name in self.forgotten or not one.active:
                continue
            if one.kind is PrincipalKind.AGENT and one.sponsor == name:
                world.change_principal(one.name, sponsor=heir)
            elif one.kind is PrincipalKind.SERVICE and one.owner == name:
                world.change_principal(one.name, owner=heir)
            elif one.alias_of == name:
                world.change_principal(one.name, active=False)
        for resource in list(world.catalog.resources.values()):
            if resource.owner == name and resource.name not in self.forgotten:
                world.change_resource(resource.name, owner=boss_of(world.staff, area) or heir)

    def _update(self, person: Person, detail: str) -> None:
        """The directory learns what a person does now."""
        world = self.world
        before = world.catalog.principals[person.name]
        after = principal_of(person, manager_of(world.staff, person))
        fields = {
            name: getattr(after, name)
            for name in ("department", "title", "manager")
            if getattr(after, name) != getattr(before, name)
        }
        if not fields:
            return
        world.change_principal(person.name, **fields)
        world.moved_at[person.name] = world.now
        first = next(iter(fields))
        row = {"principal": person.name, "happened_at": world.now, "event": "moved", "field": first, "detail": detail}
        world.books.add("people_events", row)

    def _regroup(self) -> None:
        """Groups follow from who works where; rules of their own (agents, loaders, guests) stay."""
        world = self.world
        for area in world.staff.areas.values():
            for name, wanted in groups_of(world.staff, area).items():
                if not name.endswith(("-agents", "-loaders")):
                    world.set_group(name, self._with_second_names(name, wanted))

    def _with_second_names(self, name: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Second identities stay in a group while the person does; others are not made anew."""
        catalog = self.world.catalog
        kept = [
            one
            for one in catalog.groups[name].members
            if one in catalog.principals and catalog.principals[one].alias_of and catalog.person_of(one) in wanted
        ]
        return (*(one for one in wanted if not one.endswith("-adm")), *kept)
