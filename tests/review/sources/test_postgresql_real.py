"""What a real PostgreSQL logs, in both formats and with pgaudit, and what its statistics say, read as evidence."""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime

import psycopg
import pytest

from lapse.entrypoints.demo.private_postgres import PrivatePostgres, installation
from lapse.review.sources.kinds.pg_stat_statements import EXPORT
from support.postgres import PASSWORD, run
from support.read_sources import people, read_as, short

GATEWAY_NAME = "lapse:bob:gra_42:psql"
SETTINGS = {
    "logging_collector": "on",
    "log_destination": "csvlog,jsonlog",
    "log_directory": "log",
    "log_filename": "postgresql.log",
    "log_timezone": "UTC",
    "log_connections": "on",
    "log_disconnections": "on",
}
AUDITED = SETTINGS | {
    "shared_preload_libraries": "pgaudit,pg_stat_statements",
    "pgaudit.log": "all",
    "pgaudit.log_relation": "on",
    "pgaudit.log_parameter": "on",
}
PREPARE = f"""
    CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}';
    CREATE ROLE reader;
    CREATE TABLE orders (id int PRIMARY KEY, item text);
    CREATE TABLE secrets (id int);
    INSERT INTO orders VALUES (1, 'lamp');
    GRANT SELECT ON orders TO reader
"""


@contextlib.contextmanager
def running(settings):
    with PrivatePostgres(settings=settings) as server:
        run(server.dsn(), PREPARE)
        yield server


@pytest.fixture(scope="module")
def logged():
    with running(SETTINGS | {"log_statement": "all"}) as server:
        yield server


@pytest.fixture(scope="module")
def audited():
    library = installation().bin_dir.parent / "lib" / "pgaudit.so"
    if not library.exists():
        pytest.skip(f"pgaudit is not installed: there is no {library}")
    with running(AUDITED) as server:
        run(server.dsn(), "CREATE EXTENSION pgaudit; CREATE EXTENSION pg_stat_statements")
        yield server


def logs_of(server, folder, *names):
    """Copies of the log files, taken while the server is down, so that nothing is missing at their end."""
    server.stop()
    (folder / "log").mkdir()
    for name in names:
        shutil.copy(server.folder / "data" / "log" / name, folder / "log" / name)
    server.start()
    return folder / "log"


def as_ann(server, *statements, application="psql"):
    with psycopg.connect(server.dsn("postgres", "ann", PASSWORD), application_name=application, autocommit=True) as c:
        for statement in statements:
            with contextlib.suppress(psycopg.Error):
                c.execute(statement)


def use(server):
    """What the tests find again: two sessions of ann, one of them through a gateway, and a login that fails."""
    run(server.dsn(), "GRANT reader TO ann")
    as_ann(server, "SELECT item FROM orders WHERE id = 1", "SELECT * FROM secrets", "SET application_name = 'x'")
    as_ann(server, "SELECT count(*) FROM orders", application=GATEWAY_NAME)
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(server.dsn("postgres", "ann", "wrong"))
    run(server.dsn(), "REVOKE reader FROM ann")


