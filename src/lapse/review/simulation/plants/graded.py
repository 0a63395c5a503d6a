"""Planted by degrees: what detectors of confidence `advice` look for, from hardly to plainly.

`strength` is in per cent, 100 as plain as it gets: the share of votes that goes to the other, of decisions taken within
seconds, of peers who do not hold it; how many activations a day, where 100 are thirty; how little a reason says. What
then happens is left to chance, so that a curve can be drawn. Called by `plant_all`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from lapse.review.simulation.areas import Area
from lapse.review.simulation.asking import make_request
from lapse.review.simulation.chance import poisson
from lapse.review.simulation.organization import members, service_name
from lapse.review.simulation.people import ENGINEER, SENIOR
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.targets import APP
from lapse.review.simulation.tickets import TASKS
from lapse.review.simulation.wishes import Twist, Wish

GRADES = (100, 80, 60, 40, 20)
_BURST_A_DAY = {100: 30, 60: 18, 40: 12, 30: 9, 20: 6}
_REASONS = (
    (100, ""),
    (95, "."),
    (80, "asdf"),
    (70, "access"),
    (55, "db access"),
    (45, "need access"),
    (10, "as discussed with the team"),
)
_TURNS = 14
_RING = 3
_DAY = timedelta(days=1)
_FEWEST_PEERS = 10


def plant_graded(casting: Casting) -> None:
    """Pairs, rings, rubber stamps, bursts, outliers and empty reasons. Each area has one habit of approvers."""
    areas = casting.world.staff.product
    for number, area in enumerate(areas):
        grade = GRADES[number // 3 % len(GRADES)]
        habit = (_ring, _pair, _stamp)[number % 3]
        habit(casting, area, grade)
    bursts = list(_BURST_A_DAY.items())
    for number in range(min(len(casting.areas), len(bursts) * casting.copies)):
        grade, mean = bursts[number % len(bursts)]
        _burst(casting, casting.area(number), mean, grade)
    for _ in range(casting.copies):
        for grade, reason in _REASONS:
            casting.story(partial(_empty, casting, grade, reason))
    casting.parts.at_end.append(lambda: _outliers(casting))


def _approvers(casting: Casting, area: Area, count: int) -> list[str]:
    """Seniors, who both ask and approve; they stay."""
    names = [n for n in members(casting.world.staff, area.name, SENIOR) if n not in casting.world.reserved][:count]
    casting.world.reserved.update(names)
    return names


def _ask_more(casting: Casting, names: Sequence[str], resource: str) -> None:
    """They ask often enough for a habit to show."""
    for name in names:
        for _ in range(_TURNS):
            casting.world.agenda.at(casting.moment(), partial(_asked, casting, name, resource))


def _asked(casting: Casting, name: str, resource: str) -> None:
    pair = (name, f"{resource}/reader")
    if casting.world.is_free(pair) and name not in casting.world.quiet:
        task = casting.stream.choice(TASKS).format(n=casting.stream.randrange(1_000, 9_999))
        make_request(
            casting.world, Wish(who=name, entitlement=pair[1], duration=timedelta(hours=1), task=task), Twist()
        )


def _pair(casting: Casting, area: Area, grade: int) -> None:
    """Two take each other's requests."""
    names = sorted(_approvers(casting, area, 2))
    if len(names) == 2:  # noqa: PLR2004  a pair
        first, second = names
        casting.world.favourites |= {first: (second, grade), second: (first, grade)}
        _ask_more(casting, names, area.resources[1].name)
        casting.plant("C2", f"{first} and {second}", "they approve each other", grade)


def _ring(casting: Casting, area: Area, grade: int) -> None:
    """Three take requests in a circle: the first those of the second, the second the third's, the third the first's."""
    names = sorted(_approvers(casting, area, _RING))
    if len(names) == _RING:
        first, second, third = names
        casting.world.favourites |= {second: (first, grade), third: (second, grade), first: (third, grade)}
        _ask_more(casting, names, area.resources[1].name)
        casting.plant("C3", " > ".join(names), "they approve in a circle", grade)


def _stamp(casting: Casting, area: Area, grade: int) -> None:
    """One approver takes most requests, says yes, and takes seconds for it as often as `grade` says."""
    for name in _approvers(casting, area, 1):
        casting.world.stamps[name] = grade
        casting.plant("C4", name, "says yes within seconds, and opens nothing", grade)


def _burst(casting: Casting, area: Area, mean: int, grade: int) -> None:
    """Something asks again and again within one day, as a script would."""
    world, name = casting.world, service_name(area)
    pair = (name, f"{area.resources[3].name}/tester")
    begin = casting.moment().replace(hour=5)
    times = sorted(casting.stream.randrange(86_000) for _ in range(poisson(casting.stream, mean)))
    for seconds in times:
        world.agenda.at(begin + timedelta(seconds=seconds), lambda: _activate(casting, pair))
    casting.plant("L13", f"{name} {pair[1]}", f"about {mean} activations in a day", grade)


def _activate(casting: Casting, pair: tuple[str, str]) -> None:
    world = casting.world
    if world.free_from.get(pair, world.now) <= world.now + timedelta(minutes=29):
        wish = Wish(who=pair[0], entitlement=pair[1], duration=timedelta(minutes=3), task="retry of the import job")
        make_request(world, wish, Twist())


def _empty(casting: Casting, grade: int, reason: str) -> bool:
    """A reason that says little, and no ticket."""
    pair = casting.free_pair("reader")
    if pair is None:
        return False
    wish = Wish(who=pair[0], entitlement=pair[1], duration=timedelta(hours=1), task=reason)
    case = make_request(casting.world, wish, Twist())
    casting.plant("C16", case.request.id, f"the purpose is `{reason}`", grade)
    return True


def _outliers(casting: Casting) -> None:
    """Something of another area that one, two or more of the same job hold, for a time and with an end."""
    world = casting.world
    others = casting.areas
    for number, area in enumerate(world.staff.product):
        peers = [n for n in members(world.staff, area.name, ENGINEER) if n in world.catalog.principals]
        if len(peers) < _FEWEST_PEERS:
            continue
        count = 1 + number % 3
        foreign = next(one for one in others if one.name != area.name)
        names = [n for n in peers if n not in casting.taken and n not in world.quiet][:count]
        for name in names:
            role = f"{APP}_guest_{number}"
            _lend(casting, name, foreign.resources[1].name, role)
            grade = 100 - round(100 * len(names) / len(peers))
            subject = f"{name} {foreign.resources[1].name}/{role}"
            casting.plant("R8", subject, f"{len(names)} of {len(peers)} with the same job hold it", grade)


def _lend(casting: Casting, name: str, resource: str, role: str) -> None:
    end = casting.world.size.end
    targets = casting.parts.targets
    targets.account(resource, name, principal=name, can_login=True, last_activity=end - _DAY)
    targets.standing(resource, name, role, valid_until=end + 20 * _DAY, since=end - 6 * _DAY)
