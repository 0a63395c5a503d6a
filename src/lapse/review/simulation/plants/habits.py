"""Planted: habits that show only over time. Two of them are facts: access held most days, and far more than is needed.

Called by `plant_all`. Habits of approvers, which are advice, are in `graded`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lapse.review.simulation.asking import make_request
from lapse.review.simulation.clocks import is_workday
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.wishes import Twist, Use, Wish

_DAYS_SHARE = 0.78
"""Share of the working days on which somebody with standing access in fact asks again; from 60 % on it is found."""

_OVERSIZED = 7
_DAY = timedelta(days=1)


def plant_habits(casting: Casting) -> None:
    """De-facto standing access, and windows that are far too long."""
    for number in range(casting.copies):
        area = casting.area(number)
        _every_day(casting, casting.reserve(area), f"{area.name}-bucket/reader")
        _too_long(casting, casting.reserve(area), f"{area.name}-db/writer")


def _every_day(casting: Casting, who: str, entitlement: str) -> None:
    world = casting.world
    pair = (who, entitlement)
    world.kept_apart.add(pair)
    day = world.size.start + _DAY
    while day < world.size.end - _DAY:
        if is_workday(day.date()) and casting.stream.random() < _DAYS_SHARE:
            at = day + timedelta(hours=7, seconds=casting.stream.randrange(7_200))
            world.agenda.at(at, lambda: _once(casting, pair, 2, Use(share=0.8)))
        day += _DAY
    casting.plant("L11", f"{who} {entitlement}", "asked for again on nearly every working day")


def _too_long(casting: Casting, who: str, entitlement: str) -> None:
    world = casting.world
    pair = (who, entitlement)
    world.kept_apart.add(pair)
    times = sorted(casting.moment() for _ in range(_OVERSIZED * 2))
    for at in _apart(times)[:_OVERSIZED]:
        world.agenda.at(at, lambda: _once(casting, pair, 4, Use(share=casting.stream.uniform(0.02, 0.12))))
    casting.plant("L12", f"{who} {entitlement}", "four hours each time, and ten minutes were needed")


def _apart(times: list[datetime]) -> list[datetime]:
    """Times with a day between them."""
    kept: list[datetime] = []
    for at in times:
        if not kept or at - kept[-1] > _DAY:
            kept.append(at)
    return kept


def _once(casting: Casting, pair: tuple[str, str], hours: float, use: Use) -> None:
    """Ask once more; a request that is still open or in force is enough for today."""
    if casting.world.is_free(pair):
        wish = Wish(
            who=pair[0], entitlement=pair[1], duration=timedelta(hours=hours), task="daily checks of the numbers"
        )
        make_request(casting.world, wish, Twist(use=use, wait=timedelta(minutes=3)))
