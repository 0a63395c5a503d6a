"""A company of 100,000 persons and its rules, each rule said once and written out three times: for lapse, Cedar, Rego.

The three say the same, as far as the others can say it: approvals are terms of an offer, and no part of yes or no.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal
from lapse.domain.requests import Ticket
from lapse.domain.resources import Entitlement, Resource

PERSONS, TEAMS, DEPARTMENTS = 100_000, 124, 10
ROLES = ("reader", "writer", "admin", "backup")
SORTS, ENVIRONMENTS = ("db", "wh"), ("prod", "stage", "dev")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TITLES = ("engineer", "analyst", "lead", "manager")
_OWN, _BY_DAY, _WITH_TICKET = 0.8, 0.7, 0.5
_WHY = "because it is needed for the work at hand"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An offer, or with `limit` a limit. Parts that are empty say nothing.

    `selects` is as in a policy file; `window` the first of the days up to Friday and the hours, `when` an attribute of
    the beneficiary, an operator and a value.
    """

    id: str
    limit: bool = False
    selects: str = ""
    to: str = ""
    hours: int = 0
    words: int = 0
    ticket: str = ""
    window: tuple[int, int, int] | None = None
    when: tuple[str, str, str] | None = None
    forbid: bool = False
    approvers: str = ""


def company() -> Catalog:
    """Persons in teams, teams in departments, departments in one group; a twelfth are contractors."""
    persons = [_person(number) for number in range(PERSONS)]
    members: dict[str, list[str]] = {f"team-{team:03d}": [] for team in range(TEAMS)}
    for number, person in enumerate(persons):
        members[f"team-{number % TEAMS:03d}"].append(person.name)
    groups = [Group(name=team, members=tuple(names)) for team, names in members.items()]
    for department in range(DEPARTMENTS):
        teams = tuple(f"team-{team:03d}" for team in range(department, TEAMS, DEPARTMENTS))
        groups.append(Group(name=f"department-{department}", groups=teams))
    groups.append(Group(name="everyone", groups=tuple(f"department-{number}" for number in range(DEPARTMENTS))))
    groups.append(Group(name="contractors", members=tuple(p.name for p in persons[::12])))
    groups.append(Group(name="on-duty", members=tuple(p.name for p in persons[::50])))
    return Catalog(
        principals={person.name: person for person in persons},
        groups={group.name: group for group in groups},
        resources={resource.name: resource for resource in _resources()},
    )


