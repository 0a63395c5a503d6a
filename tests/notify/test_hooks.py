"""Webhooks on a real HTTP server: signed, safe for chats, and clear about what is tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.notices import Notice, NoticeKind, Posting
from lapse.notify.hooks import Hook, chat_body, json_body, signature
from lapse.notify.texts import TITLES
from lapse.web.client import Calling, WebClient
from support.clock import HandClock
from support.web_server import web_server

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs"


def a_posting(text="`alice` used break-glass", *, to=("bob",), kind=NoticeKind.BREAK_GLASS):
    return Posting(id="not_1", notice=Notice(kind=kind, subject="aft_1", to=to, text=text, at=NOW), due_at=NOW)


@pytest.fixture
async def server():
    async with web_server() as server:
        server.always(200, b"ok")
        yield server


@pytest.fixture
async def hook(server):
    client = WebClient(Calling(seconds=20.0, headers={"Authorization": "Bearer s3cret"}))
    hook = Hook("siem", server.url + "/in", client, HandClock(NOW), key=b"k3y")
    yield hook
    await hook.close()


async def test_a_notice_is_posted_as_json_with_its_id(server, hook):
    await hook.send(a_posting(), "siem")
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/in")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["lapse-notice"] == "not_1"
    assert asked.json == {
        "id": "not_1",
        "kind": "break_glass",
        "subject": "aft_1",
        "to": ["bob"],
        "text": "`alice` used break-glass",
        "at": "2026-03-02T09:00:00.000000Z",
    }


def documented_check():
    """The check that the page about notices shows to receivers."""
    page = (DOCS / "notices.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102  it is our own page
    return names["genuine"]


async def test_a_receiver_that_checks_as_the_page_says_believes_it_and_nothing_else(server, hook):
    await hook.send(a_posting(), "siem")
    (asked,) = server.asked
    genuine, header, now = documented_check(), asked.headers["lapse-signature"], int(NOW.timestamp())
    assert genuine(b"k3y", header, asked.body, now)
    assert not genuine(b"other", header, asked.body, now)
    assert not genuine(b"k3y", header, asked.body + b" ", now)
    assert not genuine(b"k3y", header, asked.body, now + 301)
    assert not genuine(b"k3y", header.replace("t=1", "t=2"), asked.body, now)


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_another_body_has_another_signature(key, body, other):
    signed = signature(key, NOW, body)
    wanted = hmac.new(key, str(int(NOW.timestamp())).encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signed == f"t={int(NOW.timestamp())},v1={wanted}"
    assert (signature(key, NOW, other) == signed) == (other == body)


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (204, None), (400, Refused), (410, Refused), (413, Refused), (401, Unavailable), (403, Unavailable),
     (404, Unavailable), (408, Unavailable), (425, Unavailable), (429, Unavailable), (500, Unavailable)],
)  # fmt: skip
async def test_what_an_answer_means(server, hook, status, error):
    server.always(status)
    if error is None:
        await hook.send(a_posting(), "siem")
        return
    with pytest.raises(error, match=f"`siem` answers with status {status}"):
        await hook.send(a_posting(), "siem")


async def test_a_redirect_is_not_followed_with_a_notice(server, hook):
    server.always(307, headers={"Location": "/elsewhere"})
    with pytest.raises(Unavailable, match="`siem`: it leads elsewhere") as raised:
        await hook.send(a_posting(), "siem")
    assert len(server.asked) == 1
    assert "s3cret" not in raised.value.message


def test_only_the_kinds_that_were_chosen_are_posted_and_tests():
    hook = Hook("chat", "http://127.0.0.1/", WebClient(Calling()), HandClock(NOW))
    hook.kinds = frozenset({NoticeKind.BREAK_GLASS})
    kinds = [kind for kind in NoticeKind if hook.places(a_posting(kind=kind).notice, Catalog()).reached]
    assert kinds == [NoticeKind.BREAK_GLASS, NoticeKind.TEST]


def test_every_kind_of_notice_has_a_title():
    assert set(TITLES) == set(NoticeKind)


@given(st.text(max_size=500))
def test_a_chat_is_told_nothing_that_mentions_or_links(text):
    body = json.loads(chat_body(a_posting(text)))
    assert set(body) == {"text"}
    assert not set(body["text"]) & set("<>")
    assert body["text"].startswith("BREAK-GLASS was used (aft_1)\n")
    assert body["text"].count("\n") == 2


@given(st.text(max_size=500))
def test_any_text_is_json(text):
    posting = a_posting(text.encode("utf-8", "ignore").decode())
    assert json.loads(json_body(posting))["text"] == posting.notice.text