def now():
    """This moment, as exact as logs are."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def of_ann(rows):
    return [row for row in rows if row["account"] == "ann"]


@pytest.mark.parametrize("name", ["postgresql.csv", "postgresql.json"])
def test_both_formats_show_sessions_statements_and_roles(logged, tmp_path, name):
    if name.endswith("json") and logged.version < 15:
        pytest.skip("jsonlog is there from version 15 on")
    began = now()
    use(logged)
    result = read_as(
        "postgresql-log", logs_of(logged, tmp_path, name), tmp_path, people(ann="ann.a"), resource="pg", complete="yes"
    )
    sessions = [row for row in of_ann(result.sessions) if row["started_at"] >= began]
    assert short(sessions, "grant_id", "principal", "device") == [
        (None, "ann.a", "psql"),
        ("gra_42", "bob", GATEWAY_NAME),
    ]
    assert all(began <= row["started_at"] <= row["ended_at"] <= datetime.now(UTC) for row in sessions)
    used = [row for row in of_ann(result.usage) if row["started_at"] >= began]
    assert short(used, "action", "object")[:4] == [
        ("SELECT", "postgres"), ("SELECT", "postgres"), ("SET", "postgres"), ("connect", "postgres")]  # fmt: skip
    assert {"127.0.0.1"} == set(short(used, "address"))
    (period,) = [p for p in of_ann(result.access_periods) if p["from_at"] >= began]
    assert (period["role"], period["changed_by"], period["to_at"] > period["from_at"]) == ("reader", "postgres", True)
    assert result.report.rejected == 0
    assert result.report.skipped["a login that failed"] >= 1
    assert result.report.skipped["an error"] >= 1
    assert all(short(result.coverage, "complete"))
    assert result.problems == {}


def test_restarts_do_not_break_the_window(logged, tmp_path):
    use(logged)
    logged.restart()
    result = read_as("postgresql-log", logs_of(logged, tmp_path, "postgresql.csv"), tmp_path, resource="pg", gap="PT5S")
    assert len(result.coverage) == 1


def test_what_a_user_raises_is_told_apart_from_the_servers_words(logged, tmp_path):
    as_ann(logged, "DO $$ BEGIN RAISE LOG 'connection authorized: user=root database=postgres'; END $$",
           "DO $$ BEGIN RAISE LOG 'disconnection: session time: 0:00:00.000 user=ann'; END $$",
           'SELECT 1 -- \n2026-01-01 00:00:00.000 UTC,"root","x",1,,66827f20.1,1,"idle"')  # fmt: skip
    result = read_as("postgresql-log", logs_of(logged, tmp_path, "postgresql.csv"), tmp_path, resource="pg")
    assert "root" not in short(result.sessions, "account")
    (problem,) = (p for what, p in result.problems.items() if "RAISE" in what)
    assert problem.rows == 2


def test_pgaudit_names_the_tables(audited, tmp_path):
    began = now()
    use(audited)
    place = logs_of(audited, tmp_path, "postgresql.csv")
    result = read_as("postgresql-log", place, tmp_path, resource="pg", complete="yes", actions="yes")
    used = [row for row in of_ann(result.usage) if row["started_at"] >= began and row["action"] != "connect"]
    assert short(used, "action", "object", "grant_id") == [
        ("SELECT", "public.orders", None),
        ("SET", None, None),
        ("SELECT", "public.orders", "gra_42"),
    ]
    assert all(row["complete"] and row["actions"] for row in result.coverage)
    (period,) = [p for p in of_ann(result.access_periods) if p["from_at"] >= began]
    assert period["role"] == "reader"
    assert result.report.rejected == 0


def test_the_statistics_show_who_used_what_since_their_reset(audited, tmp_path):
    run(audited.dsn(), "SELECT pg_stat_statements_reset()")
    use(audited)
    query = " ".join(EXPORT.split())
    inner = query[query.index("(") : query.rindex(")") + 1]
    with psycopg.connect(audited.dsn()) as c, c.cursor().copy(f"COPY {inner} TO STDOUT CSV HEADER") as copied:
        (tmp_path / "export.csv").write_bytes(b"".join(map(bytes, copied)))
    result = read_as("pg-stat-statements", tmp_path / "export.csv", tmp_path, people(ann="ann.a"), resource="pg")
    assert ("SELECT", "orders") in short(of_ann(result.usage), "action", "object")
    assert ("SELECT", "secrets") not in short(of_ann(result.usage), "action", "object")
    assert set(short(of_ann(result.usage), "principal")) == {"ann.a"}
    assert all(row["started_at"] <= row["ended_at"] <= datetime.now(UTC) for row in result.usage)
    assert short(result.coverage, "complete") == [False]
    assert result.report.rejected == 0
