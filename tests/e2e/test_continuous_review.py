"""New evidence between reviews: a real PostgreSQL, looked at each day and when asked, by the program as it is run."""

from __future__ import annotations

import signal

import pytest

from support.postgres import name
from support.program import Program, wait_for

CATALOG = """
principals:
  - name: alice
    accounts: [{{resource: pg-prod, login: {prefix}_alice}}]
  - name: olga
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    tags: {{env: prod}}
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: membership}}
"""
POLICY = """
version: 1
offers:
  - {name: readers, entitlements: [pg-prod/reader], to: [anyone], max_duration: 4h, approvals: [{from: [owner]}]}
"""


@pytest.fixture
def program(tmp_path, postgres_target):
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})
    program.run("init")
    program.furnish(CATALOG.format(prefix=postgres_target.prefix), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    program.run("review", "schedule", "add", "prod", "--scope", "tag:env=prod", "--continuous")
    return program


def standing(program, account):
    """What is known of the access of one account that has no end."""
    rows = program.data("review", "findings", "--schedule", "prod", "--fixed")
    (one,) = [
        row["finding"] for row in rows if row["finding"]["detector"] == "L1" and account in row["finding"]["subject"]
    ]
    return one


def test_a_server_looks_by_itself_even_after_it_was_killed_and_again_when_asked(program, postgres_target):
    reader, bob = postgres_target.role("reader"), postgres_target.role("bob")
    postgres_target.admin(f"GRANT {name(reader)} TO {name(bob)}")
    with program.serve() as server:
        server.stop(signal.SIGKILL)
    with program.serve():
        look = wait_for(lambda: program.data("review", "schedule", "show", "prod")["look"], seconds=120)
        assert (look["unread"], look["counts"].get("fixed", 0)) == ({}, 0)
        fingerprint = standing(program, bob)["fingerprint"]

        again = program.data("review", "schedule", "look", "prod")
        assert fingerprint not in {one["finding"]["fingerprint"] for one in again["changed"]}
        assert standing(program, bob)["state"] == "open"

        postgres_target.admin(f"REVOKE {name(reader)} FROM {name(bob)}")
        printed = program.run("review", "schedule", "look", "prod").out
        assert printed.startswith("looked at `prod`: ")
        assert "fixed" in printed
        assert standing(program, bob)["state"] == "fixed"
    assert program.data("ledger", "verify")["ok"]
    types = [row["entry"]["type"] for row in program.data("ledger", "show", "--subject", f"finding:{fingerprint}")]
    assert types == ["finding.fixed", "finding.new"]


def test_a_look_that_fails_is_seen_and_changes_nothing(program, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("name,email,login,active,left_at\nalice,alice@example.com,alice,yes,\n")
    program.run("review", "schedule", "remove", "prod")
    program.run("review", "schedule", "add", "prod", "--continuous", "--people", str(people))
    before = program.data("review", "schedule", "look", "prod")["schedule"]
    people.unlink()
    failed = program.run("review", "schedule", "look", "prod", expect=4)
    assert "people.csv" in failed.err
    after = program.data("review", "schedule", "show", "prod")
    assert (after["look"], after["failure"]["tries"]) == (before["look"], 1)
    listed = program.run("review", "schedule", "list")
    assert "failed" in listed.out
    assert "it is tried again in" in listed.err
    assert "`lapse review schedule look prod` tries it now" in program.run("review", "findings", "--now").err


def test_what_there_is_not_is_refused_with_what_to_do(program, tmp_path):
    missing = program.run(
        "review", "schedule", "add", "x", "--people", str(tmp_path / "none.csv"), expect=4
    )  # fmt: skip
    assert "there is no `" in missing.err
    assert "was not looked at yet" in program.run("review", "findings", "--schedule", "prod").out
    assert "missed no period" in program.run("review", "schedule", "start", "prod", "2026-01", expect=4).err
    program.run("review", "findings", "rev_1", "--now", expect=2)
