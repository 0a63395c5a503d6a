"""Names in rotas become principals; what is remembered is remembered shortly."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Unavailable
from lapse.domain.principals import Principal
from lapse.rotas.book import Book, Rota
from lapse.rotas.service import Asking, Service
from lapse.web.client import Calling, WebClient
from lapse.web.urls import UrlTemplate
from support.clock import HandClock
from support.web_server import Reply, web_server

CATALOG = Catalog(
    principals={
        one.name: one
        for one in (
            Principal(name="ann", email="Ann@Example.com", display_name="Ann Example"),
            Principal(name="ann-admin", email="ann@example.com", alias_of="ann"),
            Principal(name="bob", email="shared@example.com", display_name="B. Smith"),
            Principal(name="bert", email="shared@example.com", display_name="B. Smith"),
        )
    }
)


class Said:
    def __init__(self, *people):
        self.people, self.count = list(people), 0

    async def on_call(self, at):
        self.count += 1
        if isinstance(self.people[0], Exception):
            raise self.people[0]
        return self.people

    async def close(self):
        pass


@pytest.fixture
def clock():
    return HandClock()


def book(clock, source, **options):
    async def catalog():
        return CATALOG

    return Book({"database": Rota(source=source, **options)}, clock, catalog, {"network": "no password"})


@pytest.mark.parametrize(
    ("names", "principal"),
    [
        (("ann",), "ann"),
        (("ann-admin",), "ann-admin"),
        (("ANN@example.com",), "ann"),
        (("ann example",), "ann"),
        (("unknown@example.com", "Ann Example"), "ann"),
        (("On call: Ann Example",), "ann"),
        (("Annie",), "ann"),
        (("shared@example.com",), None),
        (("B. Smith",), None),
        (("Ann",), None),
        (("group:dba",), None),
        (("",), None),
    ],
)
async def test_a_name_is_matched_exactly_or_nobody(clock, names, principal):
    found = await book(clock, Said(names), people={"Annie": "ann"}, prefix="On call: ").look("database", clock.now())
    assert found.principals == ({principal} if principal else frozenset())
    assert bool(found.unknown) == (principal is None)


async def test_an_answer_is_remembered_for_half_a_minute(clock):
    source = Said(("ann",))
    rotas = book(clock, source)
    await rotas.on_call("database", clock.now())
    await clock.advance(timedelta(seconds=29))
    await rotas.on_call("database", clock.now())
    assert source.count == 1
    source.people = [("bob",)]
    await clock.advance(timedelta(seconds=1))
    assert await rotas.on_call("database", clock.now()) == {"bob"}


async def test_a_failure_is_remembered_for_seconds(clock):
    source = Said(Unavailable("it is down"))
    rotas = book(clock, source)
    for _ in range(3):
        with pytest.raises(Unavailable, match="`database` cannot be read: it is down"):
            await rotas.on_call("database", clock.now())
    assert source.count == 1
    await clock.advance(timedelta(seconds=5))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await rotas.on_call("database", clock.now())
    assert source.count == 2
    source.people = [("ann",)]
    await clock.advance(timedelta(seconds=5))
    assert await rotas.on_call("database", clock.now()) == {"ann"}


async def test_many_times_asked_about_do_not_pile_up(clock, monkeypatch):
    monkeypatch.setattr("lapse.rotas.book.MOST_KEPT", 5)
    rotas = book(clock, Said(("ann",)))
    for hour in range(50):
        await rotas.on_call("database", clock.now() + timedelta(hours=hour))
    assert len(rotas._kept) == 5


async def test_rotas_that_are_not_there_or_could_not_be_set_up(clock):
    rotas = book(clock, Said(("ann",)))
    with pytest.raises(Unavailable, match="`network` cannot be used: no password"):
        await rotas.on_call("network", clock.now())
    with pytest.raises(NotFound, match="there is no rota `web`") as raised:
        await rotas.on_call("web", clock.now())
    assert raised.value.hint == "known are `database`, `network`"


async def test_asking_ahead_fills_what_is_remembered_and_survives_what_does_not_answer(clock):
    source = Said(Unavailable("it is down"))
    rotas = book(clock, source)
    await rotas.refresh()
    source.people = [("ann",)]
    await rotas.refresh()
    count = source.count
    for seconds in (0, 20, 9):
        await clock.advance(timedelta(seconds=seconds))
        assert await rotas.on_call("database", clock.now()) == {"ann"}
    assert source.count == count


@pytest.fixture
async def server():
    async with web_server() as server:
        yield server


async def asked(server, clock, at, **options):
    template = UrlTemplate.parse(server.url + options.pop("path", "/"), frozenset({"at"}))
    client = WebClient(Calling())
    try:
        return await Service(Asking(url=template, **options), client, clock).on_call(at)
    finally:
        await client.close()


async def test_a_service_that_only_knows_now(server, clock):
    server.always(200, ["ann", "bob"])
    assert await asked(server, clock, clock.now()) == [("ann",), ("bob",)]
    with pytest.raises(Unavailable, match="only knows who is on call now"):
        await asked(server, clock, clock.now() + timedelta(hours=1))


async def test_a_service_is_asked_about_the_time(server, clock):
    server.always(200, [])
    assert await asked(server, clock, clock.now() + timedelta(hours=1), path="/?t={at}") == []
    assert server.asked[0].target == "/?t=2026-03-02T10%3A00%3A00.000000Z"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(200, {"people": ["ann"]}), "no list at"),
        (Reply(200, [{"mail": "ann"}]), "names nobody"),
        (Reply(200, ["ann", None]), "names nobody"),
        (Reply(200, ["x"] * 201), "more than 200 persons"),
        (Reply(500, []), "status 500"),
        (Reply(200, b"nonsense"), "not JSON"),
        (Reply(302, headers={"Location": "http://127.0.0.2/"}), "leads elsewhere"),
    ],
)
async def test_a_service_that_answers_oddly_says_nothing(server, clock, reply, why):
    server.answer = lambda _asked: reply
    with pytest.raises(Unavailable, match=why):
        await asked(server, clock, clock.now())
