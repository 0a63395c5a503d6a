"""Browsers and people that mean no good, met in process: forms of other sites, stolen paths, names that are markup."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from lapse.domain.actors import Scope
from lapse.domain.sign_ins import IDLE
from lapse.entrypoints.web import create_web
from lapse.entrypoints.web.pages import PAGES
from lapse.entrypoints.web.rendering import static_files
from support.api import open_office

BASE = "http://127.0.0.1:7380"
MARKUP = "<img src=x onerror=alert(1)>\"'"


class Visitor(httpx.AsyncClient):
    """A browser without scripts: keeps cookies, sends forms with what the page put into them."""

    async def form(self, path: str, at: str = "/", **fields: str) -> httpx.Response:
        """Send a form that is on the page `at`."""
        shown = await self.get(at)
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', shown.text)
        return await self.post(path, data={"form_token": token[1] if token else "", **fields})

    async def sign_in(self, who: str = "", token: str = "") -> httpx.Response:
        """As somebody, by name or with a token."""
        return await self.post("/sign-in", data={"name": who} if who else {"token": token})


@pytest.fixture
async def office(tmp_path):
    async with open_office(tmp_path) as office:
        office.web = create_web(office.app, on_bug=lambda _id, error: office.bugs.append(error))
        yield office
        assert office.bugs == []


@pytest.fixture
async def visit(office):
    """A function that gives a browser, signed in as somebody or not."""

    async def visit(who="", *, base=BASE, **options):
        transport = httpx.ASGITransport(office.web, client=options.pop("peer", ("127.0.0.1", 4711)))
        browser = Visitor(transport=transport, base_url=base, **options)
        if who:
            assert (await browser.sign_in(who)).headers["location"] == "/"
        return browser

    return visit


async def test_nobody_sees_anything_without_signing_in(visit):
    stranger = await visit()
    for one in PAGES:
        path = re.sub(r"{\w+}", "x", one.path)
        answer = await stranger.request(one.method, path)
        if not one.public:
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")


async def test_every_answer_tells_the_browser_to_be_careful(visit):
    alice = await visit("alice")
    for path in ("/", "/sign-in", "/nothing", f"/static/{next(iter(static_files()))}"):
        answer = await alice.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert ("immutable" in answer.headers["cache-control"]) == path.startswith("/static")


async def test_the_secret_is_out_of_reach_of_scripts_and_bound_to_tls_where_there_is_any(office, visit):
    token = await office.token("alice", Scope.REQUEST)
    plain = (await (await visit()).sign_in(token=token)).headers["set-cookie"]
    tls = (await (await visit(base="https://lapse.example.com")).sign_in(token=token)).headers["set-cookie"]
    assert plain.startswith("lapse=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(plain.split("; "))
    assert tls.startswith("__Host-lapse=")
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Secure"} <= set(tls.split("; "))
    assert token not in plain + tls


async def test_each_sign_in_has_a_secret_of_its_own(visit):
    browser = await visit()
    browser.cookies.set("lapse", "chosen-by-somebody-else", domain="127.0.0.1")
    await browser.sign_in("alice")
    assert "chosen-by-somebody-else" not in {one.value for one in browser.cookies.jar if not one.domain_specified}


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example.com"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({}, False),
    ],
)
async def test_a_form_of_another_site_does_nothing(office, visit, headers, token):
    grant = await office.active_grant()
    alice = await visit("alice")
    mine = re.search(r'name="form_token" value="([0-9a-f]+)"', (await alice.get("/")).text)[1]

    answer = await alice.post(
        f"/grants/{grant['id']}/release", data={"form_token": mine if token else ""}, headers=headers
    )

    assert answer.status_code == 403
    assert (await office.client("alice").get(f"/grants/{grant['id']}")).json()["state"] == "active"


async def test_a_form_of_an_earlier_sign_in_does_nothing(office, visit):
    grant = await office.active_grant()
    alice = await visit("alice")
    old = re.search(r'name="form_token" value="([0-9a-f]+)"', (await alice.get("/")).text)[1]
    await alice.sign_in("alice")
    answer = await alice.post(f"/grants/{grant['id']}/release", data={"form_token": old})
    assert answer.status_code == 403
    assert "load the page again" in answer.text.lower()


async def test_signing_in_leads_to_own_pages_only(visit):
    for wanted in (
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil.example.com",
        "javascript:alert(1)",
        "/\n/x",
    ):
        browser = await visit()
        answer = await browser.post("/sign-in", data={"name": "alice", "then": wanted})
        assert answer.headers["location"] == "/"
    answer = await (await visit()).post("/sign-in", data={"name": "alice", "then": "/ask?entitlement=pg-prod/reader"})
    assert answer.headers["location"] == "/ask?entitlement=pg-prod/reader"


async def test_by_name_is_for_this_machine_only(visit):
    elsewhere = (
        {"peer": ("192.0.2.7", 4711)},
        {"headers": {"X-Forwarded-For": "192.0.2.7"}},
        {"base": "http://lapse.corp"},
    )
    for options in elsewhere:
        browser = await visit(**options)
        assert "Who are you?" not in (await browser.get("/sign-in")).text
        assert (await browser.sign_in("alice")).status_code == 422


async def test_a_wrong_token_is_said_and_not_shown(visit):
    answer = await (await visit()).sign_in(token="lapse_wrong")
    assert (answer.status_code, "The token is not valid." in answer.text) == (422, True)
    assert "lapse_wrong" not in answer.text


async def test_signed_out_is_out_and_so_is_who_was_away_for_long(office, visit):
    alice = await visit("alice")
    copy = await visit()
    copy.cookies = alice.cookies.copy() if hasattr(alice.cookies, "copy") else httpx.Cookies(alice.cookies)
    await alice.form("/sign-out")
    assert (await copy.get("/")).headers["location"] == "/sign-in"
    bob = await visit("bob")
    await office.clock.advance(IDLE + timedelta(seconds=1))
    assert (await bob.get("/approvals")).headers["location"] == "/sign-in?then=%2Fapprovals"


async def test_what_a_role_may_not_do_is_not_shown_and_refused(office, visit):
    token = await office.token("alice", Scope.REQUEST)
    alice = await visit()
    await alice.sign_in(token=token)
    assert 'href="/approvals"' not in (await alice.get("/")).text
    assert (await alice.get("/approvals")).status_code == 403
    request = await office.ask()
    assert (await alice.form(f"/requests/{request['id']}/approve")).status_code == 403


async def test_nobody_decides_on_their_own(office, visit):
    request = await office.ask(who="bob")
    bob = await visit("bob")
    assert (await bob.form(f"/requests/{request['id']}/approve")).status_code == 403


async def test_markup_in_words_stays_words(office, visit):
    alice = await visit("alice")
    answer = await alice.form("/ask", at="/ask", entitlement=MARKUP, duration="1h", justification=MARKUP)
    assert "<img src=x" not in answer.text
    await alice.form("/ask", at="/ask", entitlement="pg-prod/reader", duration="1h", justification=MARKUP)
    bob = await visit("bob")
    shown = (await bob.get("/approvals")).text
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(300)), "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"%ff=1", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused_in_a_sentence(visit, body, kind):
    alice = await visit("alice")
    answer = await alice.post("/ask", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert "That did not work" in answer.text


async def test_files_are_those_of_the_pages(visit):
    stranger = await visit()
    for name, (body, kind) in static_files().items():
        answer = await stranger.get(f"/static/{name}")
        assert (answer.content, answer.headers["content-type"]) == (body, kind)
    for name in ("../app.py", "%2e%2e/app.py", "lapse.css", "vendor"):
        assert (await stranger.get(f"/static/{name}")).status_code == 404


async def test_who_may_only_ask_sees_no_other_holders(office, visit):
    await office.active_grant()
    for who, sees in (("alice", True), ("dave", False)):
        browser = await visit()
        await browser.sign_in(token=await office.token(who, Scope.REQUEST))
        assert ('<th scope="row">alice</th>' in (await browser.get("/resources/pg-prod")).text) == sees
    assert '<th scope="row">alice</th>' in (await (await visit("bob")).get("/resources/pg-prod")).text


async def test_a_lock_is_looked_at_then_set_and_removed_by_somebody_else(office, visit):
    await office.active_grant()
    root = await visit()
    await root.sign_in(token=office.tokens["root"])
    wanted = {"kind": "resource", "target": "pg-prod", "reason": "a leak"}

    shown = await root.form("/locks/preview", at="/locks", **wanted)
    assert "1 grant would end now" in shown.text
    assert "Nothing is locked." in shown.text
    assert (await root.form("/locks", at="/locks", **wanted)).status_code == 303
    (lock,) = (await office.admin.get("/locks")).json()["items"]
    assert "a leak; set by root" in (await (await visit("alice")).get("/locks")).text

    refused = await root.form(f"/locks/{lock['id']}/remove", at="/locks")
    assert refused.status_code == 422
    assert "another administrator must remove it" in refused.text.lower()


@pytest.mark.parametrize("wanted", [{"kind": "resource", "target": "nothing"}, {"kind": "x"}, {"kind": "everything"}])
async def test_a_lock_that_cannot_be_set_says_why(office, visit, wanted):
    root = await visit()
    await root.sign_in(token=office.tokens["root"])
    answer = await root.form("/locks", at="/locks", **wanted)
    assert (answer.status_code, "notice bad" in answer.text) == (422, True)
    assert (await office.admin.get("/locks")).json()["items"] == []
    stranger = await visit("alice")
    assert (await stranger.form("/locks", at="/ask", **wanted)).status_code == 403


async def test_the_ledger_is_for_those_who_may_read_it(office, visit):
    grant = await office.active_grant()
    bob = await visit("bob")
    shown = (await bob.get("/ledger", params={"subject": grant["id"], "type": "grant."})).text
    assert shown.count("<strong>grant.") == (await bob.get("/ledger", params={"subject": grant["id"]})).text.count(
        "<li>"
    )
    seq = re.search(r'href="/ledger/(\d+)"', shown)[1]
    assert "checkpoint" in (await bob.get(f"/ledger/{seq}")).text
    assert "are in order, unchanged and signed" in (await bob.form("/ledger/verify", at="/ledger")).text
    for path in ("/ledger/999999", "/ledger/x", "/ledger/" + "9" * 30):
        assert (await bob.get(path)).status_code == 404
    alice = await visit()
    await alice.sign_in(token=await office.token("alice", Scope.REQUEST))
    assert [(await alice.get(path)).status_code for path in ("/ledger", f"/ledger/{seq}")] == [403, 403]
