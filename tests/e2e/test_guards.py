"""A guard from the catalog to a real client: refused, masked, and a statement that waits for `lapse hold allow`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.program import Program, wait_for

CATALOG = """
principals: [{{name: alice}}, {{name: bob}}]
groups: [{{name: dba, members: [bob]}}]
resources:
  - name: pg-prod
    connector: postgresql
    owner: bob
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: ephemeral, database: {dbname}}}
        guard:
          read_only: true
          denied_patterns: ['pg_sleep']
          approval_patterns: ['(?i)order by']
          approvers: ["group:dba"]
          masks: [{{name: items, columns: [item], tables: ["public.*"]}}]
"""

POLICY = """
version: 1
offers:
  - {name: readers, entitlements: [pg-prod/reader], to: [anyone], max_duration: 4h, approvals: [{from: [group:dba]}]}
"""


@pytest.fixture
def program(tmp_path, postgres_target):
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})
    program.run("init")
    settings = program.home / "lapse.toml"
    settings.write_text(settings.read_text().replace('postgresql = ""', 'postgresql = "127.0.0.1:0"', 1))
    program.furnish(CATALOG.format(prefix=postgres_target.prefix, dbname=postgres_target.dbname), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    for who, scope in (("alice", "request"), ("bob", "approve")):
        program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
    return program


def as_(program, who):
    return "--token", program.environment[f"TOKEN_{who}"]


def test_a_guard_refuses_masks_and_lets_a_statement_wait_until_it_is_allowed(program):
    with program.serve():
        asked = program.data(
            "request", "create", "pg-prod/reader", "--for", "1h", "--because", "a task", *as_(program, "alice")
        )
        (grant,) = program.data("approve", asked["id"], *as_(program, "bob"))["grants"]
        wait_for(lambda: program.data("grant", "show", grant)["state"] == "active")
        dsn = program.run("connect", "pg-prod", "--print-dsn", *as_(program, "alice")).out.strip()
        with psycopg.connect(dsn, autocommit=True) as connection, ThreadPoolExecutor(1) as pool:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="pg_sleep"):
                connection.execute("SELECT pg_sleep(1)")
            assert connection.execute("SELECT item, id FROM orders WHERE id = 1").fetchone() == ("****", 1)
            for answer, follows in (("allow", [("****",), ("****",)]), ("refuse", None)):
                running = pool.submit(connection.execute, "SELECT item FROM orders ORDER BY id")
                (hold,) = wait_for(lambda: program.data("hold", "list", *as_(program, "bob")))
                assert hold["statement"] == "SELECT item FROM orders ORDER BY id"
                program.run("hold", answer, hold["id"], *as_(program, "bob"))
                if follows:
                    assert running.result(timeout=20).fetchall() == follows
                else:
                    assert isinstance(running.exception(timeout=20), psycopg.errors.InsufficientPrivilege)
                wait_for(lambda: program.data("hold", "list", *as_(program, "bob")) == [])
        wait_for(lambda: [one for one in program.data("session", "list") if one["ended_at"]])
        (session,) = program.data("session", "list")
        assert (session["use"]["refused"], session["recorded"]) == (2, True)
        shown = program.run("session", "replay", session["id"]).out
        outcomes = [line.split("outcome ")[1].split(",")[0] for line in shown.splitlines() if "outcome " in line]
        assert outcomes == ["refused", "held", "allowed", "held", "refused"]
        assert "by bob" in shown
    assert program.data("ledger", "verify")["ok"]
