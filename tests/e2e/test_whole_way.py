"""From an empty folder to a proved end, on a real PostgreSQL, with the program as its users run it."""

from __future__ import annotations

import psycopg
import pytest

from support.postgres import name
from support.program import Program, wait_for

CATALOG = """
principals:
  - name: alice
    accounts: [{{resource: pg-prod, login: {prefix}_alice}}]
  - name: bob
  - name: olga
groups:
  - name: dba
    members: [bob]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    tags: {{env: prod}}
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: membership}}
      - role: temporary
        native: {{role: {prefix}_reader, mode: ephemeral}}
"""

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader, pg-prod/temporary]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:dba]
"""


@pytest.fixture
def program(tmp_path, postgres_target):
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})
    program.run("init")
    program.furnish(CATALOG.format(prefix=postgres_target.prefix), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    program.run("target", "check", "pg-prod")
    for who, scope in (("alice", "request"), ("bob", "approve")):
        program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
    return program


def token(program, who):
    return program.environment[f"TOKEN_{who}"]


def ask_and_approve(program, entitlement, duration):
    asked = program.data(
        "request", "create", entitlement, "--for", duration, "--because", "a task", "--token", token(program, "alice")
    )
    assert asked["state"] == "pending"
    approved = program.data("approve", asked["id"], "--token", token(program, "bob"))
    assert approved["state"] == "approved"
    (grant,) = approved["grants"]
    return grant


def read_orders(dsn, role):
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        connection.execute(f"SET ROLE {name(role)}")
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def test_without_a_server_each_command_does_its_part(program, postgres_target):
    reader, dsn = postgres_target.role("reader"), postgres_target.dsn("alice")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        read_orders(dsn, reader)

    grant = ask_and_approve(program, "pg-prod/reader", "2h")
    assert program.data("grant", "show", grant)["state"] == "active"
    assert read_orders(dsn, reader) == 2

    ended = program.run("grant", "release", grant, "--token", token(program, "alice"))
    assert f"grant {grant} is ended: the target was seen to refuse" in ended.out
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        read_orders(dsn, reader)

    verified = program.data("ledger", "verify")
    assert verified["ok"]
    types = [row["entry"]["type"] for row in program.data("ledger", "show", "--subject", grant)]
    assert types == ["grant.ended", "grant.revoking", "grant.active", "grant.activating", "grant.scheduled"]


def test_with_a_server_access_ends_by_itself_at_the_promised_instant(program, postgres_target):
    with program.serve() as server:
        grant = ask_and_approve(program, "pg-prod/temporary", "4s")
        active = wait_for(lambda: _in_state(program, grant, "active"))
        secret = program.data("grant", "credential", grant, "--token", token(program, "alice"))
        dsn = postgres_target.server.dsn(postgres_target.dbname, secret["user"], secret["password"])
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone()[0] == 2

        ended = wait_for(lambda: _in_state(program, grant, "ended"))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn, connect_timeout=5)
        assert (ended["end_reason"], ended["ends_at"]) == ("elapsed", active["ends_at"])
        assert ended["ended_at"] >= ended["ends_at"]
        assert server.stop() == 0
    assert program.data("ledger", "verify")["ok"]


def test_nobody_approves_an_own_request_and_a_policy_refusal_says_why(program):
    asked = program.data("request", "create", "pg-prod/reader", "--for", "1h", "--token", token(program, "alice"))

    own = program.run("approve", asked["id"], "--token", token(program, "alice"), expect=3)
    assert own.err.startswith("lapse: `alice` may not do this")

    too_long = program.run(
        "request", "create", "pg-prod/reader", "--for", "5h", "--token", token(program, "alice"), expect=3
    )
    assert too_long.err.startswith("lapse: ")
    assert "Traceback" not in too_long.err


def _in_state(program, grant, state):
    found = program.data("grant", "show", grant)
    return found if found["state"] == state else None


def test_a_review_on_a_server_finds_what_is_wrong_and_its_pack_verifies(program, postgres_target, tmp_path):
    postgres_target.admin(f"GRANT {name(postgres_target.role('reader'))} TO {name(postgres_target.role('bob'))}")
    with program.serve():
        review = program.data("review", "run", "--scope", "tag:env=prod")
        found = {(one["detector"], one["resource"]) for one in review["findings"]}
        assert any(detector in {"L1", "L2"} and resource == "pg-prod" for detector, resource in found)

        saved = tmp_path / "pack.zip"
        program.run("review", "pack", "--to", str(saved))
    assert "VERIFIED" in program.run("review", "verify", str(saved)).out

    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(content)
    assert "NOT VERIFIED" in program.run("review", "verify", str(saved), expect=1).out


def test_a_database_that_nobody_set_up_is_reviewed_without_a_home(postgres_target, tmp_path):
    program = Program(tmp_path / "nothing")

    review = program.data("review", "run", "--target", postgres_target.admin_dsn, "--out", str(tmp_path / "out"))

    assert "L1" in {one["detector"] for one in review["findings"]}
    assert "VERIFIED" in program.run("review", "verify", review["pack"]).out
    assert not program.home.exists()
