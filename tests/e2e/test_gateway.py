"""Through the gateway from end to end: the program as its users run it, a real PostgreSQL, real psql."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from support.program import Program, wait_for

CATALOG = """
principals:
  - name: alice
  - name: bob
  - name: olga
groups:
  - name: dba
    members: [bob]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    entitlements:
      - role: reader
        native: {{role: {prefix}_reader, mode: ephemeral, database: {dbname}}}
"""

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:dba]
"""

PSQL = shutil.which("psql")


@pytest.fixture
def program(tmp_path, postgres_target):
    program = Program(tmp_path / "home", {"PROD_DSN": postgres_target.lapse_dsn})
    program.run("init")
    settings = program.home / "lapse.toml"
    text = settings.read_text()
    settings.write_text(text.replace('postgresql = ""', 'postgresql = "127.0.0.1:0"', 1))
    program.furnish(CATALOG.format(prefix=postgres_target.prefix, dbname=postgres_target.dbname), POLICY)
    program.run("target", "add", "pg-prod", "--dsn-env", "PROD_DSN")
    for who, scope in (("alice", "request"), ("bob", "approve"), ("olga", "approve")):
        program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
    return program


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def as_(program, who):
    return "--token", program.environment[f"TOKEN_{who}"]


def granted(program, duration="1h"):
    asked = program.data(
        "request", "create", "pg-prod/reader", "--for", duration, "--because", "a task", *as_(program, "alice")
    )
    (grant,) = program.data("approve", asked["id"], *as_(program, "bob"))["grants"]
    wait_for(lambda: program.data("grant", "show", grant)["state"] == "active")
    return grant


def connected(program):
    """A connection with what `lapse connect --print-dsn` says."""
    dsn = program.run("connect", "pg-prod", "--print-dsn", *as_(program, "alice")).out.strip()
    return psycopg.connect(dsn, autocommit=True)


