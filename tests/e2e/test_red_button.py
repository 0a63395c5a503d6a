"""Break-glass, bundles and the red button on a real PostgreSQL, with a server and the program as its users run it."""

from __future__ import annotations

import psycopg
import pytest

from support.postgres import run
from support.program import Program, wait_for

CATALOG = """
principals:
  - {{name: alice, accounts: [{{resource: pg-prod, login: {prefix}_alice}}]}}
  - {{name: bob, accounts: [{{resource: pg-prod, login: {prefix}_bob}}]}}
  - {{name: carol}}
  - {{name: root}}
  - {{name: mary}}
groups:
  - {{name: dba, members: [carol]}}
resources:
  - name: pg-prod
    connector: postgresql
    owner: carol
    entitlements:
      - {{role: reader, native: {{role: {prefix}_reader, mode: membership}}}}
      - {{role: writer, native: {{role: {prefix}_writer, mode: membership}}}}
      - {{role: login, native: {{role: {prefix}_reader, mode: ephemeral}}}}
"""
POLICY = """
version: 1
offers:
  - {name: readers, entitlements: [pg-prod/reader, pg-prod/login], to: anyone, max_duration: 4h, auto_approve: true}
  - {name: writers, entitlements: pg-prod/writer, to: anyone, max_duration: 1h, approvals: [{from: group:dba}]}
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    justification: {min_length: 20, real: true}
    break_glass: {review_within: 24h, reviewers: [group:dba]}
"""


class Office:
    def __init__(self, program):
        self.program = program
        self.tokens = {}

    def give_token(self, who, *scopes):
        words = [word for scope in scopes for word in ("--scope", scope)]
        self.tokens[who] = self.program.data("token", "create", who, *words)["secret"]

    def data(self, who, *words):
        return self.program.data("--token", self.tokens[who], *words)

    def says(self, who, *words, expect=0):
        return self.program.run("--token", self.tokens[who], *words, expect=expect)

    def state(self, grant):
        return self.data("root", "grant", "show", grant)["state"]


@pytest.fixture
def office(tmp_path, postgres_target):
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})
    program.run("init")
    program.furnish(CATALOG.format(prefix=postgres_target.prefix), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    office = Office(program)
    for who in ("alice", "bob"):
        office.give_token(who, "request")
    office.give_token("carol", "approve", "review")
    for who in ("root", "mary"):
        office.give_token(who, "admin")
    return office


def test_an_emergency_is_over_when_the_button_is_pressed_and_stays_over(office, postgres_target):
    target = postgres_target
    with office.program.serve() as server:
        why = "orders are being lost right now, incident 4712"
        asked = office.data(
            "alice", "request", "create", "pg-prod/writer", "--for", "1h", "--break-glass", "--because", why
        )
        writer = asked["grants"][0]
        reader = office.data("alice", "request", "create", "pg-prod/login", "--for", "1h")["grants"][0]
        mates = office.data("bob", "request", "create", "pg-prod/reader", "--for", "1h")["grants"][0]
        wait_for(lambda: {office.state(grant) for grant in (writer, reader, mates)} == {"active"})
        (use,) = office.data("carol", "breakglass", "list")
        assert (use["requester"], use["grants"]) == ("alice", [writer])

        credential = office.data("alice", "grant", "credential", reader)
        dsn = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**credential)
        with (
            psycopg.connect(target.dsn("alice"), autocommit=True) as own,
            psycopg.connect(dsn, autocommit=True) as given,
            psycopg.connect(target.dsn("bob"), autocommit=True) as bob,
        ):
            own.execute("INSERT INTO orders SELECT * FROM orders WHERE false")
            seen = office.data("root", "lock", "add", "principal", "alice", "--dry-run")
            assert {grant["id"] for grant in seen["ends"]} == {writer, reader}
            lock = office.data("root", "lock", "add", "principal", "alice", "--reason", "laptop stolen", "--yes")[
                "lock"
            ]
            wait_for(lambda: {office.state(grant) for grant in (writer, reader)} == {"ended"})
            for session in (own, given):
                with pytest.raises(psycopg.OperationalError):
                    session.execute("SELECT 1")
            assert bob.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        with pytest.raises(psycopg.OperationalError):
            run(dsn, "SELECT 1")
        assert not target.holds(target.role("alice"), target.role("writer"))
        refused = office.says("alice", "request", "create", "pg-prod/reader", "--for", "1h", expect=3)
        assert refused.err.startswith("lapse: `alice` is locked: laptop stolen\n")

        assert "set lock" in office.says("root", "lock", "remove", lock["id"], expect=3).err
        office.says("mary", "lock", "remove", lock["id"])
        assert {office.state(grant) for grant in (writer, reader)} == {"ended"}
        again = office.data("alice", "request", "create", "pg-prod/reader", "--for", "1h")["grants"][0]
        wait_for(lambda: office.state(again) == "active")
    assert server.process.returncode == 0
    assert "ok: " in office.program.run("ledger", "verify").out


def test_a_bundle_and_what_repeats_on_a_real_server(office, postgres_target):
    target = postgres_target
    with office.program.serve():
        made = office.data(
            "alice", "request", "create", "pg-prod/reader", "pg-prod/writer", "--for", "30m", "--because", "restore"
        )
        assert not target.holds(target.role("alice"), target.role("reader"))
        (pending,) = [request for request in made["requests"] if request["state"] == "pending"]
        office.says("carol", "approve", pending["id"])
        wait_for(lambda: all(target.holds(target.role("alice"), target.role(role)) for role in ("reader", "writer")))
        for request in made["requests"]:
            office.says("alice", "request", "release", request["id"])
        wait_for(
            lambda: not any(target.holds(target.role("alice"), target.role(role)) for role in ("reader", "writer"))
        )
