"""Lets a simulated world happen, day by day, and writes it down: `simulate` is the whole of it.

Guarantee: the same size and seed give the same bytes, in any process; what is planted is labelled, and nothing else is
wrong. Called by the edges (`lapse review simulate`, the demonstration) and by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from lapse.policy import parse, version_of
from lapse.ports import PolicyVersion
from lapse.review.collection import rows
from lapse.review.simulation import policy_tables as policies
from lapse.review.simulation.agenda import Agenda
from lapse.review.simulation.areas import BOOKS, CHECKER, CONTROL, MAKER, OPERATOR, SECURITY, native_role, offerings
from lapse.review.simulation.asking import request_row
from lapse.review.simulation.books import Books, Planted
from lapse.review.simulation.chance import Chance
from lapse.review.simulation.demand import Demand
from lapse.review.simulation.emergencies import Emergencies
from lapse.review.simulation.granting import grant_rows
from lapse.review.simulation.organization import catalog_of
from lapse.review.simulation.parts import Change, Parts
from lapse.review.simulation.people import SENIOR, hire_all
from lapse.review.simulation.plants import plant_all
from lapse.review.simulation.plants.rules import LAST_POLICY
from lapse.review.simulation.reviews import Reviews
from lapse.review.simulation.routine import Routine
from lapse.review.simulation.rules import FIRST, TIGHTER, WIDER, WIDEST, policy_files
from lapse.review.simulation.size import Size
from lapse.review.simulation.targets import Targets, edge_rows, object_rows, privilege_rows
from lapse.review.simulation.tickets import Tickets
from lapse.review.simulation.turnover import Turnover
from lapse.review.simulation.world import World, record_catalog
from lapse.review.simulation.writer import FolderSink, write_labels

OnDay = Callable[[int], None]
"""Is told how many days have passed."""

_TIGHTER_AT, _WIDER_AT = 0.12, 0.35
_FOUNDED = timedelta(hours=6)
_FIRST_POLICY = timedelta(days=290)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A world that was written: its folder and files, what was planted, and how much there is of everything."""

    folder: Path
    size: Size
    files: tuple[str, ...]
    planted: tuple[Planted, ...]
    counts: dict[str, int]


def simulate(size: Size, folder: Path, on_day: OnDay = lambda _: None) -> Simulated:
    """Make the world of `size` and write its evidence into `folder`, which must be empty or not exist.

    Raises:
        InvalidInput: the size cannot be made, or there is something in the folder.
    """
    size.checked()
    sink = FolderSink(folder)
    books = Books(sink=sink)
    parts = found_company(size, books)
    live(parts, on_day)
    write_end(parts)
    files = sink.close()
    write_labels(folder, books.planted)
    return Simulated(
        folder=folder, size=size, files=files, planted=tuple(books.planted), counts=dict(sorted(books.counts.items()))
    )


def found_company(size: Size, books: Books) -> Parts:
    """The company on its first day, with everything planned that is known by then."""
    chance = Chance(size.seed)
    staff = hire_all(chance, size.people)
    catalog = catalog_of(staff)
    every = tuple(offering for area in staff.areas.values() for offering in offerings(area))
    files = policy_files(every, FIRST)
    first = PolicyVersion(
        version=version_of(files), files=files, activated_at=size.start - _FIRST_POLICY, activated_by="root"
    )
    world = World(
        size=size,
        chance=chance,
        books=books,
        staff=staff,
        catalog=catalog,
        agenda=Agenda(now=size.start - _FOUNDED),
        offerings=every,
        offers={group: [one for one in every if one.group == group] for group in sorted({one.group for one in every})},
        policy=parse(files),
        version=first,
        versions=[first],
    )
    record_catalog(books, catalog, world.now)
    tickets = Tickets(world)
    parts = Parts(
        world=world,
        tickets=tickets,
        demand=Demand(world, tickets),
        emergencies=Emergencies(world, tickets),
        reviews=Reviews(world),
        routine=Routine(world),
        turnover=Turnover(world),
        targets=Targets(world),
    )
    parts.reviews.plan()
    plant_all(parts)
    parts.demand.owe_everything()
    _plan_policies(parts)
    return parts


def live(parts: Parts, on_day: OnDay) -> None:
    """Let the days pass."""
    size = parts.world.size
    for number in range(size.days):
        parts.world.agenda.run_until(size.start + timedelta(days=number))
        parts.turnover.new_day()
        parts.routine.new_day()
        parts.emergencies.new_day()
        parts.demand.new_day()
        on_day(number + 1)
    parts.world.agenda.run_until(size.end)


