"""Planted: what leaving and moving did not undo, and people who hold both sides of a conflict.

One leaver is forgotten everywhere: a login stays, a database, a service and an agent belong to them, and something is
approved in their name. Called by `plant_all`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lapse.domain.principals import Principal, PrincipalKind
from lapse.review.simulation.areas import BOOKS, CHECKER, FINANCE, MAKER, Area
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.targets import APP
from lapse.review.simulation.usage import write_use
from lapse.review.simulation.wishes import Case, Twist

_DAY = timedelta(days=1)
_LEFT_BEFORE = (26, 60)
_MOVED_BEFORE = (14, 50)
_SIDES = (("public.staff", "table"), ("public.rates", "table"))


def plant_people(casting: Casting) -> None:
    """Leavers who are not gone, movers who kept what they had, two sides in one hand."""
    for number in range(casting.copies):
        area = casting.area(number)
        _forgotten(casting, area, number)
        _mover(casting, casting.area(number + 1))
        casting.story(lambda: _both_sides(casting))
    casting.parts.at_end.append(lambda: _nobody_answers(casting))


def _some_day(casting: Casting, before_end: tuple[int, int]) -> datetime:
    return casting.world.size.end - casting.stream.randrange(*before_end) * _DAY + timedelta(hours=2)


def _forgotten(casting: Casting, area: Area, number: int) -> None:
    """Somebody leaves, and nothing else happens."""
    world, turnover = casting.world, casting.parts.turnover
    name = casting.reserve(area)
    database, bucket = area.resources[0].name, area.resources[1].name
    service, agent = f"svc-{area.name}-reports", f"agent-{area.name}-helper"
    turnover.forgotten |= {database, service, agent, name}

    def announce() -> None:
        world.add_principal(Principal(name=service, kind=PrincipalKind.SERVICE, owner=name))
        world.add_principal(Principal(name=agent, kind=PrincipalKind.AGENT, sponsor=name))
        world.change_resource(database, owner=name)
        turnover.announce_leaving(name)

    world.agenda.at(_some_day(casting, _LEFT_BEFORE), announce)
    casting.plant("R4", database, f"it belongs to {name}, who has left")
    casting.plant("R9", service, f"its owner {name} has left")
    casting.plant("R9", agent, f"its sponsor {name} has left")
    casting.story_at(world.size.end - (9 + number) * _DAY, lambda: _in_their_name(casting, name))
    casting.parts.at_end.append(lambda: _still_there(casting, name, database, bucket))


def _still_there(casting: Casting, name: str, database: str, bucket: str) -> None:
    """The login still works, tables still belong to it on another system, and an exception still names its owner."""
    world, targets = casting.world, casting.parts.targets
    left = world.catalog.principals[name].left_at or world.size.end
    targets.account(database, name, principal=name, can_login=True, last_activity=left - _DAY)
    casting.plant("R1", f"{database}/{name}", f"{name} left, and can still log in")
    targets.account(bucket, name, principal=name, can_login=False)
    for thing, kind in _SIDES:
        world.books.add(
            "object_privileges",
            {
                "resource": bucket,
                "grantee": name,
                "object_kind": kind,
                "object_name": thing,
                "privileges": "ALL",
                "is_owner": True,
            },
        )
    casting.plant("R4", f"{bucket}/{name}", "tables belong to somebody who has left")
    casting.parts.exceptions.append({
        "exception_id": f"exc-owner-{name}", "finding": "0" * 32, "owner": name,
        "until": world.size.end + 30 * _DAY, "given_at": world.size.end - 100 * _DAY, "reason": "accepted",
    })  # fmt: skip
    casting.plant("C27", f"exc-owner-{name}", "its owner has left")


def _in_their_name(casting: Casting, name: str) -> bool:
    """Something is approved in the name of somebody who has left."""
    pair = casting.free_pair("writer")
    if pair is None or casting.world.catalog.principals[name].active:
        return False

    def told(case: Case) -> None:
        casting.plant("R3", case.facts["decisions"][0], f"approved in the name of {name}, who had left")

    request = casting.ask(pair, 2, Twist(approvers=(name,), wait=timedelta(minutes=4), then=told))
    casting.plant("C6", request, f"{name} is no approver any more")
    casting.plant("C8", request, "that vote does not count, so the quorum was not reached")
    casting.plant("C9", request, "and the approval does not re-derive")
    return True


def _mover(casting: Casting, area: Area) -> None:
    """Somebody moves to another area and keeps the access that was accepted for the job before."""
    world, name = casting.world, casting.reserve(area)
    resource = area.resources[1].name
    world.agenda.at(_some_day(casting, _MOVED_BEFORE), lambda: casting.parts.turnover.announce_moving(name))

    def at_end() -> None:
        for day in range(world.size.days):
            begin = world.size.start + timedelta(days=day, hours=5)
            write_use(world, resource, name, (begin, begin + timedelta(minutes=50)))
        end = world.size.end
        targets = casting.parts.targets
        targets.standing(resource, name, f"{APP}_batch", since=world.size.start - 9 * _DAY, valid_until=end + 40 * _DAY)
        casting.plant("R2", f"{name} {resource}/{APP}_batch", "held from before the move")
        casting.outlier(name, f"{resource}/{APP}_batch")

    casting.parts.at_end.append(at_end)


def _both_sides(casting: Casting) -> bool:
    """Somebody in finance enters and releases on the same day: the other side is given by hand."""
    world = casting.world
    area = world.staff.areas[FINANCE]
    able = [n for n in casting.people(area, "makers") if world.is_free((n, f"{BOOKS}/{MAKER}"))]
    if not able:
        return False
    name = able[casting.stream.randrange(len(able))]
    casting.taken.add(name)
    casting.ask((name, f"{BOOKS}/{MAKER}"), 3, Twist(wait=timedelta(minutes=4)))
    begin = world.now + timedelta(hours=1)
    world.books.add(
        "access_periods",
        {
            "resource": BOOKS,
            "account": name,
            "role": CHECKER,
            "from_at": begin,
            "to_at": begin + timedelta(hours=1),
            "principal": name,
            "changed_by": "postgres",
            "source": "log of changes",
        },
    )
    casting.plant("M6", f"{name} four-eyes", "could enter and release at the same time")
    return True


def _nobody_answers(casting: Casting) -> None:
    name = "svc-forgotten"
    casting.world.add_principal(Principal(name=name, kind=PrincipalKind.SERVICE))
    casting.plant("R9", name, "nobody answers for it")
