"""What looks wrong and is not: nothing of this may be found, so none of it has a label. Called by `plant_all`."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lapse.review.simulation.organization import members
from lapse.review.simulation.people import SENIOR
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.plants.reviews import revoked
from lapse.review.simulation.wishes import Fate, GrantTwist, Twist, Use

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_LEAVES_AFTER, _BACK_AFTER, _RAISED_AFTER = 6 * _DAY, 28 * _DAY, 30 * _DAY
_SOON = timedelta(minutes=4)


def plant_decoys(casting: Casting) -> None:
    """Unknown use, less after a no, somebody who is back, access that was asked for anew, tickets and ends in time."""
    for resource, (begin, _) in sorted(casting.parts.routine.gaps.items()):
        casting.story_at(begin + _HOUR, partial(_unknown_use, casting, resource))
    for number in range(casting.copies):
        casting.story(partial(_less_after_a_no, casting))
        casting.story(partial(_just_in_time, casting))
        casting.story(partial(_closed_just_now, casting))
        casting.story(partial(_asked_anew, casting), after=0.2)
        _back_again(casting, number)


def _unknown_use(casting: Casting, resource: str) -> bool:
    """A grant without use while use was not recorded: nobody can say that it was not used."""
    area = casting.world.staff.areas[resource.removesuffix("-hosts")]
    free = [n for n in casting.people(area) if casting.world.is_free((n, f"{resource}/reader"))]
    if free:
        casting.ask((free[0], f"{resource}/reader"), 2, Twist(wait=_SOON, use=Use(unused=True)))
    return True


def _less_after_a_no(casting: Casting) -> bool:
    """Four hours were refused, one is approved by another: that is what refusing is for."""
    pair = casting.free_pair("writer")
    if pair is None:
        return False
    world = casting.world
    able = sorted(world.catalog.persons_in(f"group:{world.staff.of(pair[0]).area}-approvers") - world.quiet - {pair[0]})
    world.kept_apart.add(pair)

    def again() -> None:
        casting.ask(pair, 1, Twist(approvers=(able[1],), wait=_SOON))
        casting.release_later(pair)

    casting.ask(pair, 4, Twist(fate=Fate.DENY, approvers=(able[0],), wait=_SOON))
    world.agenda.at(world.now + 6 * _HOUR, again)
    return True


def _just_in_time(casting: Casting) -> bool:
    """Forty seconds late, where a minute is on time."""
    pair = casting.free_pair("reader")
    if pair is not None:
        casting.ask(pair, 2, Twist(grant=GrantTwist(late=timedelta(seconds=40))))
    return pair is not None


def _closed_just_now(casting: Casting) -> bool:
    """A ticket that was closed two minutes before it was named."""
    pair = casting.free_pair("reader")
    if pair is not None:
        now, resource = casting.world.now, pair[1].partition("/")[0]
        ticket = casting.parts.tickets.add((now - _DAY, now - timedelta(minutes=2)), "task", [pair[0]], [resource])
        casting.ask(pair, 2, Twist(), ticket=ticket)
    return pair is not None


def _asked_anew(casting: Casting) -> bool:
    """A review took it away; it was asked for and approved afterwards."""
    pair = casting.free_pair("reader", kind="-bucket")
    if pair is None:
        return False
    now, resource = casting.world.now, pair[1].partition("/")[0]
    review = casting.parts.reviews.ids[0][0]
    revoked(casting, review, now - 3 * _DAY, (resource, pair[0], "reader"), now - 2 * _DAY)
    casting.ask(pair, 2, Twist(wait=_SOON))
    return True


def _back_again(casting: Casting, number: int) -> None:
    """Somebody leaves, comes back, becomes senior, approves and answers for a service: none of that is in the past."""
    world, turnover = casting.world, casting.parts.turnover
    area = casting.area(number)
    name = casting.reserve(area)

    def raised() -> None:
        turnover.promote(name, area.name)
        service = f"svc-{area.name}-tools"
        casting.service(service, area)
        world.change_principal(service, owner=name)
        if name in members(world.staff, area.name, SENIOR):
            casting.story(partial(_approves, casting, name), after=0.5)

    world.agenda.at(world.size.start + _LEAVES_AFTER, partial(turnover.leave, name))
    world.agenda.at(world.size.start + _BACK_AFTER, partial(turnover.come_back, name, area.name))
    world.agenda.at(world.size.start + _RAISED_AFTER, raised)


def _approves(casting: Casting, name: str) -> bool:
    world = casting.world
    area = world.staff.areas[world.staff.of(name).area]
    pair_of = [(n, f"{area.resources[1].name}/writer") for n in casting.people(area) if n != name]
    free = [pair for pair in pair_of if world.is_free(pair) and pair not in world.kept_apart]
    if free:
        casting.ask(free[0], 1, Twist(approvers=(name,), wait=_SOON))
    return bool(free)