def write_end(parts: Parts) -> None:
    """What is there when the period is over: catalog, what is in force, what targets show, what policies come to."""
    world, books = parts.world, parts.world.books
    parts.targets.observe()
    for action in parts.at_end:
        action()
    grant_rows(world)
    books.add_all("requests", (request_row(request) for request in world.pending.values()))
    parts.targets.write()
    parts.emergencies.secrets()
    for table, found in _end_tables(parts):
        books.add_all(table, found)
    books.add_all("reconciliations", _counts(parts))


def _plan_policies(parts: Parts) -> None:
    """The policy is changed three times: tighter, wider with a second person, and at last with rules of plants."""
    world = parts.world
    first, second = (name for name in _security(parts)[:2])
    for share, times, approved, widens in ((_TIGHTER_AT, TIGHTER, second, False), (_WIDER_AT, WIDER, second, True)):
        change = Change(
            files=policy_files(world.offerings, times),
            proposed_by=first,
            approved_by=approved,
            widens=widens,
            detail="writing may be extended to 12 h" if widens else "",
        )
        world.agenda.at(_noon(world.size.day(share)), partial(parts.put_in_force, change))
    world.agenda.at(_noon(world.size.day(LAST_POLICY)), lambda: _last_policy(parts))


def _last_policy(parts: Parts) -> None:
    """The version that is in force at the end; what it permits more has nobody's agreement."""
    files = policy_files(parts.world.offerings, WIDEST, parts.rules, parts.limits)
    first = _security(parts)[0]
    parts.put_in_force(
        Change(files=files, proposed_by=first, approved_by="", widens=True, detail="tests may take 10 h; new offers")
    )
    parts.world.books.plant("C26", parts.world.version.version, "permits more, and no second person agreed")


def _security(parts: Parts) -> list[str]:
    people = parts.world.staff.persons.values()
    return [p.name for p in people if p.area == SECURITY and p.grade == SENIOR]


def _noon(day: datetime) -> datetime:
    return day.replace(hour=12)


def _end_tables(parts: Parts) -> Iterator[tuple[str, Iterator[Row] | list[Row]]]:
    world = parts.world
    offers = list(policies.offered_rows(world))
    governed = {str(row["resource"]) for row in offers}
    yield "principals", rows.principal_rows(world.catalog)
    yield "humans_behind", rows.human_rows(world.catalog)
    yield "group_members", rows.group_rows(world.catalog)
    yield (
        "resources",
        (rows.resource_row(r, world.catalog, r.name in governed) for r in world.catalog.resources.values()),
    )
    yield "entitlements", (rows.entitlement_row(e) for e in world.catalog.entitlements())
    yield "role_privileges", privilege_rows(world)
    yield "object_privileges", object_rows(world)
    yield "escalation_edges", edge_rows(world)
    yield "coverage", parts.routine.coverage()
    yield "boundaries", [{"resource": CONTROL, "role": native_role(CONTROL, OPERATOR), "controls": "policy"}]
    yield "conflicts", list(_conflicts())
    yield "exceptions", parts.exceptions
    yield "reviews", parts.reviews.covered()
    yield "policies", policies.policy_version_rows(world)
    yield "offers", offers
    yield "rule_effects", policies.effect_rows(world, frozenset(parts.dead))
    yield "approval_paths", policies.path_rows(world)
    yield "quorums", policies.quorum_rows(world)
    yield "eligibilities", policies.eligible_rows(world)
    yield "live_policies", _live_policies(world)
    yield "ledger_checks", _ledger_checks(world)


def _conflicts() -> Iterator[Row]:
    for role in (MAKER, CHECKER):
        yield {
            "conflict": "four-eyes",
            "side": role,
            "resource": BOOKS,
            "role": role,
            "reason": "nobody releases what they entered",
        }


def _live_policies(world: World) -> list[Row]:
    version = world.version.version
    return [
        {"place": place, "policy_version": version, "seen_at": world.size.end, "files_sha256": version}
        for place in ("server", "gateway-1", "gateway-2")
    ]


def _ledger_checks(world: World) -> list[Row]:
    entries = world.books.counts["ledger_entries"]
    return [
        {"check_name": name, "ok": True, "checked_at": world.size.end, "entries": entries}
        for name in ("sequence", "hashes", "checkpoint", "consistency")
    ]


def _counts(parts: Parts) -> list[Row]:
    """What the sources say how many rows they have; some say more than there is."""
    found = []
    for table, count in sorted(parts.world.books.counts.items()):
        lost = parts.miscounted.get(table, 0)
        found.append({
            "table_name": table,
            "rows_read": count,
            "rows_counted": count + lost,
            "rows_rejected": 0,
            "matches": lost == 0,
            "source": "the source's own count",
            "detail": f"{count} rows were read, the source counts {count + lost}" if lost else None,
        })  # fmt: skip
    return found
