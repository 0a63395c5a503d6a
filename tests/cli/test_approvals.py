"""Deciding on the command line: what waits, offering less, accepting it, and who decides for whom."""

from __future__ import annotations

import pytest

CATALOG = """
principals:
  - {name: alice}
  - {name: bob}
  - {name: carol}
  - {name: olga}
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    entitlements: [{role: reader, native: {role: reader, mode: ephemeral}}]
"""
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals:
      - {name: team, from: bob, except: alice, escalate: [{after: 30m, to: carol}]}
      - {name: own, from: owner}
"""


@pytest.fixture
def shop(program):
    """A home where people act by name, with a policy and a target that is not there."""
    program.let_people_act_by_name()
    program.furnish(CATALOG, POLICY)
    program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@127.0.0.1:1/app\n")
    return program


def ask(shop, *more):
    words = ("--as", "alice", "request", "create", "pg-prod/reader", "--for", "2h", "--because", "incident 4711")
    return shop.data(*words, *more)["id"]


def test_what_waits_for_whom(shop):
    assert shop.run("--as", "bob", "approvals").out == "nothing waits for your decision\n"
    request = ask(shop)

    said = shop.run("--as", "bob", "approvals").out
    for words in (request, "alice", "pg-prod/reader", "incident 4711", "2h", "readers", "team, 1 more vote needed"):
        assert words in said
    assert f"next: `lapse approve {request}`" in said
    assert shop.run("--as", "olga", "approvals").out == "nothing waits for your decision\n"
    (one,) = shop.data("--as", "bob", "approvals")
    assert (one["request"]["id"], one["stage"]) == (request, "team")


def test_less_is_offered_and_accepted(shop):
    request = ask(shop)
    nothing = shop.run("--as", "bob", "request", "offer", request, "--reason", "x", expect=2)
    assert nothing.err.startswith("lapse: this offers nothing less\n  hint: give --for 1h")
    said = shop.run("--as", "bob", "request", "offer", request, "--for", "1h", "--reason", "enough to look").out
    assert said.startswith("`alice` is offered pg-prod/reader for 1h; your yes counts once they accept\n")
    shown = shop.run("--as", "alice", "request", "show", request).out
    assert "bob offers pg-prod/reader for 1h: enough to look" in shown
    assert f"next: `lapse request accept {request}`" in shown
    assert "offered less" in shop.run("--as", "bob", "approve", request, expect=3).err

    accepted = shop.run("--as", "alice", "request", "accept", request).out
    assert "stage team: 1 of 1 from bob but alice (approved by bob)" in accepted
    assert "stage own: 0 of 1 from owner; may decide: olga" in accepted
    assert shop.data("--as", "alice", "request", "show", request)["requested_duration"] == "PT1H"


def test_a_request_shows_who_voted_for_whom_and_what_comes_later(shop):
    assert "nobody decides for anybody else" in shop.run("--as", "olga", "delegation", "list").out
    added = shop.run("--as", "bob", "delegation", "add", "olga", "--for", "5d", "--reason", "on leave").out
    assert added.startswith("`olga` decides for `bob` until ")
    request = ask(shop)
    shown = shop.run("--as", "alice", "request", "show", request).out
    assert "stage team: 0 of 1 from bob but alice; may decide: bob, olga (for bob)" in shown
    assert "once it is open for 30m: carol too" in shown
    assert "stage own: 0 of 1 from owner; opens later" in shown

    shop.run("--as", "olga", "approve", request)
    voted = shop.run("--as", "alice", "request", "show", request).out
    assert "olga as the delegate of bob said approve" in voted
    assert "stage own: 0 of 1 from owner; may decide: nobody" in voted  # she was heard; a delegate of hers could


def test_a_delegation_is_listed_and_ended(shop):
    words = ("--as", "bob", "delegation", "add", "olga", "--reason", "on leave")
    assert "a delegation needs an end" in shop.run(*words, expect=2).err
    assert "cannot end at" in shop.run(*words, "--for", "91d", expect=2).err
    shop.run(*words, "--until", "2020-01-01T00:00:00Z", expect=2)
    made = shop.data(*words, "--for", "5d")
    assert made["id"] in shop.run("--as", "olga", "delegation", "list").out
    assert shop.run("--as", "bob", "delegation", "end", made["id"]).out == "`olga` decides for `bob` no longer\n"
    assert shop.data("--as", "bob", "delegation", "list") == []
    assert [one["id"] for one in shop.data("--as", "bob", "delegation", "list", "--all")] == [made["id"]]


def test_it_all_fits_a_narrow_terminal(shop):
    shop.environment["COLUMNS"] = "80"
    shop.run("--as", "bob", "delegation", "add", "olga", "--for", "5d", "--reason", "on leave in the mountains " * 3)
    request = ask(shop)
    for words in (["approvals"], ["delegation", "list"], ["request", "show", request]):
        assert max(map(len, shop.run("--as", "bob", *words).out.splitlines())) <= 80
