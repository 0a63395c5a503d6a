"""The company as lapse's catalog has it on the first day: principals, groups, resources, owners, services, agents.

Pure. Called by `run`. What changes later is in `turnover`.
"""

from __future__ import annotations

from dataclasses import replace

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Resource
from lapse.review.simulation.areas import BOOKS, CHECKER, CONTROL, EMERGENCY, FINANCE, MAKER, SECURITY, Area
from lapse.review.simulation.people import ENGINEER, MANAGER, SENIOR, Person, Staff

KEEPER = "svc-secrets"
"""The service that keeps the secrets of emergency logins."""

LOADERS = "loaders"
_AGENTS_AN_AREA = 1


def catalog_of(staff: Staff) -> Catalog:
    """Everybody and everything on the first day."""
    principals = {person.name: principal_of(person, manager_of(staff, person)) for person in staff.persons.values()}
    groups: dict[str, Group] = {}
    resources: dict[str, Resource] = {}
    for area in staff.areas.values():
        principals |= _second_names(staff, area)
        principals |= _workloads(staff, area)
        groups |= {name: Group(name=name, members=members) for name, members in groups_of(staff, area).items()}
        resources |= {one.name: _owned(staff, area, one) for one in area.resources}
    principals[KEEPER] = Principal(name=KEEPER, kind=PrincipalKind.SERVICE, owner=boss_of(staff, SECURITY))
    return Catalog(principals=principals, groups=groups, resources=resources)


def principal_of(person: Person, manager: str) -> Principal:
    """A person as the catalog has them."""
    return Principal(
        name=person.name,
        display_name=person.name.replace(".", " ").title(),
        email=f"{person.name}@example.com",
        department=person.department,
        title=person.grade,
        manager=manager,
    )


def boss_of(staff: Staff, area: str) -> str:
    """The manager of an area; empty for departments that have none."""
    found = (p.name for p in staff.persons.values() if p.area == area and p.grade == MANAGER)
    return next(found, "")


def manager_of(staff: Staff, person: Person) -> str:
    """Whom a person reports to."""
    boss = boss_of(staff, person.area) if person.area else ""
    return "" if boss == person.name else boss


def members(staff: Staff, area: str, *grades: str) -> tuple[str, ...]:
    """Who works in an area with one of these grades, in the order in which they came."""
    return tuple(p.name for p in staff.persons.values() if p.area == area and p.grade in grades)


def groups_of(staff: Staff, area: Area) -> dict[str, tuple[str, ...]]:
    """The groups of an area, from who works there with which grade."""
    workers, seniors = members(staff, area.name, ENGINEER, SENIOR), members(staff, area.name, SENIOR)
    bosses = members(staff, area.name, MANAGER)
    found = {area.group("dev"): workers, area.group("senior"): seniors, area.group("approvers"): (*bosses, *seniors)}
    if area.name == FINANCE:
        return found | {
            area.group("makers"): tuple(name for name in workers if staff.of(name).side == MAKER),
            area.group("checkers"): tuple(name for name in workers if staff.of(name).side == CHECKER),
        }
    if area.name == SECURITY:
        return found | {SECURITY: (*bosses, *workers)}
    second = tuple(second_name(name) for name in seniors[:1])
    return found | {
        area.group("approvers"): (*bosses, *seniors, *second),
        area.group("agents"): tuple(agent_name(area, number) for number in range(_AGENTS_AN_AREA)),
        area.group("loaders"): (service_name(area),),
    }


def second_name(person: str) -> str:
    """The second identity of an administrator."""
    return f"{person}-adm"


def agent_name(area: Area, number: int) -> str:
    """An AI agent of an area."""
    return f"agent-{area.name}-{number + 1}"


def service_name(area: Area) -> str:
    """The service of an area that asks for access by itself."""
    return f"svc-{area.name}-loader"


def standing_service(area: Area) -> str:
    """The service of an area that holds access all the time, with an end on the target."""
    return f"svc-{area.name}-app"


def _second_names(staff: Staff, area: Area) -> dict[str, Principal]:
    """One senior of each product area has a second identity to administer with."""
    if area.name in {FINANCE, SECURITY}:
        return {}
    names = members(staff, area.name, SENIOR)[:1]
    return {
        second_name(name): Principal(name=second_name(name), alias_of=name, display_name="second identity")
        for name in names
    }


def _workloads(staff: Staff, area: Area) -> dict[str, Principal]:
    seniors = members(staff, area.name, SENIOR)
    found = [Principal(name=standing_service(area), kind=PrincipalKind.SERVICE, owner=seniors[0])]
    if area.name not in {FINANCE, SECURITY}:
        found.append(Principal(name=service_name(area), kind=PrincipalKind.SERVICE, owner=seniors[-1]))
        found += [
            Principal(name=agent_name(area, number), kind=PrincipalKind.AGENT, sponsor=seniors[number % len(seniors)])
            for number in range(_AGENTS_AN_AREA)
        ]
    return {one.name: one for one in found}


def _owned(staff: Staff, area: Area, resource: Resource) -> Resource:
    """A database belongs to a person, everything else to a group."""
    personal = resource.name in {BOOKS, CONTROL} or resource.name.endswith("-db")
    owner = boss_of(staff, area.name) if personal else f"group:{area.group('approvers')}"
    return replace(resource, owner=owner)


def emergency_account(resource: str) -> Account:
    """The login for emergencies on a resource."""
    return Account(resource=resource, login=EMERGENCY)
