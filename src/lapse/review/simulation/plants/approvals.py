"""Planted: approvals that should not have been possible, and requests that were not honest.

Called by `plant_all`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lapse.review.simulation.areas import SECURITY
from lapse.review.simulation.organization import agent_name, boss_of, second_name
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.wishes import Case, Fate, GrantTwist, Twist

_SOON = timedelta(minutes=4)
_NOT_COUNTED = "that vote does not count, so the quorum was not reached"
_NOT_DERIVED = "and the approval does not re-derive"


def plant_approvals(casting: Casting) -> None:
    """Self-approval, outsiders, missing votes, forged terms, late approval, asking until somebody says yes."""
    for number in range(casting.copies):
        area = casting.area(number)
        casting.story(partial(_second_name, casting, area.name))
        casting.story(partial(_sponsor, casting, area.name))
        casting.story(lambda: _own_name(casting))
        casting.story(lambda: _outsider(casting))
        casting.story(lambda: _missing_stage(casting))
        casting.story(lambda: _forged(casting))
        casting.story(lambda: _after_the_fact(casting))
        casting.story(lambda: _shopping(casting))
        casting.story(lambda: _stale(casting))
        casting.story(lambda: _slow_clock(casting))


def _void(casting: Casting, request: str, why: str) -> None:
    casting.plant("C8", request, why)
    casting.plant("C9", request, _NOT_DERIVED)


def _second_name(casting: Casting, area: str) -> bool:
    """An administrator approves an own request under a second name."""
    world = casting.world
    names = [one for one in world.catalog.groups[f"{area}-approvers"].members if world.catalog.principals[one].alias_of]
    owner = world.catalog.principals[names[0]].alias_of if names else ""
    pair = (owner, f"{area}-db/writer")
    if not names or not world.is_free(pair) or owner in world.quiet or not world.catalog.person_of(names[0]):
        return False
    request = casting.ask(pair, 2, Twist(approvers=(second_name(owner),), wait=_SOON))
    casting.plant("C1", request, f"{owner} approved an own request as {names[0]}")
    _void(casting, request, _NOT_COUNTED)
    return True


def _sponsor(casting: Casting, area: str) -> bool:
    """The person that an agent acts for approves what it asks."""
    world = casting.world
    name = agent_name(world.staff.areas[area], 0)
    sponsor = world.catalog.principals[name].sponsor
    pair = (name, f"{area}-db/reader")
    if not world.is_free(pair) or sponsor in world.quiet:
        return False
    request = casting.ask(pair, 1, Twist(approvers=(sponsor,), wait=_SOON))
    casting.plant("C1", request, f"{sponsor} approved what their own agent asked for")
    _void(casting, request, _NOT_COUNTED)
    return True


def _own_name(casting: Casting) -> bool:
    pair = casting.free_pair("writer", kind="-db", group="senior")
    if pair is None:
        return False
    request = casting.ask(pair, 2, Twist(approvers=(pair[0],), wait=_SOON))
    casting.plant("C1", request, f"{pair[0]} approved an own request")
    _void(casting, request, _NOT_COUNTED)
    return True


def _outsider(casting: Casting) -> bool:
    """Somebody from security approves, who is no approver there."""
    pair, name = casting.free_pair("writer"), boss_of(casting.world.staff, SECURITY)
    if pair is None:
        return False
    request = casting.ask(pair, 2, Twist(approvers=(name,), wait=_SOON))
    casting.plant("C6", request, f"{name} is no approver there, and approved")
    _void(casting, request, _NOT_COUNTED)
    return True


def _missing_stage(casting: Casting) -> bool:
    """Administration takes two stages; only the first one voted."""
    pair = casting.free_pair("admin", group="senior")
    if pair is None:
        return False
    approver = boss_of(casting.world.staff, casting.world.staff.of(pair[0]).area)
    request = casting.ask(pair, 1, Twist(approvers=(approver,), wait=_SOON))
    _void(casting, request, "approved without the second stage")
    return True


def _forged(casting: Casting) -> bool:
    pair = casting.free_pair("reader")
    if pair is None:
        return False
    request = casting.ask(pair, 2, Twist(forged=timedelta(hours=20)))
    casting.plant("C9", request, "the terms on record are not those the policy gives")
    return True


def _after_the_fact(casting: Casting) -> bool:
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None and case.request.closed_at is not None:
            casting.plant("C7", case.grant.id, "active before anybody approved")

    casting.ask(pair, 4, Twist(grant=GrantTwist(before_approval=True), wait=timedelta(minutes=20), then=told))
    return True


def _shopping(casting: Casting) -> bool:
    """Refused by one, asked again on the same day, approved by another."""
    pair = casting.free_pair("writer")
    if pair is None:
        return False
    world = casting.world
    area = world.staff.of(pair[0]).area
    able = sorted(world.catalog.persons_in(f"group:{area}-approvers") - world.quiet - {pair[0]})
    if len(able) < 2:  # noqa: PLR2004  one who refuses and one who does not
        return False
    world.kept_apart.add(pair)

    def again() -> None:
        request = casting.ask(pair, 3, Twist(approvers=(able[1],), wait=_SOON))
        casting.plant("C13", request, f"denied by {able[0]}, then approved by {able[1]}")
        casting.release_later(pair)

    casting.ask(pair, 3, Twist(fate=Fate.DENY, approvers=(able[0],), wait=_SOON))
    world.agenda.at(world.now + timedelta(hours=5), again)
    return True


def _stale(casting: Casting) -> bool:
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("C14", case.grant.id, "active four days after it was approved")

    casting.ask(pair, 4, Twist(grant=GrantTwist(stale=timedelta(days=4)), then=told))
    return True


def _slow_clock(casting: Casting) -> bool:
    """An approver's clock is slow: the vote is older than the request."""
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        casting.plant("M14", f"decision {case.facts['decisions'][0]}", "decided before it was asked")

    wait = timedelta(minutes=3)
    casting.ask(pair, 2, Twist(wait=wait, clock=wait + timedelta(seconds=95), then=told))
    return True