def cut_of(connection, act):
    """What a client is told whose query runs while `act` is done."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(connection.execute, "SELECT pg_sleep(60)")
        wait_for(running.running)
        act()
        return str(running.exception(timeout=30))


def live(program):
    return program.data("session", "list", "--live")


def over(program, number=1):
    found = program.data("session", "list")
    return found if len([one for one in found if one["ended_at"]]) >= number else None


def test_without_access_nothing_is_given_out_and_what_to_do_is_said(program):
    with program.serve():
        refused = program.run("connect", "pg-prod", *as_(program, "alice"), expect=3)
    assert "you have no active access to `pg-prod`" in refused.err
    assert "lapse request create pg-prod/ROLE --for 1h" in refused.err


def test_psql_by_one_command(program):
    with program.serve():
        granted(program)
        done = subprocess.run(
            [sys.executable, "-m", "lapse", "connect", "pg-prod", *as_(program, "alice"), "--",
             "-XAt", "-c", "SELECT count(*), current_setting('application_name') FROM orders"],
            env={**os.environ, "LAPSE_HOME": str(program.home)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("2|lapse:alice:gra_")
        (session,) = wait_for(lambda: over(program))
        assert (session["principal"], session["end_reason"], session["recorded"]) == ("alice", "client", True)
        assert "psql" in session["program"]
        assert session["use"]["statements"] >= 1
        wait_for(lambda: entries_of(program, session) == {"session.opened", "recording.sealed", "session.ended"})
    assert program.data("ledger", "verify")["ok"]


def entries_of(program, session):
    return {row["entry"]["type"] for row in program.data("ledger", "show", "--subject", session["id"])}


def test_a_revoked_grant_cuts_the_session_at_once_and_its_credential_is_dead(program, stack):
    with program.serve():
        grant = granted(program)
        connection = stack.enter_context(connected(program))
        dsn = program.run("connect", "pg-prod", "--print-dsn", *as_(program, "alice")).out.strip()
        (session,) = live(program)
        told = cut_of(connection, lambda: program.run("grant", "revoke", grant, "--reason", "enough", "--yes"))
        assert "your access was revoked" in told
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(dsn)
        wait_for(lambda: over(program))
        assert program.data("session", "show", session["id"])["end_reason"] == "revoked"


def test_at_the_deadline_the_session_is_cut(program, stack):
    with program.serve():
        granted(program, "3s")
        connection = stack.enter_context(connected(program))
        assert "your access has reached its end" in cut_of(connection, lambda: None)
        (session,) = wait_for(lambda: over(program))
        assert session["end_reason"] == "elapsed"
        assert session["ended_at"] >= session["deadline"]


def test_a_killed_session_is_cut_and_the_access_goes_on(program, stack):
    with program.serve():
        granted(program)
        connection = stack.enter_context(connected(program))
        (session,) = live(program)
        words = ("session", "kill", session["id"], "--reason", "runs away", "--yes", *as_(program, "olga"))
        assert "ended by an administrator" in cut_of(connection, lambda: program.run(*words))
        with connected(program) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)


def test_a_lock_cuts_every_session(program, stack):
    with program.serve():
        granted(program)
        connection = stack.enter_context(connected(program))
        words = ("lock", "add", "principal", "alice", "--reason", "laptop stolen", "--yes")
        assert "a lock is in force" in cut_of(connection, lambda: program.run(*words))


def test_a_server_that_ends_in_order_tells_its_sessions(program, stack):
    settings = program.home / "lapse.toml"
    settings.write_text(settings.read_text().replace('drain = "PT20S"', 'drain = "PT1S"'))
    with program.serve() as server:
        granted(program)
        connection = stack.enter_context(connected(program))
        told = cut_of(connection, lambda: server.process.send_signal(signal.SIGTERM))
        assert "the gateway is shutting down" in told
        assert server.process.wait(timeout=30) == 0
        server.stop()
    (session,) = program.data("session", "list")
    assert session["end_reason"] == "drained"


def test_after_kill_nine_the_next_start_knows_the_session_lost_and_seals_its_recording(program, stack):
    with program.serve() as server:
        granted(program)
        connection = stack.enter_context(connected(program))
        connection.execute("SELECT 'before the crash'")
        (session,) = live(program)
        wait_for(lambda: list((program.home / "recordings").glob(f"*/{session['id']}/0")))
        server.stop(signal.SIGKILL)
    with program.serve():
        found = wait_for(lambda: over(program))
        assert found[0]["end_reason"] == "lost"
        wait_for(lambda: sealed(program, session["id"]))
        with connected(program) as again:
            assert again.execute("SELECT 1").fetchone() == (1,)
    assert program.data("ledger", "verify")["ok"]


def sealed(program, session_id):
    entries = [row["entry"] for row in program.data("ledger", "show", "--subject", session_id)]
    return [entry for entry in entries if entry["type"] == "recording.sealed" and entry["after"]["torn"]]


def test_nobody_else_sees_a_session_and_what_is_printed_is_data(program):
    with program.serve():
        granted(program)
        connected(program).close()
        (session,) = wait_for(lambda: over(program))
        carol = program.data("token", "create", "carol", "--scope", "request")["secret"]
        missing = program.run("session", "show", session["id"], "--token", carol, expect=4)
        assert "there is no session" in missing.err
        shown = program.run("session", "show", session["id"]).out
        assert "pg-prod/reader" in shown
        assert json.loads(program.run("--json", "session", "show", session["id"]).out)["id"] == session["id"]


def test_a_session_is_replayed_exported_and_watched_and_the_ledger_says_who_did(program, stack, tmp_path):
    with program.serve():
        granted(program)
        connection = stack.enter_context(connected(program))
        connection.execute("SELECT item FROM orders WHERE id = %s", [1])
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        (session,) = live(program)
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(program.process, "session", "watch", session["id"])
            connection.execute("SELECT 'while it is watched'")
            wait_for(lambda: "recording.read" in entries_of(program, session))
            connection.close()
            watched = watching.result(timeout=30).out
        assert "SELECT item FROM orders WHERE id = $1" in watched
        assert "while it is watched" in watched

        shown = program.run("session", "replay", session["id"]).out.splitlines()
        assert any("SELECT 1" in line and "SELECT item FROM orders" in line and '["1"]' in line for line in shown)
        assert any("22012" in line and "SELECT 1/0" in line for line in shown)

        file = tmp_path / "session.jsonl"
        program.run("session", "export", session["id"], "--to", str(file), "--reason", "audit 7")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert lines[0]["event"] == "session"
        assert {line["principal"] for line in lines} == {"alice"}
        assert program.run("session", "export", session["id"], "--to", str(file), expect=2).err.count("exists already")

        mallory = program.data("token", "create", "mallory", "--scope", "request")["secret"]
        program.run("session", "replay", session["id"], "--token", mallory, expect=4)


def test_a_recording_that_was_changed_is_not_shown_as_if_it_were_not(program):
    with program.serve():
        granted(program)
        with connected(program) as connection:
            connection.execute("SELECT 1")
        (session,) = wait_for(lambda: over(program))
        wait_for(lambda: "recording.sealed" in entries_of(program, session))
        (file,) = (program.home / "recordings").glob(f"pg-prod/{session['id']}/0")
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        ran = program.run("session", "replay", session["id"], expect=1)
        assert "was not written so" in ran.err


def test_where_no_gateway_runs_that_is_said(program):
    settings = program.home / "lapse.toml"
    settings.write_text(settings.read_text().replace('"127.0.0.1:0"', '""'))
    with program.serve():
        granted(program)
        said = program.run("connect", "pg-prod", *as_(program, "alice"), expect=6)
    assert "no gateway runs for `pg-prod`" in said.err
