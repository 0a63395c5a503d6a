"""What every `ports.Rotas` does: the fake, a file of shifts, an iCalendar feed, and a web service on a real server.

All know the same week in Berlin: ann from Monday 09:00 for a day, bob from Tuesday 09:00 for a day, and both at once on
Thursday 09:00 to 17:00. Nobody on Wednesday from 09:00 on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.rotas import FakeRotas
from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Unavailable
from lapse.domain.principals import Principal
from lapse.domain.times import parse_time
from lapse.rotas.book import Book, Rota
from lapse.rotas.calendar import Calendar, from_file
from lapse.rotas.service import Asking, Service
from lapse.rotas.sources import ShiftFile
from lapse.web.client import Calling, WebClient
from lapse.web.urls import UrlTemplate
from support.clock import START, HandClock
from support.web_server import Reply, web_server

MONDAY = START.replace(hour=8)
"""09:00 in Berlin."""

DAY = timedelta(days=1)
WEEK = [
    ("ann", MONDAY, MONDAY + DAY),
    ("bob", MONDAY + DAY, MONDAY + 2 * DAY),
    ("ann", MONDAY + 3 * DAY, MONDAY + 3 * DAY + timedelta(hours=8)),
    ("bob", MONDAY + 3 * DAY, MONDAY + 3 * DAY + timedelta(hours=8)),
]
CATALOG = Catalog(
    principals={
        "ann": Principal(name="ann", email="Ann@Example.com", display_name="Ann Example"),
        "bob": Principal(name="bob", email="bob@example.com"),
    }
)


def on_call(at):
    return frozenset(who for who, begins, ends in WEEK if begins <= at < ends)


def as_file(folder):
    lines = ["version: 1", "timezone: Europe/Berlin", "shifts:"]
    for who, begins, ends in WEEK:
        local = [(at + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M") for at in (begins, ends)]
        lines.append(f"  - {{who: {who}, from: {local[0]}, to: {local[1]}}}")
    path = folder / "rota.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def as_calendar(folder):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//acme//oncall//EN"]
    for number, (who, begins, ends) in enumerate(WEEK):
        mail = CATALOG.principals[who].email
        lines += [
            "BEGIN:VEVENT",
            f"UID:{number}@acme",
            "DTSTAMP:20260101T000000Z",
            f"DTSTART;TZID=Europe/Berlin:{begins + timedelta(hours=1):%Y%m%dT%H%M%S}",
            f"DTEND;TZID=Europe/Berlin:{ends + timedelta(hours=1):%Y%m%dT%H%M%S}",
            "SUMMARY:On call",
            f"ATTENDEE;CN=Somebody:mailto:{mail}",
            "END:VEVENT",
        ]
    path = folder / "rota.ics"
    path.write_bytes("\r\n".join([*lines, "END:VCALENDAR", ""]).encode())
    return path


def as_service(asked):
    at = parse_time(parse_qs(urlsplit(asked.target).query)["at"][0])
    people = [{"user": {"email": CATALOG.principals[who].email}} for who in sorted(on_call(at))]
    return Reply(200, {"oncalls": people})


@asynccontextmanager
async def made(kind, folder):
    """A rota `database`, and a function that silences it."""
    clock = HandClock()

    def book(source):
        async def catalog():
            return CATALOG

        return Book({"database": Rota(source=source)}, clock, catalog)

    if kind == "fake":
        rotas = FakeRotas()
        for who, begins, ends in WEEK:
            rotas.add("database", begins, ends, [who])
        yield rotas, lambda: rotas.down.add("database")
    elif kind == "shifts":
        path = as_file(folder)
        yield book(ShiftFile(path)), path.unlink
    elif kind == "calendar":
        path = as_calendar(folder)
        source = Calendar(from_file(path), clock, "UTC", fresh_for=timedelta(0), believed_for=timedelta(0))

        def silence():
            path.unlink()
            clock._now += timedelta(seconds=31)

        yield book(source), silence
    else:
        async with web_server() as server:
            server.answer = as_service
            url = UrlTemplate.parse(server.url + "/oncalls?at={at}", frozenset({"at"}))
            client = WebClient(Calling(seconds=20.0))
            asking = Asking(url=url, people="/oncalls", names=("/user/email",))
            yield book(Service(asking, client, clock)), lambda: server.always(behaviour="hang_up")
            await client.close()


@pytest.fixture(params=["fake", "shifts", "calendar", "web"])
async def rota(request, tmp_path):
    async with made(request.param, tmp_path) as (rotas, silence):
        yield rotas, silence


@pytest.mark.parametrize(
    ("at", "people"),
    [
        (MONDAY - timedelta(seconds=31), set()),
        (MONDAY, {"ann"}),
        (MONDAY + DAY - timedelta(seconds=30), {"ann"}),
        (MONDAY + DAY, {"bob"}),
        (MONDAY + 2 * DAY, set()),
        (MONDAY + 3 * DAY, {"ann", "bob"}),
        (MONDAY + 3 * DAY + timedelta(hours=8), set()),
    ],
)
async def test_who_is_on_call_nobody_in_a_gap_and_all_in_an_overlap(rota, at, people):
    rotas, _ = rota
    assert await rotas.on_call("database", at) == people


async def test_a_rota_that_is_not_there_is_not_found(rota):
    with pytest.raises(NotFound, match="no rota `network`"):
        await rota[0].on_call("network", MONDAY)


async def test_a_rota_that_cannot_be_read_is_unavailable_not_empty(rota):
    rotas, silence = rota
    silence()
    with pytest.raises(Unavailable, match="`database`"):
        await rotas.on_call("database", datetime(2026, 3, 3, 12, tzinfo=UTC))
