"""Planted: requests whose ticket or purpose does not hold, and use that is not what was asked for.

Called by `plant_all`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lapse.domain.requests import Ticket
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.wishes import Case, Twist, Use

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


def plant_purposes(casting: Casting) -> None:
    """Tickets that are missing, closed, others', about something else or too young; use for something else."""
    for number in range(casting.copies):
        for kind in ("missing", "closed", "others", "elsewhere", "younger"):
            casting.story(partial(_ticket, casting, kind, number))
        casting.story(lambda: _off_purpose(casting))
        casting.story(lambda: _somebody_else(casting))


def _ticket(casting: Casting, kind: str, number: int) -> bool:
    pair = casting.free_pair("reader", kind="-bucket")
    if pair is None:
        return False
    resource = pair[1].partition("/")[0]
    others = [name for name in casting.people(casting.area(number)) if name != pair[0]]
    ticket = _made(casting, kind, pair[0], resource, others)
    request = casting.ask(pair, 2, Twist(), ticket=ticket)
    casting.plant("C15", request, f"its ticket {_WORDS[kind]}")
    return True


_WORDS = {
    "missing": "does not exist",
    "closed": "was closed before",
    "others": "is somebody else's",
    "elsewhere": "is about something else",
    "younger": "was opened only later",
}


def _made(casting: Casting, kind: str, who: str, resource: str, others: list[str]) -> Ticket:
    now = casting.world.now
    spans: dict[str, tuple[datetime, datetime]] = {
        "closed": (now - 9 * _DAY, now - 2 * _DAY),
        "younger": (now + 3 * _HOUR, now + 5 * _DAY),
    }
    if kind == "missing":
        return _missing(casting)
    people = others[:2] if kind == "others" else [who]
    about = "intranet-wiki" if kind == "elsewhere" else resource
    span = spans.get(kind, (now - _DAY, now + 2 * _DAY))
    return casting.parts.tickets.add(span, "task", people, [about])


def _missing(casting: Casting) -> Ticket:
    """A number that the ticket system does not know."""
    number = f"OPS-9{casting.stream.randrange(100_000, 999_999)}"
    row: dict[str, Any] = {"ticket": f"jira:{number}", "found": False}
    casting.world.books.add("tickets", row)
    return Ticket(system="jira", number=number)


def _off_purpose(casting: Casting) -> bool:
    pair = casting.free_pair("reader", kind="-db")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("C17", case.grant.id, "salaries were copied, and something else was declared")

    casting.ask(pair, 2, Twist(use=Use(off_purpose=True), then=told))
    return True


def _somebody_else(casting: Casting) -> bool:
    pair = casting.free_pair("reader", kind="-bucket")
    if pair is None:
        return False
    colleagues = [n for n in casting.people(casting.world.staff.areas[_area(casting, pair[0])]) if n != pair[0]]
    if not colleagues:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("C18", case.grant.id, f"{colleagues[0]} used what was given to {pair[0]}")

    casting.ask(pair, 4, Twist(use=Use(by=colleagues[0]), then=told))
    return True


def _area(casting: Casting, name: str) -> str:
    return casting.world.staff.of(name).area
