"""Planted: rules that should not be in the policy, changes that nobody else agreed to, and other rules in use.

They come into force with the last change of the policy. Called by `plant_all`.
"""

from __future__ import annotations

from datetime import timedelta

from lapse.policy import version_of
from lapse.review.simulation.areas import AUDITOR, LOADER, Area, Level
from lapse.review.simulation.asking import make_request
from lapse.review.simulation.organization import second_name, service_name
from lapse.review.simulation.parts import Change
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.rules import WIDER, Rule, asking, lasting, policy_files
from lapse.review.simulation.wishes import Twist, Wish

LAST_POLICY = 0.6
"""The share of the period after which the last version comes into force."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_ALIASED_AT = 0.48


def plant_rules(casting: Casting) -> None:
    """Rules without effect, without end, without approval, without enough approvers, for people who never ask."""
    for number in range(casting.copies):
        area = casting.area(number)
        _shadowed(casting, area)
        _endless(casting, area)
        _unattended(casting, area)
        _out_of_reach(casting, area)
        _never_asked(casting, area, casting.area(number + 1))
    _dead_limit(casting)
    _same_person(casting)
    casting.parts.at_end.append(lambda: _other_rules(casting))


def _rule(casting: Casting, name: str, *lines: str) -> None:
    casting.parts.rules.append(Rule(name=name, lines=lines))


def _shadowed(casting: Casting, area: Area) -> None:
    """Asks two where another offer asks one, for less time: nobody ever gets it."""
    name, approvers = f"{area.name}-read-by-two", f"group:{area.group('approvers')}"
    _rule(
        casting,
        name,
        *asking([f"{area.resources[0].name}/reader"], [f"group:{area.group('dev')}"]),
        *lasting(2 * _HOUR, 2 * _HOUR),
        f"approvals: [{{from: [{approvers}], quorum: 2}}]",
    )
    casting.parts.dead.add(name)
    casting.plant("M7", f"offer {name}", "another offer asks fewer people and lasts longer")


def _dead_limit(casting: Casting) -> None:
    name, entitlement = "tests-are-short", f"{casting.area(0).resources[3].name}/tester"
    casting.parts.limits.append(Rule(name=name, lines=(f"entitlements: [{entitlement}]", "max_duration: 48h")))
    casting.parts.dead.add(name)
    casting.plant("M7", f"limit {name}", "nothing there lasts as long anyway")


def _endless(casting: Casting, area: Area) -> None:
    """Four days at once (the limit makes it three), and extensions for two weeks."""
    senior, approvers = f"group:{area.group('senior')}", f"group:{area.group('approvers')}"
    long, extended = f"{area.name}-long-repair", f"{area.name}-migration"
    hosts, bucket = area.resources[2].name, area.resources[1].name
    _rule(
        casting,
        long,
        *asking([f"{hosts}/admin"], [senior]),
        *lasting(96 * _HOUR, 96 * _HOUR),
        f"approvals: [{{from: [{approvers}], quorum: 3}}]",
    )
    _rule(
        casting,
        extended,
        *asking([f"{bucket}/admin"], [senior]),
        *lasting(12 * _HOUR, 336 * _HOUR),
        f"approvals: [{{from: [{approvers}], quorum: 3}}]",
    )
    casting.plant("M8", f"{long} {hosts}/admin", "three days at once")
    casting.plant("M8", f"{extended} {bucket}/admin", "two weeks with extensions")


def _unattended(casting: Casting, area: Area) -> None:
    """A service gets into production and nobody decides."""
    world, name = casting.world, service_name(area)
    entitlement = f"{area.resources[1].name}/{LOADER}"
    _rule(
        casting,
        f"{area.name}-nightly",
        *asking([entitlement], [name]),
        *lasting(_HOUR, 4 * _HOUR),
        "auto_approve: true",
    )
    casting.plant("M9", entitlement, f"{name} gets it and nobody decides")
    day = world.size.day(LAST_POLICY) + 2 * _DAY
    while day < world.size.end - 2 * _DAY:
        world.agenda.at(day + timedelta(hours=1), lambda: _load(casting, name, entitlement))
        day += 6 * _DAY


def _load(casting: Casting, name: str, entitlement: str) -> None:
    if casting.world.is_free((name, entitlement)):
        wish = Wish(
            who=name, entitlement=entitlement, duration=timedelta(minutes=45), task="load what came in overnight"
        )
        make_request(casting.world, wish, Twist())


def _out_of_reach(casting: Casting, area: Area) -> None:
    """Agents must agree, who cannot."""
    name, entitlement = f"{area.name}-quarter-close", f"{area.resources[0].name}/writer"
    _rule(
        casting,
        name,
        *asking([entitlement], [f"group:{area.group('dev')}"]),
        *lasting(6 * _HOUR, 6 * _HOUR),
        f"approvals: [{{from: [group:{area.group('agents')}], quorum: 3}}]",
    )
    casting.plant("M10", f"{name} {entitlement}", "takes the approval of a group in which there are no people")


def _never_asked(casting: Casting, area: Area, others: Area) -> None:
    """Everybody of another area may look, and nobody ever does."""
    entitlement = f"{area.resources[2].name}/{AUDITOR}"
    _rule(
        casting,
        f"{area.name}-audit",
        *asking([entitlement], [f"group:{others.group('dev')}"]),
        *lasting(2 * _HOUR, 4 * _HOUR),
        f"approvals: [{{from: [group:{area.group('approvers')}]}}]",
    )
    casting.plant("L3", entitlement, "offered to a whole group that has never asked for it")


def _same_person(casting: Casting) -> None:
    """A change that permits more is agreed to by the one who proposed it, under a second name."""
    world = casting.world
    day = world.size.day(_ALIASED_AT).replace(hour=15)

    def change() -> None:
        owner = next((one.alias_of for one in world.catalog.principals.values() if one.alias_of and one.active), "")
        if not owner:
            return
        times = {**WIDER, Level.AGENT: (2 * _HOUR, 4 * _HOUR)}
        files = policy_files(world.offerings, times)
        detail = "agents may take 2 h"
        casting.parts.put_in_force(
            Change(files=files, proposed_by=owner, approved_by=second_name(owner), widens=True, detail=detail)
        )
        casting.plant("C26", version_of(files), f"{owner} agreed to an own proposal under a second name")

    world.agenda.at(day, change)


def _other_rules(casting: Casting) -> None:
    """One gateway still uses an older version; another has files that are not what it says."""
    world = casting.world
    old, now = world.versions[1].version, world.version.version
    for place, version, files in (("gateway-3", old, old), ("gateway-4", now, "f" * 64)):
        row = {"place": place, "policy_version": version, "seen_at": world.size.end, "files_sha256": files}
        world.books.add("live_policies", row)
        casting.plant("C25", place, "uses other rules than those that were approved")
