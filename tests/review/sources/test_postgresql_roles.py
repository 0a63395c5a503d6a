"""Since when and until when roles were held, as the statements in PostgreSQL's logs show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.postgres_log_lines import audit, csv_line, end, login, minute, statement
from support.read_sources import people, read_as, short

START = datetime(2026, 7, 1, 10, tzinfo=UTC)
ANOTHER = "66827f21.1f5"


def after(minutes):
    return START + timedelta(minutes=minutes)


def read(tmp_path, *lines, rules=None):
    file = tmp_path / "postgresql.csv"
    file.write_text("".join(lines))
    return read_as("postgresql-log", file, tmp_path, rules, resource="pg", taken_at="2026-10-01T00:00:00Z")


def ran(*texts, first=2, session="66827f20.1f4", **cells):
    """One statement a minute, each in a transaction of its own unless said."""
    return [
        statement(
            text,
            number,
            at=minute(number),
            session=session,
            transaction=cells.get("transaction", f"3/{number}"),
        )
        for number, text in enumerate(texts, first)
    ]


def held(result):
    """(account, role, minute from, minute to) of each period."""
    names = ("account", "role", "from_at", "to_at")
    found = [
        (*who, minute_of(since), until and minute_of(until))
        for *who, since, until in short(result.access_periods, *names)
    ]
    return sorted(found, key=repr)


def minute_of(at):
    return int((at - START).total_seconds() // 60)


def test_a_role_is_held_from_its_grant_to_its_revoke(tmp_path):
    lines = ran("grant reader to bob", "revoke reader from bob")
    (period,) = read(tmp_path, *lines, rules=people(bob="bob.b")).access_periods
    assert period == {
        "resource": "pg",
        "account": "bob",
        "role": "reader",
        "from_at": after(2),
        "to_at": after(3),
        "principal": "bob.b",
        "grant_id": None,
        "changed_by": "alice",
        "source": "postgresql-log postgresql.csv",
    }


@pytest.mark.parametrize(
    ("texts", "periods"),
    [
        (["grant a, b to x, y"], [("x", "a", 2, None), ("x", "b", 2, None), ("y", "a", 2, None), ("y", "b", 2, None)]),
        (["grant a to x with admin option", "revoke admin option for a from x"], [("x", "a", 2, None)]),
        (["grant a to x with inherit false"], [("x", "a", 2, None)]),
        (["grant a to x", "grant a to x"], [("x", "a", 2, None)]),
        (["create role x superuser login in role a role m admin n"],
         [("m", "x", 2, None), ("n", "x", 2, None), ("x", "(superuser)", 2, None), ("x", "a", 2, None)]),
        (["create user x nosuperuser", "alter role x createrole replication", "alter user x nocreaterole"],
         [("x", "(createrole)", 3, 4), ("x", "(replication)", 3, None)]),
        (["alter group g add user x, y", "alter group g drop user y"], [("x", "g", 2, None), ("y", "g", 2, 3)]),
        (["grant a to x", "grant x to z", "drop role x"], [("x", "a", 2, 4), ("z", "x", 3, 4)]),
        (["grant a to x", "alter role x rename to y"], [("x", "a", 2, 3), ("y", "a", 3, None)]),
        (["grant a to x", "alter role a rename to b"], [("x", "a", 2, 3), ("x", "b", 3, None)]),
        (["grant a to session_user"], [("alice", "a", 2, None)]),
        (['GRANT "Big, Role" TO "=cmd()"'], [("=cmd()", "Big, Role", 2, None)]),
        (["grant a to x; revoke a from x"], [("x", "a", 2, 2)]),
        (["begin; grant a to x; rollback; grant b to x"], [("x", "b", 2, None)]),
        (["grant select on t to x", "alter role x set search_path = a", "create table role()"], []),
        (["select 'grant a to x'", "do $$ begin grant a to x; end $$"], []),
        (["create/**/role x/**/superuser"], [("x", "(superuser)", 2, None)]),
    ],
)  # fmt: skip
def test_what_statements_change(tmp_path, texts, periods):
    assert held(read(tmp_path, *ran(*texts))) == periods


def test_a_statement_that_failed_changed_nothing(tmp_path):
    failed = csv_line('role "a" does not exist', 3, severity="ERROR", state="42704", transaction="3/2", at=minute(3))
    assert held(read(tmp_path, *ran("grant a to x"), failed, *ran("grant b to x", first=4))) == [("x", "b", 4, None)]
    unrelated = csv_line("division by zero", 3, severity="ERROR", state="22012", transaction="3/9", at=minute(3))
    assert held(read(tmp_path, *ran("grant a to x"), unrelated)) == [("x", "a", 2, None)]


def test_what_was_rolled_back_changed_nothing(tmp_path):
    lines = ran("begin", "grant a to x", "rollback", transaction="3/5")
    assert held(read(tmp_path, *lines, *ran("grant b to x", first=9))) == [("x", "b", 9, None)]
    lines = ran("begin", "grant a to x", "commit", transaction="3/5")
    assert held(read(tmp_path, *lines)) == [("x", "a", 3, None)]


def test_what_a_savepoint_undid_is_left_out_and_told(tmp_path):
    lines = ran("begin", "grant a to x", "rollback to s", "grant b to x", "commit", transaction="3/5")
    result = read(tmp_path, *lines)
    assert held(result) == [("x", "b", 5, None)]
    assert any("savepoint" in what for what in result.problems)


def test_changes_of_several_sessions_are_put_in_order_of_time(tmp_path):
    """The first session's change is known to be in force only when its next line comes."""
    taken = ran("revoke a from x", first=5, session=ANOTHER)
    assert held(read(tmp_path, *ran("grant a to x"), *taken, end(9, at=minute(30)))) == [("x", "a", 2, 5)]
    assert held(read(tmp_path, *taken, *ran("grant a to x"))) == [("x", "a", 2, 5)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("grant a to current_user", "name the current user"),
        ("alter role current_role superuser", "name the current user"),
        ("grant a to", "could not be parsed"),
        ("grant a to x; bogus", "could not be parsed"),
        ("grant a to x " + "-- x\n" * 60_000, "could not be parsed"),
        ("revoke a from x", "no line shows since when"),
        ("drop role x", None),
    ],
)
def test_what_is_not_clear_is_told_and_never_made_up(tmp_path, text, says):
    result = read(tmp_path, *ran(text))
    assert result.access_periods == []
    told = [what for what, problem in result.problems.items() if problem.table == "access_periods"]
    assert [says in what for what in told] == ([True] if says else [])
    assert short(result.usage, "action")[0] == text.split(maxsplit=1)[0].upper() + (" ROLE" if " role" in text else "")


def test_pgaudit_and_the_statement_log_together_count_once(tmp_path):
    text = "grant a to x; revoke a from x; grant a to x"
    record = f"ROLE,GRANT ROLE,,,{text},<none>"
    lines = [
        statement(text, 2, at=minute(2), transaction="3/2"),
        *(audit(f"SESSION,{n},1,{record}", 2 + n, at=minute(2), transaction="3/2") for n in (1, 2, 3)),
    ]
    assert held(read(tmp_path, login(1), *lines)) == [("x", "a", 2, 2), ("x", "a", 2, None)]


def test_what_pgaudit_hides_after_a_password_is_told(tmp_path):
    cut = audit("SESSION,1,1,ROLE,CREATE ROLE,,,create role x superuser password <REDACTED>,<none>")
    result = read(tmp_path, login(1), cut)
    assert short(result.access_periods, "account", "role") == [("x", "(superuser)")]
    assert any("cut at a password" in what for what in result.problems)


def test_no_password_reaches_the_evidence(tmp_path):
    result = read(tmp_path, *ran("create role x superuser password 'hunter2'", "alter role password 'hunter2'"))
    kept = repr((result.usage, result.access_periods, result.sessions, result.manifest, result.links))
    assert "hunter2" not in kept
