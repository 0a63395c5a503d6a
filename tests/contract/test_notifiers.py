"""What every `ports.Notifier` does: the fake, the log, webhook and chat on a real HTTP server, mail on a real one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from fakes.notifier import FakeNotifier
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.notices import Notice, NoticeKind, Posting
from lapse.domain.principals import Principal
from lapse.notify.hooks import Hook
from lapse.notify.log import LogWay
from lapse.notify.mail import Mail, MailServer
from lapse.web.client import Calling, WebClient
from support.clock import HandClock
from support.mail_server import mail_server
from support.web_server import web_server

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CATALOG = Catalog(
    principals={
        "ann": Principal(name="ann", email="ann@example.com"),
        "bob": Principal(name="bob", email="bob@example.com"),
    }
)


def a_posting(*to, text="`alice` asks for `pg-prod/reader`"):
    notice = Notice(kind=NoticeKind.APPROVAL_WANTED, subject="req_1", to=to, text=text, at=NOW)
    return Posting(id="not_1", notice=notice, due_at=NOW)


class Bench:
    """One way, what arrived by it, and how to break it."""

    def __init__(self, way, arrived, fail=None, refuse=None):
        self.way, self.arrived, self.fail, self.refuse = way, arrived, fail, refuse


@asynccontextmanager
async def made(kind):
    if kind == "fake":
        fake = FakeNotifier()
        yield Bench(
            fake,
            lambda: [posting.id for _, posting in fake.delivered],
            lambda: fake.failing.append(Unavailable("`fake` is down")),
            lambda: fake.failing.append(Refused("`fake` never takes it")),
        )
    elif kind == "log":
        lines = []
        yield Bench(LogWay(lambda _event, **facts: lines.append(facts)), lambda: [line["id"] for line in lines])
    elif kind == "mail":
        with mail_server() as server:
            way = Mail(
                "mail", MailServer(host="127.0.0.1", port=server.port, tls="none", seconds=20), "lapse@example.com"
            )
            yield Bench(
                way,
                lambda: [message["Lapse-Notice"] for message in server.messages],
                lambda: setattr(server, "answer_to_data", "451 try later"),
                lambda: setattr(server, "answer_to_recipient", "550 no such mailbox"),
            )
    else:
        async with web_server() as server:
            server.always(204)
            client = WebClient(Calling(seconds=20.0))
            way = Hook(kind, server.url + "/hook", client, HandClock(NOW), chat=kind == "chat")
            yield Bench(
                way,
                lambda: [asked.headers["lapse-notice"] for asked in server.asked],
                lambda: server.always(503),
                lambda: server.always(400),
            )
            await way.close()


@pytest.fixture(params=["fake", "log", "mail", "webhook", "chat"])
async def bench(request):
    async with made(request.param) as bench:
        yield bench


async def test_a_notice_arrives_at_each_of_its_places_with_its_id(bench):
    places = bench.way.places(a_posting("ann", "bob").notice, CATALOG)
    assert places.reached
    for place in places.reached:
        await bench.way.send(a_posting("ann", "bob"), place)
    assert bench.arrived() == ["not_1"] * len(places.reached)


async def test_places_begin_with_the_name_of_the_way_and_are_the_same_each_time(bench):
    notice = a_posting("ann", "bob").notice
    places = bench.way.places(notice, CATALOG).reached
    assert all(place.partition(":")[0] == bench.way.name for place in places)
    assert bench.way.places(notice, CATALOG).reached == places
    assert len(set(places)) == len(places)


async def test_what_people_wrote_does_no_harm(bench):
    for text in (
        "a\r\nBcc: eve@example.com\r\n\r\nx",
        "<!channel> & <http://evil|click>",
        "\x1b[2J\u202e",
        "",
        "x" * 9_000,
    ):
        for place in bench.way.places(a_posting("ann").notice, CATALOG).reached:
            await bench.way.send(a_posting("ann", text=text), place)


async def test_a_failure_is_unavailable_and_what_will_never_work_refused(bench):
    for break_it, error in ((bench.fail, Unavailable), (bench.refuse, Refused)):
        if break_it is None:
            continue
        break_it()
        (place, *_) = bench.way.places(a_posting("ann").notice, CATALOG).reached
        with pytest.raises(error, match=f"`{bench.way.name}`"):
            await bench.way.send(a_posting("ann"), place)
