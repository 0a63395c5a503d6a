"""Planted: break-glass that nobody looked at, that became a habit, or whose secret stayed the same.

Called by `plant_all`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lapse.review.simulation.areas import Area
from lapse.review.simulation.emergencies import Look
from lapse.review.simulation.plants.casting import Casting

_DAY = timedelta(days=1)
_HABIT = 4


def plant_emergencies(casting: Casting) -> None:
    """Looks that are missing, late or by the wrong person; a habit; a secret that is still known."""
    for number in range(casting.copies):
        area = casting.area(number)
        casting.story(partial(_unlooked, casting, area, Look(never=True), "nobody looked at it"))
        casting.story(partial(_unlooked, casting, area, Look(late=True), "looked at days too late"))
        casting.story(partial(_own_look, casting, area))
        _habit(casting, casting.reserve(area, "senior", share=True), area)
        _known_secret(casting, casting.area(number + 1))


def _senior(casting: Casting, area: Area, resource: str) -> str:
    free = [n for n in casting.people(area, "senior") if casting.world.is_free((n, f"{resource}/admin"))]
    return free[casting.stream.randrange(len(free))] if free else ""


def _unlooked(casting: Casting, area: Area, look: Look, what: str) -> bool:
    resource = area.resources[1].name
    name = _senior(casting, area, resource)
    case = casting.parts.emergencies.break_glass(name, resource, look) if name else None
    if case is not None:
        casting.plant("C11", case.request.id, what)
    return case is not None


def _own_look(casting: Casting, area: Area) -> bool:
    resource = area.resources[0].name
    name = _senior(casting, area, resource)
    return bool(name) and _unlooked_by(casting, name, resource)


def _unlooked_by(casting: Casting, name: str, resource: str) -> bool:
    case = casting.parts.emergencies.break_glass(name, resource, Look(by=name))
    if case is not None:
        casting.plant("C11", case.request.id, f"{name} looked at their own use")
    return case is not None


def _habit(casting: Casting, name: str, area: Area) -> None:
    """Again and again, with no incident behind it."""
    database = area.resources[0].name
    casting.parts.emergencies.not_called.add(name)
    times = sorted(casting.moment() for _ in range(_HABIT * 3))
    for at in times[:: len(times) // _HABIT][:_HABIT]:
        casting.story_at(at, lambda: _once(casting, name, database))
    casting.plant("C12", name, "break-glass four times, and no incident")


def _once(casting: Casting, name: str, resource: str) -> bool:
    return casting.parts.emergencies.break_glass(name, resource, Look(), incident=False) is not None


def _known_secret(casting: Casting, area: Area) -> None:
    """The secret of an emergency login stays as it was."""
    hosts = area.resources[2].name
    casting.parts.emergencies.kept.add(hosts)

    def tell() -> bool:
        name = _senior(casting, area, hosts)
        case = casting.parts.emergencies.break_glass(name, hosts, Look()) if name else None
        if case is not None:
            casting.plant("L15", f"secret-{hosts}", "known to somebody since break-glass, and never changed")
        return case is not None

    casting.story(tell)
