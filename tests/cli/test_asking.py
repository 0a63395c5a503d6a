"""What `lapse request`, `template`, `breakglass` and `lock` print and take, for people and for programs."""

from __future__ import annotations

import pytest

from support.program import Program

CATALOG = """
principals:
  - {name: alice}
  - {name: bob}
  - {name: carol}
  - {name: bot, kind: agent, sponsor: alice}
groups:
  - {name: dba, members: [bob, carol]}
resources:
  - name: pg-prod
    connector: postgresql
    owner: carol
    entitlements:
      - {role: reader, native: {role: reader, mode: ephemeral}}
      - {role: writer, native: {role: writer, mode: ephemeral}}
      - {role: metrics, native: {role: metrics, mode: ephemeral}}
"""
POLICY = """
version: 1
offers:
  - {name: readers, entitlements: pg-prod/reader, to: anyone, max_duration: 4h, approvals: [{from: group:dba}]}
  - name: robots
    entitlements: pg-prod/reader
    to: anyone
    kinds: agent
    purpose: monthly report
    max_duration: 1h
    approvals: [{from: group:dba}]
  - {name: writers, entitlements: pg-prod/writer, to: anyone, max_duration: 1h, approvals: [{from: owner}]}
  - {name: metrics, entitlements: pg-prod/metrics, to: anyone, max_duration: 1h, auto_approve: true}
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    break_glass: {review_within: 1d, reviewers: group:dba}
"""
NIGHTLY = ["--days", "daily", "--at", "22:00", "--timezone", "Europe/Berlin"]


@pytest.fixture
def office(tmp_path):
    """A home with local users, a catalog, a policy and a target that is not there."""
    program = Program(tmp_path / "home", environment={"COLUMNS": "80"})
    program.run("init")
    program.let_people_act_by_name()
    program.furnish(CATALOG, POLICY)
    program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@127.0.0.1:1/app\n")
    return program


def said_by(office, who, *words, expect=0):
    return office.run("--as", who, *words, expect=expect)


def given_to(office, who, *words, expect=0):
    return office.run("--json", "--as", who, *words, expect=expect).data


def test_a_bundle_says_what_waits_for_whom(office):
    said = said_by(office, "alice", "request", "create", "pg-prod/reader", "pg-prod/metrics", "--for", "1h").out
    assert "2 requests that are granted together or not at all\n" in said
    assert "for pg-prod/reader is pending\n  stage " in said
    assert "may decide: bob, carol\n" in said
    assert "for pg-prod/metrics is approved\n" in said
    (metrics, reader) = given_to(office, "alice", "request", "list")
    assert said_by(office, "alice", "request", "list", "--bundle", reader["bundle"]).out.count("(bundle)") == 2
    assert given_to(office, "alice", "request", "list", "--bundle", reader["bundle"]) == [reader, metrics]
    assert reader["bundle"] in said_by(office, "alice", "request", "show", reader["id"]).out

    out = said_by(office, "alice", "request", "cancel", reader["id"], "--alone").out
    assert out == f"request {reader['id']} is cancelled\n"
    (grant,) = given_to(office, "alice", "grant", "list", "--request", metrics["id"])
    assert grant["entitlement"] == "pg-prod/metrics"


def test_a_whole_bundle_is_withdrawn_with_one(office):
    made = given_to(office, "alice", "request", "create", "pg-prod/reader", "pg-prod/writer", "--for", "1h")
    out = said_by(office, "alice", "request", "cancel", made["requests"][0]["id"]).out
    assert out.endswith("is cancelled, and with it what waited in its bundle\n")
    assert {request["state"] for request in given_to(office, "alice", "request", "list")} == {"cancelled"}


