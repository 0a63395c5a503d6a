"""The people of a made-up company: where each works, on what, and how often they need access. Pure.

Called by `organization`, which makes the catalog of them, and by everything that lets them act.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lapse.review.simulation.areas import (
    CHECKER,
    FINANCE,
    MAKER,
    SECURITY,
    Area,
    finance_area,
    product_area,
    security_area,
)
from lapse.review.simulation.chance import Chance, Stream, lognormal
from lapse.review.simulation.clocks import SITES, Site
from lapse.review.simulation.names import area_names, people_names

GENERAL = ("sales", "marketing", "people", "legal", "operations")
"""Departments whose people need nothing that is protected."""

ENGINEER, SENIOR, MANAGER = "engineer", "senior engineer", "manager"
_PRODUCT_SHARE, _FINANCE_SHARE, _SECURITY_SHARE = 0.68, 0.08, 0.06
_FEWEST = {FINANCE: 7, SECURITY: 6}
_PEOPLE_AN_AREA, _FEWEST_AREAS, _MOST_AREAS = 22, 3, 60
_SMALLEST_AREA = 9
_SIZES = 0.7
"""Areas are unlike in size: the one of rank n has 1/n^0.7 of the largest."""

_RATE_MEDIAN, _RATE_SIGMA, _RATE_MOST = 0.16, 0.9, 1.2
"""Requests of one person a working day: few ask often, most ask seldom."""


@dataclass(slots=True, kw_only=True)
class Person:
    """One person. `area` is where they work now, empty for those who need no access.

    In finance `side` says who enters and who releases, for ever: nobody does both.
    """

    name: str
    site: Site
    department: str
    area: str
    rate: float
    address: str
    device: str
    grade: str = ENGINEER
    side: str = ""


@dataclass(slots=True, kw_only=True)
class Staff:
    """Everybody who ever worked here, and the areas; `newcomers` are names nobody has yet."""

    areas: dict[str, Area]
    persons: dict[str, Person]
    newcomers: Iterator[str]

    def of(self, name: str) -> Person:
        """The person called `name`."""
        return self.persons[name]

    @property
    def product(self) -> list[Area]:
        """The areas of the product, largest first."""
        return [area for area in self.areas.values() if area.name not in {FINANCE, SECURITY}]


def hire_all(chance: Chance, people: int) -> Staff:
    """A company of `people`: areas first, then the general departments."""
    stream = chance.stream("people")
    names = people_names(stream)
    areas = {area.name: area for area in _areas(people)}
    staff = Staff(areas=areas, persons={}, newcomers=names)
    for area in areas.values():
        for place in range(area.people):
            grade = MANAGER if place == 0 else SENIOR if place <= seniors_of(area) else ENGINEER
            add_person(staff, stream, area.name, grade)
    while len(staff.persons) < people:
        add_person(staff, stream, GENERAL[len(staff.persons) % len(GENERAL)], ENGINEER)
    return staff


def add_person(staff: Staff, stream: Stream, department: str, grade: str) -> Person:
    """One more person with the next free name."""
    site = stream.choices(SITES, weights=[site.share for site in SITES])[0]
    number = len(staff.persons)
    person = Person(
        name=next(staff.newcomers),
        site=site,
        department=department,
        area=department if department in staff.areas else "",
        rate=min(_RATE_MOST, lognormal(stream, _RATE_MEDIAN, _RATE_SIGMA)),
        address=f"10.{SITES.index(site) + 1}.{number // 250 % 250}.{number % 250 + 1}",
        device=f"laptop-{number + 1:05d}",
        grade=grade,
    )
    if department == FINANCE:
        person.side = _smaller_side(staff)
    staff.persons[person.name] = person
    return person


def _smaller_side(staff: Staff) -> str:
    """Of entering and releasing, what fewer people in finance do."""
    sides = [p.side for p in staff.persons.values() if p.area == FINANCE]
    return MAKER if sides.count(MAKER) <= sides.count(CHECKER) else CHECKER


def seniors_of(area: Area) -> int:
    """How many of an area administer it."""
    return max(3, area.people // 5)


def _areas(people: int) -> Iterator[Area]:
    finance = max(_FEWEST[FINANCE], round(people * _FINANCE_SHARE))
    security = max(_FEWEST[SECURITY], round(people * _SECURITY_SHARE))
    product = round(people * _PRODUCT_SHARE)
    number = max(_FEWEST_AREAS, min(_MOST_AREAS, product // _PEOPLE_AN_AREA))
    yield from (
        product_area(name, size) for name, size in zip(area_names(number), _sizes(product, number), strict=True)
    )
    yield finance_area(finance)
    yield security_area(security)


def _sizes(people: int, number: int) -> list[int]:
    weights = [1.0 / (rank + 1) ** _SIZES for rank in range(number)]
    return [max(_SMALLEST_AREA, round(people * weight / sum(weights))) for weight in weights]
