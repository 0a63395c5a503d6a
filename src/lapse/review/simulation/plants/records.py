"""Planted: holes and contradictions in the record itself: reads, telemetry, clocks, counts, the ledger, exceptions.

Called by `plant_all`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from lapse.domain.resources import Resource
from lapse.ledger.entry import Entry
from lapse.review.simulation.organization import standing_service
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.targets import APP

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_UNREVIEWED = timedelta(days=188)


def plant_records(casting: Casting) -> None:
    """What is wrong with the evidence, and what the register of exceptions should not have."""
    for number in range(casting.copies):
        area = casting.area(number)
        hosts, staging = area.resources[2].name, area.resources[3].name
        _gap(casting, hosts)
        _unread(casting, staging, never=number % 2 == 1)
        casting.parts.reviews.left_out[hosts] = casting.world.size.end - _UNREVIEWED
        casting.plant("C22", hosts, "left out of the last reviews")
        _bad_times(casting, casting.area(number + 1).resources[0].name)
        _exceptions(casting, number)
        casting.parts.at_end.append(partial(_expired_access, casting, number))
    _legacy(casting)
    _ledger(casting)
    _counts(casting)


def _gap(casting: Casting, resource: str) -> None:
    """Telemetry stops for nine hours on a working day. A grant unused in that time is unknown, not unused."""
    start = casting.moment().replace(minute=0, second=0)
    casting.parts.routine.gaps[resource] = (start, start + 9 * _HOUR)
    casting.special.add(resource)
    casting.plant("M13", f"{resource} {start:%Y-%m-%dT%H:%M:%SZ}", "nine hours without telemetry")


def _unread(casting: Casting, resource: str, *, never: bool) -> None:
    world = casting.world
    since = world.size.start - _DAY if never else world.size.end - 9 * _DAY
    casting.parts.routine.unread[resource] = since
    world.not_at_end |= {one.name for one in world.catalog.resources[resource].entitlements}
    casting.plant("M12", resource, "never read completely" if never else "not read completely for nine days")


def _bad_times(casting: Casting, resource: str) -> None:
    """Use that ended before it began, and use later than the evidence was read."""
    world = casting.world
    account = next(standing_service(area) for area in casting.areas if area.resources[0].name == resource)
    begin = casting.moment()
    for start, stop in (
        (begin, begin - 20 * timedelta(minutes=1)),
        (world.size.end + _HOUR, world.size.end + 2 * _HOUR),
    ):
        row = {"resource": resource, "account": account, "started_at": start, "ended_at": stop, "source": "bad clock"}
        world.books.add("usage", row)
    casting.plant("M14", f"use of {resource}", "use that ended before it began, and use in the future")


def _exceptions(casting: Casting, number: int) -> None:
    """Accepted findings with no owner, no end, an end that is over, or one that is too far away."""
    end = casting.world.size.end
    owner = casting.world.catalog.groups[casting.area(number).group("approvers")].members[0]
    shapes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("has no owner", {"until": end + 60 * _DAY}),
        ("has no end", {"owner": owner}),
        ("is over", {"owner": owner, "until": end - 20 * _DAY}),
        ("is for years", {"owner": owner, "until": end + 900 * _DAY}),
    )
    for place, (what, row) in enumerate(shapes):
        name = f"exc-{number}-{place}"
        given = {"exception_id": name, "finding": f"{number:016d}{place:016d}", "given_at": end - 100 * _DAY}
        casting.parts.exceptions.append({**given, "reason": "accepted", "given_by": "audit", **row})
        casting.plant("C27", name, what)


def _expired_access(casting: Casting, number: int) -> None:
    """Standing access that was accepted until a month ago, and is still there."""
    world, area = casting.world, casting.area(number)
    resource, name = area.resources[0].name, f"svc-{area.name}-import"
    casting.service(name, area)
    since = world.size.end - 15 * _DAY
    casting.parts.targets.account(resource, name, last_activity=world.size.end - _DAY)
    casting.parts.targets.standing(resource, name, f"{APP}_import", since=since)
    owner = world.catalog.groups[area.group("senior")].members[0]
    casting.parts.exceptions.append({
        "exception_id": f"exc-import-{area.name}", "resource": resource, "account": name, "role": f"{APP}_import",
        "owner": owner, "until": world.size.end - 2 * _DAY, "given_at": since, "reason": "import", "given_by": "audit",
    })  # fmt: skip
    casting.plant("C27", f"exc-import-{area.name}", "is over")
    casting.plant("L1", f"{resource}/{name}/{APP}_import", "its exception is over")
    casting.plant("L18", f"{resource}/{name}", "its exception is over, and the login has no end")


def _legacy(casting: Casting) -> None:
    """Systems that no rule is about; one of them belongs to nobody, was never reviewed and records nothing."""
    world, parts = casting.world, casting.parts
    owner = f"group:{casting.area(0).group('approvers')}"
    for name, whose in (("legacy-reports", ""), ("legacy-archive", owner)):
        resource = Resource(name=name, connector="postgresql", title="of old", owner=whose, tags={"env": "prod"})
        world.add_resource(resource)
        casting.plant("M1", name, "no owner and no policy" if not whose else "no policy")
    parts.reviews.never.add("legacy-reports")
    casting.plant("C22", "legacy-reports", "never reviewed")
    parts.routine.silent.add("legacy-reports")
    casting.plant("M13", f"legacy-reports {world.size.start:%Y-%m-%dT%H:%M:%SZ}", "its use is not recorded at all")


def _ledger(casting: Casting) -> None:
    """An entry is missing, one is older than the one before it, and the hashes do not fit."""
    world = casting.world

    def lose() -> None:
        casting.plant("C24", f"entry {world.books.lose_entry()}", "the entry before it is missing")

    def fall_back() -> None:
        at = (world.books.last_at or world.now) - timedelta(minutes=2)
        after = {"name": "ci"}
        seq = world.books.record(Entry(type="token.created", at=at, actor="root", subject="token:ci", after=after))
        casting.plant("M14", f"ledger entry {seq}", "earlier than the entry before it")

    def broken() -> None:
        row = {"check_name": "witness", "ok": False, "checked_at": world.size.end, "first_bad": 41}
        world.books.add("ledger_checks", row | {"detail": "entry 41 is not what the witness had signed"})
        casting.plant("C24", "check witness", "an entry was changed in the database")

    _at(casting, lose)
    _at(casting, fall_back)
    casting.parts.at_end.append(broken)


def _at(casting: Casting, action: Callable[[], None]) -> None:
    casting.world.agenda.at(casting.moment(), action)


def _counts(casting: Casting) -> None:
    """A source says that it has more than was read: a page was lost."""
    casting.parts.miscounted["drifts"] = 3
    casting.plant("C23", "drifts", "the source counts three more than were read")