def test_what_repeats_is_listed_shown_and_given_back(office):
    words = ["request", "create", "pg-prod/reader", "--for", "1h", *NIGHTLY, "--until", _days_ahead(3)]
    request = given_to(office, "alice", *words)
    assert "(repeats)" in said_by(office, "alice", "request", "list").out
    assert "daily 22:00 Europe/Berlin until " in said_by(office, "alice", "request", "show", request["id"]).out
    approved = said_by(office, "bob", "approve", request["id"]).out
    assert " grants, each for 1h:\n" in approved
    assert f"`lapse grant list --request {request['id']}`" in approved
    grants = given_to(office, "alice", "grant", "list", "--request", request["id"])
    assert len(grants) >= 3
    said_by(office, "alice", "grant", "release", grants[0]["id"])
    given = given_to(office, "alice", "request", "release", request["id"])
    assert len(given) == len(grants) - 1
    assert said_by(office, "alice", "request", "release", request["id"]).out.startswith(
        f"request {request['id']} gives"
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--for", "1h"], "it is not said what to ask for, and how long"),
        (["pg-prod/reader"], "it is not said what to ask for, and how long"),
        (["pg-prod/reader", "--for", "1h", "--days", "mon"], "what repeats needs --at and --until too"),
        (["pg-prod/reader", "--for", "1h", *NIGHTLY, "--until", "never"], "`never` is not a time"),
        (["pg-prod/reader", "--template", "x"], "a template names its entitlements itself"),
        (["pg-prod/reader", "--for", "99999999999999999999h"], "`99999999999999999999h` is not a duration"),
        (["pg-prod/reader", "--for", "1h", "--ticket", "42"], "`42` is not a ticket"),
        (["pg-prod/writer", "--for", "1h", "--break-glass", "--starts-at", "2099-01-01T00:00:00Z"], "the start 2099"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(office, words, error):
    ran = said_by(office, "alice", "request", "create", *words, expect=2)
    assert ran.err.startswith(f"lapse: {error}")
    assert "Traceback" not in ran.err
    assert given_to(office, "alice", "request", "list") == []


def test_break_glass_is_loud_everywhere_and_reviewed(office):
    ran = said_by(office, "alice", "request", "create", "pg-prod/writer", "--for", "1h", "--break-glass")
    assert "break-glass: group:dba are told now, and one of them must review this\n" in ran.err
    (request,) = given_to(office, "alice", "request", "list")
    for listing in ("request", "grant"):
        assert "(break-glass)" in said_by(office, "bob", listing, "list").out
    assert "nobody was asked" in said_by(office, "bob", "request", "show", request["id"]).out

    listed = said_by(office, "bob", "breakglass", "list").out
    assert "due in " in listed
    (use,) = given_to(office, "bob", "breakglass", "list")
    assert said_by(office, "bob", "breakglass", "review", use["id"], "--note", "x", expect=2).err.startswith(
        "lapse: it is not said whether it was justified"
    )
    own = said_by(office, "alice", "breakglass", "review", use["id"], "--justified", "--note", "mine", expect=3)
    assert "own use of break-glass" in own.err
    done = said_by(office, "bob", "breakglass", "review", use["id"], "--not-justified", "--note", "no incident").out
    assert done.startswith(f"{use['id']} is judged not justified\nnext: `lapse grant list --request {request['id']}`")
    assert said_by(office, "bob", "breakglass", "list").out == "no use of break-glass waits for a review\n"
    assert "not justified, said bob" in said_by(office, "bob", "breakglass", "list", "--all").out
    assert "no incident" in said_by(office, "bob", "breakglass", "show", use["id"]).out


def test_templates_and_asking_again(office):
    assert said_by(office, "alice", "template", "list").out.startswith("there are no templates; ")
    kept = said_by(
        office, "alice", "template", "add", "report", "pg-prod/reader", "pg-prod/metrics",
        "--for", "30m", "--because", "monthly report", "--ticket-system", "jira",
    )  # fmt: skip
    assert kept.out == "template report is kept\nnext: `lapse request create --template report`\n"
    assert "pg-prod/reader, pg-prod/metrics" in said_by(office, "alice", "template", "list").out
    assert "monthly report" in said_by(office, "alice", "template", "show", "report").out
    made = given_to(office, "alice", "request", "create", "--template", "report", "--ticket", "OPS-7")
    assert [request["ticket"] for request in made["requests"]] == [{"system": "jira", "number": "OPS-7"}] * 2
    again = given_to(office, "alice", "request", "again", made["requests"][0]["id"], "--because", "it is back")
    assert [request["justification"] for request in again["requests"]] == ["it is back"] * 2
    assert said_by(office, "alice", "template", "remove", "report").out == "template report is removed\n"


def test_an_agents_requests_show_whom_it_acts_for(office):
    request = given_to(office, "bot", "request", "create", "pg-prod/reader", "--for", "1h")
    assert "bot (for alice)" in said_by(office, "bob", "request", "list").out
    shown = said_by(office, "alice", "request", "show", request["id"]).out
    assert "alice" in shown
    assert "monthly report" in shown
    said_by(office, "bob", "approve", request["id"])
    assert "bot (for alice)" in said_by(office, "bob", "grant", "list").out


def test_a_lock_shows_what_it_would_do_first(office):
    request = given_to(office, "alice", "request", "create", "pg-prod/metrics", "--for", "1h")
    (grant,) = given_to(office, "alice", "grant", "list", "--request", request["id"])
    said = office.run("lock", "add", "principal", "alice", "--dry-run").out
    assert said.startswith("a lock on principal alice ends ")
    assert office.data("lock", "list") == []
    assert office.run("--json", "lock", "add", "principal", "alice", "--dry-run").data["waits"][0]["id"] == grant["id"]
    asked = office.run("lock", "add", "principal", "alice", "--reason", "laptop gone", expect=2)
    assert "holds back 1 scheduled grant" in asked.err
    locked = office.run("lock", "add", "principal", "alice", "--reason", "laptop gone", "--yes").out
    assert "0 grants now ending, 1 waiting" in locked
    (lock,) = office.data("lock", "list")
    assert f"lock {lock['id']}" in said_by(office, "alice", "grant", "show", grant["id"]).out
    assert "(locked)" in said_by(office, "alice", "grant", "list").out
    said_by(office, "alice", "request", "create", "pg-prod/metrics", "--for", "1h", expect=3)


def test_everything_fits_a_narrow_terminal(office):
    given_to(office, "bot", "request", "create", "pg-prod/reader", "--for", "1h")
    given_to(office, "alice", "request", "create", "pg-prod/writer", "--for", "1h", "--break-glass")
    for words in (["request", "list"], ["grant", "list"], ["breakglass", "list"]):
        lines = said_by(office, "bob", *words).out.splitlines()
        assert max(map(len, lines)) <= 80, lines


def _days_ahead(days):
    from datetime import UTC, datetime, timedelta

    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
