"""In a real browser against a real server: somebody asks, somebody else says yes, time runs out."""

from __future__ import annotations

import pytest

from lapse.entrypoints.api.routes import OPERATIONS
from support.browser import OVERFLOW, faults, needs_browser

pytestmark = needs_browser


def ask(page, what="pg-prod/reader", duration="1h", why="look into order 4711"):
    page.get_by_role("link", name="Ask", exact=True).first.click()
    page.get_by_label("What", exact=True).fill(what)
    page.get_by_label("How long").fill(duration)
    page.get_by_label("What for").fill(why)


def test_asked_approved_held_and_over(meet):
    alice, bob = meet("alice"), meet("bob")
    ask(alice, duration="3s")
    alice.get_by_text("Somebody has to approve.").wait_for()
    alice.get_by_text("1 of group:dba", exact=True).wait_for()
    alice.get_by_role("button", name="Send the request").click()
    alice.get_by_text("not decided yet").wait_for()

    bob.get_by_role("link", name="Approvals").click()
    bob.get_by_text("look into order 4711").wait_for()
    bob.get_by_role("button", name="Approve").click()
    bob.get_by_text("pg-prod/reader for alice: approved.").wait_for()
    bob.get_by_text("Nothing waits for your decision.").wait_for()

    alice.reload()
    alice.get_by_text("Access has ended.").wait_for()
    alice.get_by_text("You hold nothing now").wait_for()


def test_one_key_decides_and_a_grant_is_released_early(meet):
    alice, bob = meet("alice"), meet("bob")
    ask(alice)
    alice.keyboard.press("Enter")  # in a text of several lines it is no sending
    alice.get_by_role("button", name="Send the request").press("Enter")
    alice.get_by_text("not decided yet").wait_for()

    bob.goto("/approvals")
    bob.get_by_role("article").focus()
    bob.keyboard.press("a")
    bob.get_by_text("approved.").wait_for()

    alice.goto("/")
    alice.on("dialog", lambda dialog: dialog.accept())
    alice.get_by_role("button", name="Release pg-prod/reader").click()
    alice.get_by_text("You hold nothing now").wait_for()


def test_a_denial_is_seen_before_anything_is_sent(meet):
    alice = meet("alice")
    ask(alice, duration="9h")
    alice.get_by_text("This would be denied:").wait_for()
    alice.get_by_role("button", name="Send the request").click()

    alice.get_by_role("alert").first.wait_for()
    assert alice.get_by_label("How long").input_value() == "9h"


def test_a_no_needs_a_reason(meet):
    alice, bob = meet("alice"), meet("bob")
    ask(alice)
    alice.get_by_role("button", name="Send the request").click()
    alice.get_by_text("not decided yet").wait_for()

    bob.goto("/approvals")
    bob.get_by_role("button", name="Deny").click()
    bob.get_by_role("alert").wait_for()
    bob.goto("/approvals")
    bob.get_by_label("Reason").fill("ask for less")
    bob.get_by_role("button", name="Deny").click()
    bob.get_by_text("pg-prod/reader for alice: denied.").wait_for()


def test_beside_the_pages_the_api_is_all_there(meet, url):
    stranger = meet()
    for one in OPERATIONS:
        if one.method == "GET" and "{" not in one.path:
            answer = stranger.request.get(url + one.path)
            kind = answer.headers.get("content-type", "")
            assert (one.path, answer.status in {200, 401}, kind.startswith("text/html")) == (one.path, True, False)


def test_a_resource_is_found_and_asked_for(meet):
    alice = meet("alice")
    alice.get_by_role("link", name="Resources").click()
    alice.get_by_role("searchbox").fill("orders")
    alice.get_by_text("1 resource", exact=True).wait_for()
    alice.get_by_role("link", name="pg-prod").click()
    alice.get_by_role("link", name="Ask for pg-prod/reader").click()
    assert alice.get_by_label("What", exact=True).input_value() == "pg-prod/reader"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_phone(meet, theme):
    seen = [meet(color_scheme=theme, viewport={"width": 375, "height": 800})]
    assert faults(seen[0]) == []
    alice = meet("alice", color_scheme=theme, viewport={"width": 375, "height": 800})
    ask(alice)
    alice.get_by_text("Somebody has to approve.").wait_for()
    assert faults(alice) == []
    alice.get_by_role("button", name="Send the request").click()
    alice.get_by_text("not decided yet").wait_for()
    for path in (
        "/",
        "/style",
        "/ask",
        "/resources",
        "/resources?q=nothing",
        "/resources/pg-prod",
        "/locks",
        "/nothing",
    ):
        alice.goto(path)
        assert (path, faults(alice), alice.evaluate(OVERFLOW)) == (path, [], 0)
    bob = meet("bob", color_scheme=theme, viewport={"width": 375, "height": 800})
    bob.goto("/approvals")
    assert (faults(bob), bob.evaluate(OVERFLOW)) == ([], 0)