def _person(number: int) -> Principal:
    return Principal(
        name=f"p{number:06d}",
        display_name=f"Person {number}",
        email=f"p{number:06d}@example.com",
        department=f"d{number % DEPARTMENTS}",
        title=TITLES[number // TEAMS % len(TITLES)],
        manager=f"p{number % TEAMS:06d}",
    )


def _resources() -> Iterator[Resource]:
    for team in range(TEAMS):
        for kind in SORTS:
            for environment in ENVIRONMENTS:
                name = f"{kind}-{team:03d}-{environment}"
                tags = {"env": environment, "team": f"{team:03d}", "data": "personal" if team % 5 == 0 else "plain"}
                roles = tuple(Entitlement(resource=name, role=role, tags={"risk": _risk(role)}) for role in ROLES)
                yield Resource(name=name, connector="postgresql", tags=tags, entitlements=roles)


def _risk(role: str) -> str:
    return "high" if role == "admin" else "low"


def rules(count: int) -> list[Rule]:
    """`count` rules: eleven for everybody, and eight of one team after another."""
    return list(islice(chain(_for_everybody(), *(_of_team(team) for team in range(count))), count))


def rules_of_others(count: int) -> list[Rule]:
    """`count` rules of teams that own nothing and have nobody in them."""
    return list(islice(chain(*(_of_team(team) for team in range(TEAMS, TEAMS + count))), count))


def _for_everybody() -> Iterator[Rule]:
    yield Rule(id="longest", limit=True, hours=12)
    yield Rule(id="prod-longest", limit=True, selects="tag:env=prod", hours=8, approvers="group:on-duty")
    yield Rule(id="prod-says-why", limit=True, selects="tag:env=prod", words=10)
    yield Rule(id="admin-longest", limit=True, selects="*/admin", hours=4)
    yield Rule(id="admin-ticket", limit=True, selects="*-prod/admin", ticket="jira")
    yield Rule(id="personal-data", limit=True, selects="tag:data=personal", to="contractors", forbid=True)
    yield Rule(id="contractors", limit=True, selects="tag:risk=high", to="contractors", forbid=True)
    yield Rule(id="contractors-longest", limit=True, to="contractors", hours=2)
    yield Rule(id="analysts-read", limit=True, selects="*/writer", when=("title", "==", "analyst"), forbid=True)
    yield Rule(id="backup-at-night", limit=True, selects="*/backup", window=(0, 0, 6))
    yield Rule(id="duty", selects="tag:env=prod", to="on-duty", hours=2, words=20, approvers="owner")


def _of_team(team: int) -> Iterator[Rule]:
    key, group = f"{team:03d}", f"team-{team:03d}"
    yield Rule(id=f"read-{key}", selects=f"db-{key}-prod/reader", to=group, hours=8, approvers="manager")
    yield Rule(id=f"write-{key}", selects=f"db-{key}-*/writer", to=group, hours=4, words=5, approvers="manager")
    yield Rule(id=f"stage-{key}", selects=f"*-{key}-stage/*", to=group, hours=12)
    yield Rule(
        id=f"wh-{key}", selects=f"tag:team={key}", to=group, hours=3, when=("title", "!=", "manager"), window=(1, 8, 18)
    )
    yield Rule(id=f"admin-{key}", selects=f"wh-{key}-*/admin", to=group, hours=2, when=("title", "==", "lead"))
    yield Rule(id=f"nightly-{key}", selects=f"wh-{key}-prod/backup", to=group, hours=6, window=(0, 0, 6))
    yield Rule(id=f"freeze-{key}", limit=True, selects=f"db-{key}-prod/*", window=(0, 6, 23), hours=10)
    yield Rule(
        id=f"others-{key}",
        limit=True,
        selects=f"tag:team={key}",
        when=("department", "==", f"d{(team + 3) % 10}"),
        words=30,
    )


def asks(count: int, seed: int = 7, team: int | None = None) -> Iterator[Mapping[str, Any]]:
    """What `ask_for` is given, again and again: mostly of a person's own team, at all hours of a week.

    With `team` all of it is of that team.
    """
    dice = random.Random(seed)
    for _ in range(count):
        person = dice.randrange(PERSONS) if team is None else dice.randrange(team, PERSONS, TEAMS)
        own = person % TEAMS if team is not None or dice.random() < _OWN else dice.randrange(TEAMS)
        resource = f"{dice.choice(SORTS)}-{own:03d}-{dice.choice(ENVIRONMENTS)}"
        yield {
            "requester": f"p{person:06d}",
            "entitlement": f"{resource}/{dice.choice(ROLES)}",
            "duration": timedelta(minutes=15 * min(dice.randrange(1, 14), dice.randrange(1, 40))),
            "at": _at(dice),
            "justification": _WHY[: dice.choice((0, 12, 25, 40, 40))],
            "ticket": Ticket(system="jira", number="OPS-1") if dice.random() < _WITH_TICKET else None,
        }


def _at(dice: random.Random) -> datetime:
    """Mostly by day."""
    hour = dice.randrange(8, 17) if dice.random() < _BY_DAY else dice.randrange(24)
    return MONDAY + timedelta(days=dice.randrange(7), hours=hour, minutes=15 * dice.randrange(4))


def lapse_text(found: Sequence[Rule]) -> str:
    """The rules as a policy file."""
    parts = [("offers", [rule for rule in found if not rule.limit]), ("limits", [rule for rule in found if rule.limit])]
    return "version: 1\n" + "".join(f"{name}:\n{''.join(map(_lapse, part))}" for name, part in parts if part)


def _lapse(rule: Rule) -> str:
    keys = {
        "name": rule.id,
        "entitlements": f'"{rule.selects}"' if rule.selects else "",
        "to": f"group:{rule.to}" if rule.to else "",
        "max_duration": f"{rule.hours}h" if rule.hours else "",
        "justification": f"{{min_length: {rule.words}}}" if rule.words else "",
        "ticket": f"{{systems: [{rule.ticket}]}}" if rule.ticket else "",
        "windows": _window(*rule.window) if rule.window else "",
        "when": f"""'principal.{rule.when[0]} {rule.when[1]} "{rule.when[2]}"'""" if rule.when else "",
        "forbid": "true" if rule.forbid else "",
        "reason": "it is not for them" if rule.forbid else "",
        "approvals": f"[{{from: {rule.approvers}}}]" if rule.approvers else "",
        "auto_approve": "" if rule.limit or rule.approvers else "true",
    }
    return f"  - {{{', '.join(f'{key}: {value}' for key, value in keys.items() if value)}}}\n"


def _window(first: int, start: int, end: int) -> str:
    return f'[{{days: {DAYS[first]}-fri, from: "{start:02d}:00", to: "{end:02d}:00", timezone: UTC}}]'
