"""Planted: what targets show at the end that should not be there: standing, unknown, inherited, dormant access.

Called by `plant_all`; most of it is put there when the period is over.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from lapse.review.simulation.areas import Area, native_role
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.routine import RECORDED_BEFORE
from lapse.review.simulation.targets import APP
from lapse.review.simulation.usage import write_use

_DAY = timedelta(days=1)
_LATELY = 14 * _DAY
_LONG_AGO = 91 * _DAY
_NEEDED_HOURS = (0.75, 1.5)


def plant_access(casting: Casting) -> None:
    """Access without an end, without a grant, through others, of nobody known, that nobody uses."""
    for number in range(casting.copies):
        area = casting.area(number)
        casting.parts.at_end += [
            partial(_superuser, casting, area),
            partial(_old_job, casting, area),
            partial(_by_hand, casting, area),
            partial(_through_a_team, casting, area),
            partial(_nobodys, casting, area),
            partial(_idle_service, casting, area),
        ]
        _dormant(casting, area)


def _database(area: Area) -> str:
    return area.resources[0].name


def _superuser(casting: Casting, area: Area) -> None:
    """A person is superuser, given two weeks ago for ever."""
    name, resource = casting.someone(area), _database(area)
    if not name:
        return
    end = casting.world.size.end
    targets = casting.parts.targets
    targets.account(resource, name, principal=name, can_login=True, powers="superuser", last_activity=end - 3 * _DAY)
    since = end - _LATELY
    casting.parts.targets.holds(
        resource, name, "(superuser)", holding="power", powers="superuser", principal=name, since=since
    )
    casting.plant("L1", f"{resource}/{name}/(superuser)", "a person is superuser for ever")
    casting.plant("L18", f"{resource}/{name}", "and the login has no end")
    casting.outlier(name, f"{resource}/(superuser)")


def _old_job(casting: Casting, area: Area) -> None:
    """A job that has held its role for ever, and runs for an hour every day."""
    world, resource = casting.world, area.resources[1].name
    name = f"svc-{area.name}-export"
    casting.service(name, area)
    day = world.size.start
    while day < world.size.end:
        begin = day + timedelta(hours=2)
        write_use(world, resource, name, (begin, begin + timedelta(hours=casting.stream.uniform(*_NEEDED_HOURS))))
        day += _DAY
    role = native_role(resource, "writer")
    casting.parts.targets.standing(resource, name, role, managed=True)
    casting.plant("L1", f"{resource}/{name}/{role}", "a job has held its role for ever")
    casting.plant("L18", f"{resource}/{name}", "and its login has no end")


def _by_hand(casting: Casting, area: Area) -> None:
    """A colleague added the role by hand, ten days ago."""
    name, resource = casting.someone(area), area.resources[1].name
    if not name:
        return
    role = native_role(resource, "writer")
    targets = casting.parts.targets
    targets.account(resource, name, principal=name, can_login=True, last_activity=casting.world.size.end - 3 * _DAY)
    since = casting.world.size.end - 10 * _DAY
    targets.holds(resource, name, role, principal=name, managed=True, baseline=False, since=since, grantor="postgres")
    casting.plant("L2", f"{resource}/{name}/{role}", "a colleague added the role by hand")
    casting.outlier(name, f"{resource}/{role}")


def _through_a_team(casting: Casting, area: Area) -> None:
    name, resource = casting.someone(area), _database(area)
    if not name:
        return
    targets, role = casting.parts.targets, native_role(_database(area), "reader")
    targets.account(resource, "support_team", can_login=False)
    targets.account(resource, name, principal=name, can_login=True, last_activity=casting.world.size.end - 2 * _DAY)
    nested = {"holding": "nested", "depth": 1, "via": "support_team", "managed": True}
    targets.holds(resource, name, role, principal=name, **nested)
    casting.plant("R7", f"{resource}/{name}/{role}", "reads customers' data through a team's role")
    casting.outlier(name, f"{resource}/{role}")


def _nobodys(casting: Casting, area: Area) -> None:
    """A login that works and belongs to nobody known."""
    resource = area.resources[2].name
    casting.parts.targets.account(resource, "backup_old", last_activity=casting.world.size.end - 20 * _DAY)
    casting.plant("R5", f"{resource}/backup_old", "nobody knows whose login it is")


def _idle_service(casting: Casting, area: Area) -> None:
    """A service holds a role all the time and uses it ten minutes a week; its login has an end."""
    world, resource = casting.world, area.resources[1].name
    name = f"svc-{area.name}-probe"
    casting.service(name, area)
    day = world.size.start + 3 * _DAY
    while day < world.size.end:
        write_use(world, resource, name, (day, day + timedelta(minutes=10)))
        day += 7 * _DAY
    casting.parts.targets.standing(resource, name, f"{APP}_probe", valid_until=world.size.end + 90 * _DAY)
    casting.plant("L17", f"{resource}/{APP}_probe", "held all the time, used ten minutes a week")


def _dormant(casting: Casting, area: Area) -> None:
    """A service's login that nobody used for more than ninety days, and that holds nothing."""
    world, resource = casting.world, area.resources[1].name
    name = f"svc-{area.name}-trial"
    at = max(world.size.start - RECORDED_BEFORE, world.size.end - _LONG_AGO - _DAY)

    def at_end() -> None:
        casting.service(name, area)
        write_use(world, resource, name, (at, at + timedelta(minutes=30)))
        casting.parts.targets.account(resource, name, principal=name, valid_until=world.size.end + 60 * _DAY)
        casting.plant("R6", f"{resource}/{name}", "not used for more than ninety days")

    casting.parts.at_end.append(at_end)
