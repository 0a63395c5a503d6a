"""Mail through a real SMTP server: one message for each person, encrypted, and safe from what people write."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme

from fakes.store import FakeStore
from lapse.control.delivery import deliver_due
from lapse.control.notices import list_notices, post
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.notices import Notice, NoticeKind, Posting, PostingState
from lapse.domain.principals import Principal
from lapse.notify.mail import Mail, MailServer
from lapse.ports import Page
from support.mail_server import mail_server
from support.world import CATALOG as COMPANY
from support.world import World

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CATALOG = Catalog(
    principals={
        one.name: one
        for one in (
            Principal(name="ann", email="ann@example.com"),
            Principal(name="ann-admin", alias_of="ann"),
            Principal(name="bob", email="bob@example.com"),
            Principal(name="cat"),
            Principal(name="eve", email="eve@example.com\r\nBcc: all@example.com"),
            Principal(name="odd", email="a,b@example.com"),
        )
    }
)


def a_posting(*to, kind=NoticeKind.BREAK_GLASS, text="`alice` used break-glass for `pg-prod/writer`: db down"):
    return Posting(id="not_1", notice=Notice(kind=kind, subject="aft_1", to=to, text=text, at=NOW), due_at=NOW)


def mail(server, **options):
    return Mail(
        "mail", MailServer(host="127.0.0.1", port=server.port, tls="none", seconds=20), "lapse@example.com", **options
    )


@pytest.fixture
def server():
    with mail_server() as server:
        yield server


def test_addresses_come_from_the_catalog_each_once(server):
    way = mail(server, also_to=("sec@example.com", "bob@example.com"))
    places = way.places(a_posting("ann", "ann-admin", "bob", "cat", "eve", "odd", "gone").notice, CATALOG)
    assert places.reached == ("mail:ann@example.com", "mail:bob@example.com", "mail:sec@example.com")
    assert places.missing == ("cat", "eve", "odd", "gone")


def test_only_the_kinds_that_were_chosen_are_mailed_and_tests(server):
    way = mail(server)
    way.kinds = frozenset({NoticeKind.BREAK_GLASS})
    assert way.places(a_posting("ann").notice, CATALOG).reached
    assert not way.places(a_posting("ann", kind=NoticeKind.DECIDED).notice, CATALOG).reached
    assert way.places(a_posting("ann", kind=NoticeKind.TEST).notice, CATALOG).reached


async def test_a_message_says_what_happened_and_where_to_look(server):
    await mail(server, link="https://lapse.example.com").send(a_posting("ann"), "mail:ann@example.com")
    (message,) = server.messages
    assert message["From"] == "lapse <lapse@example.com>"
    assert message["To"] == "ann@example.com"
    assert message["Subject"] == "[lapse] BREAK-GLASS was used (aft_1)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].startswith("<not_1.")
    body = message.get_content()
    assert "`alice` used break-glass for `pg-prod/writer`: db down" in body
    assert "About: aft_1" in body
    assert "https://lapse.example.com" in body
    assert server.recipients == [["ann@example.com"]]


async def test_what_comes_twice_has_the_same_message_id_and_other_people_another(server):
    way = mail(server)
    for place in ("mail:ann@example.com", "mail:ann@example.com", "mail:bob@example.com"):
        await way.send(a_posting("ann"), place)
    first, again, other = (message["Message-ID"] for message in server.messages)
    assert first == again != other


async def test_text_never_becomes_a_header_or_another_recipient(server):
    text = "x\r\nBcc: all@example.com\r\n\r\n.\r\nRCPT TO:<all@example.com>"
    await mail(server).send(a_posting("ann", text=text), "mail:ann@example.com")
    (message,) = server.messages
    assert message["Bcc"] is None
    assert server.recipients == [["ann@example.com"]]


async def test_a_mailbox_that_does_not_exist_is_refused_and_one_that_is_full_is_not(server):
    server.answer_to_recipient = "550 5.1.1 no such mailbox"
    with pytest.raises(Refused, match=r"`ann@example.com` is not taken \(550 5.1.1 no such mailbox\)"):
        await mail(server).send(a_posting("ann"), "mail:ann@example.com")
    server.answer_to_recipient = "452 4.2.2 mailbox full"
    with pytest.raises(Unavailable, match=r"452 4\.2\.2 mailbox full"):
        await mail(server).send(a_posting("ann"), "mail:ann@example.com")


async def test_a_server_that_is_not_there():
    way = Mail("mail", MailServer(host="127.0.0.1", port=1, tls="none", seconds=1), "lapse@example.com")
    with pytest.raises(Unavailable, match=r"mail server 127\.0\.0\.1:1 did not take it"):
        await way.send(a_posting("ann"), "mail:ann@example.com")


async def test_mail_is_encrypted_and_the_server_must_be_the_right_one(tmp_path):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with mail_server(context, login=("lapse", "s3cret")) as server:

        async def send(**options):
            given = {"host": "localhost", "port": server.port, "user": "lapse", "password": "s3cret", "seconds": 20}
            way = Mail("mail", MailServer(**{**given, "ca_file": str(tmp_path / "ca.pem"), **options}), "l@example.com")
            await way.send(a_posting("ann"), "mail:ann@example.com")

        await send()
        assert len(server.messages) == 1
        for options in ({"ca_file": ""}, {"password": "wr0ng"}, {"user": ""}, {"tls": "none"}, {"tls": "tls"}):
            with pytest.raises(Unavailable) as raised:
                await send(**options)
            assert "s3cret" not in raised.value.message
            assert "wr0ng" not in raised.value.message
        assert len(server.messages) == 1


async def through_the_outbox(server, *to):
    world = await World.create(FakeStore(), catalog=COMPANY)
    way = mail(server)
    notice = Notice(kind=NoticeKind.DECIDED, subject="req_1", to=to, text="approved", at=world.clock.now())
    await world.store.write(lambda tx: post(world.control, tx, [notice]))
    await deliver_due(world.control, [way])

    async def posting():
        return (await list_notices(world.control, world.admin(), Page()))[0]

    return world, way, posting


async def test_mail_that_failed_and_was_not_taken_arrives_later(server):
    server.answer_to_data = "451 try later"
    world, way, posting = await through_the_outbox(server, "bob", "carol")
    assert (await posting()).state is PostingState.WAITING
    assert not server.messages
    server.answer_to_data = ""
    await world.clock.advance((await posting()).due_at - world.clock.now())
    await deliver_due(world.control, [way])
    assert (await posting()).state is PostingState.SENT
    assert [message["To"] for message in server.messages] == ["bob@example.com", "carol@example.com"]


async def test_mail_that_was_taken_but_reported_as_failed_comes_again_with_the_same_id(server):
    server.answer_to_data, server.keeps_although = "451 lost my mind", True
    world, way, posting = await through_the_outbox(server, "bob")
    server.answer_to_data = ""
    await world.clock.advance((await posting()).due_at - world.clock.now())
    await deliver_due(world.control, [way])
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Lapse-Notice"] == (await posting()).id
