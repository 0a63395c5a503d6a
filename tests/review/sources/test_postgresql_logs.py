"""PostgreSQL's logs as evidence: who was connected, what was done, and how much of that is known."""

from __future__ import annotations

import gzip

import pytest

from lapse.domain.errors import InvalidInput
from support.postgres_log_lines import (
    ANOTHER,
    SESSION,
    START,
    actions,
    after,
    audit,
    csv_line,
    end,
    json_line,
    login,
    minute,
    read_log,
    server,
    statement,
)
from support.read_sources import people, read_as, short

# What one session comes to


def test_a_session_is_what_lies_between_its_login_and_its_end(tmp_path):
    result = read_log(
        tmp_path,
        login(1),
        statement("select * from orders", 2, at=minute(1)),
        end(3, at=minute(5)),
        rules=people(alice="ann"),
    )
    common = {
        "resource": "pg",
        "account": "alice",
        "principal": "ann",
        "address": "10.0.0.7",
        "device": "psql",
        "session_id": SESSION,
        "source": "postgresql-log postgresql.csv",
        "grant_id": None,
    }
    assert result.sessions == [
        common
        | {
            "started_at": START,
            "ended_at": after(5),
            "protocol": "postgresql",
            "end_reason": None,
            "recorded": None,
        }
    ]
    assert result.usage == [
        common | {"started_at": after(1), "ended_at": None, "action": "SELECT", "object": "shop", "role": None},
        common | {"started_at": START, "ended_at": after(5), "action": "connect", "object": "shop", "role": None},
    ]
    assert (result.report.records, result.report.used) == (3, 3)
    assert (result.report.first_at, result.report.last_at) == (START, after(5))
    assert result.problems == {}
    assert short(result.links, "account", "principal") == [("alice", "ann")]


@pytest.mark.parametrize("columns", [22, 23, 24, 26])
def test_the_columns_of_every_version_are_read(tmp_path, columns):
    lines = [
        csv_line("connection authorized: user=alice database=shop", 1, columns=columns),
        csv_line("statement: select 1", 2, columns=columns),
        csv_line("disconnection: session time: 0:00:01.000", 3, columns=columns),
    ]
    result = read_log(tmp_path, *lines)
    assert len(result.sessions) == 1
    assert short(result.usage, "action") == ["SELECT", "connect"]


def test_jsonlog_says_the_same(tmp_path):
    lines = [
        json_line("connection authorized: user=alice database=shop application_name=psql", 1),
        json_line("statement: select 1", 2, at=minute(1)),
        json_line("disconnection: session time: 0:00:01.000", 3, at=minute(2)),
    ]
    of_json = read_log(tmp_path, *lines, name="postgresql.json")
    of_csv = read_log(
        tmp_path, login(1), statement("select 1", at=minute(1)), end(3, at=minute(2)), name="postgresql.json.csv"
    )
    without = [{k: v for k, v in row.items() if k != "source"} for row in of_json.usage + of_json.sessions]
    assert without == [{k: v for k, v in row.items() if k != "source"} for row in of_csv.usage + of_csv.sessions]


def test_a_session_that_goes_on_has_no_end(tmp_path):
    (session,) = read_log(tmp_path, login(1)).sessions
    assert (session["started_at"], session["ended_at"]) == (START, None)


def test_a_session_whose_login_was_not_logged_began_when_its_process_did(tmp_path):
    began = "2026-07-01 09:30:00 UTC"
    result = read_log(tmp_path, statement("select 1", 7, began=began), end(8, at=minute(1), began=began))
    assert short(result.sessions, "started_at", "ended_at") == [(after(-30), after(1))]


def test_a_session_that_was_ended_says_why(tmp_path):
    killed = csv_line(
        "terminating connection due to administrator command", 2, at=minute(1), severity="FATAL", state="57P01"
    )
    (session,) = read_log(tmp_path, login(1), killed, end(3, at=minute(1))).sessions
    assert session["end_reason"] == "terminating connection due to administrator command"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            csv_line('password authentication failed for user "alice"', 2, severity="FATAL", state="28P01"),
            "a login that failed",
        ),
        (csv_line('relation "x" does not exist', 2, severity="ERROR", state="42P01"), "an error"),
        (csv_line("permission denied for table t", 2, severity="ERROR", state="42501"), "an error"),
        (csv_line("duration: 0.123 ms", 2), "a step of a login or of a statement, not the thing itself"),
        (
            csv_line("duration: 0.1 ms  bind s1: select 1", 2),
            "a step of a login or of a statement, not the thing itself",
        ),
        (
            csv_line('connection authenticated: identity="alice" method=scram-sha-256', 2),
            "a step of a login or of a statement, not the thing itself",
        ),
        (csv_line("process 5 still waiting for ShareLock", 2), "a message that says nothing of use"),
        (csv_line("there is already a transaction", 2, severity="WARNING"), "a message that says nothing of use"),
        (server("checkpoint starting: time"), "a line of the server itself, of no account"),
        (csv_line("Passwort-Authentifizierung fehlgeschlagen", 2, severity="FEHLER", state="28P01"), None),
    ],
)
def test_what_is_no_use_is_left_out_with_the_reason(tmp_path, line, why):
    result = read_log(tmp_path, line)
    assert result.usage == []
    assert result.sessions == []
    assert list(result.report.skipped) == [why or "a message in another language than English"]


@pytest.mark.parametrize(
    ("message", "tag", "action"),
    [
        ("statement: select 1", "idle", "SELECT"),
        ("statement: /* from a tool */ -- and\n ( Select 1)", "idle", "SELECT"),
        ("statement: create or replace view v as select 1", "idle", "CREATE VIEW"),
        ("statement: create unlogged table t()", "idle", "CREATE TABLE"),
        ("statement: with x as (select 1) select * from x", "idle in transaction", "WITH"),
        ("duration: 1.5 ms  statement: update t set a = 1", "UPDATE", "UPDATE"),
        ("execute <unnamed>: insert into t values ($1)", "INSERT", "INSERT"),
        ("execute s_1/c_2: select 1", "SELECT waiting", "SELECT"),
        ("execute fetch from s_1: select 1", "BIND", "SELECT"),
        ('fastpath function call: "lo_open" (OID 952)', "fastpath function call", "FUNCTION"),
        ("duration: 9.1 ms  plan:\nQuery Text: select 1", "SELECT", "SELECT"),
        ("statement: ", "idle", "FUNCTION"),
    ],
)
def test_the_action_is_the_command(tmp_path, message, tag, action):
    result = read_log(tmp_path, csv_line(message, 2, tag=tag))
    assert short(actions(result), "action") == [action]


# pgaudit


@pytest.mark.parametrize(
    ("record", "action", "thing"),
    [
        ("SESSION,1,1,READ,SELECT,TABLE,public.orders,select * from orders,<not logged>", "SELECT", "public.orders"),
        ("OBJECT,2,1,WRITE,UPDATE,TABLE,public.orders,update orders set a = 1,<not logged>", "UPDATE", "public.orders"),
        ('SESSION,3,1,WRITE,INSERT,TABLE,public.t,"insert into t values ($1, $2)","1,""a,b"""', "INSERT", "public.t"),
        ('SESSION,4,1,READ,SELECT,TABLE,public.t,"select a,\n b from t",<none>,17', "SELECT", "public.t"),
        ("SESSION,5,1,READ,SELECT,,,select 1,<not logged>", "SELECT", "shop"),
        ("SESSION,6,1,MISC,SET,,,<previously logged>,<previously logged>", "SET", "shop"),
        ("SESSION,7,1,FUNCTION,EXECUTE,FUNCTION,public.f,<not logged>,<not logged>", "EXECUTE", "public.f"),
        (
            'SESSION,8,1,DDL,CREATE TABLE,TABLE,"public.""a,b""",<not logged>,<not logged>',
            "CREATE TABLE",
            'public."a,b"',
        ),
        ("SESSION,9,1,MISC_SET,,,,set role x,<not logged>", "MISC_SET", "shop"),
    ],
)
def test_a_record_of_pgaudit_names_the_object(tmp_path, record, action, thing):
    result = read_log(tmp_path, audit(record))
    assert short(actions(result), "action", "object") == [(action, thing)]


@pytest.mark.parametrize(
    "record", ["", "SESSION,1,1,READ", "SESSION,x,1,READ,SELECT,,,a,b", "SESSION,1,1,SPY,SELECT,,,a,b", 'SESSION,1,"']
)
def test_a_record_of_pgaudit_that_is_none_is_rejected(tmp_path, record):
    result = read_log(tmp_path, login(1), audit(record), end(3))
    assert result.report.rejected == 1
    assert "line 2 of session" in result.report.examples[0]
    assert actions(result) == []


def test_with_every_action_on_record_an_unknown_object_stays_unknown(tmp_path):
    lines = [login(1), statement("select * from orders"), audit("SESSION,1,1,READ,SELECT,TABLE,public.t,x,y", 3)]
    assert short(actions(read_log(tmp_path, *lines, actions="yes")), "object") == [None, "public.t"]
    assert short(actions(read_log(tmp_path, *lines)), "object") == ["shop", "public.t"]


# Whose grant it was


def test_a_session_through_the_gateway_names_its_grant(tmp_path):
    name = "lapse:bob:gra_7:psql"
    result = read_log(
        tmp_path,
        login(1, application=name),
        statement("select 1", 2, application=name),
        end(3, application=name),
        rules=people(alice="ann"),
    )
    assert set(short(result.usage + result.sessions, "grant_id", "principal", "device")) == {("gra_7", "bob", name)}


@pytest.mark.parametrize(
    "name", ["lapse:bob:gra_7", "lapse:bob", "lapse::gra_7:x", "xlapse:bob:gra_7:x", "lapse:b b:gra_7:x"]
)
def test_a_name_that_was_cut_or_is_another_names_no_grant(tmp_path, name):
    (session,) = read_log(tmp_path, login(1, application=name)).sessions
    assert session["grant_id"] is None


def test_a_session_that_takes_the_name_of_a_grant_later_is_told_and_not_believed(tmp_path):
    forged = "lapse:bob:gra_7:psql"
    result = read_log(
        tmp_path, login(1, application=""), statement("select 1", 2, application=forged), end(3, application=forged)
    )
    assert set(short(result.usage + result.sessions, "grant_id")) == {None}
    problem = result.problems["sessions that took the name of a grant later on: not believed"]
    assert problem.rows == 2
    assert problem.examples == (f"alice: {forged}",)


def test_an_account_that_several_use_is_whoever_was_authenticated(tmp_path):
    rules = people(ann="ann.a", **{"bob@example.com": "bob.b"})
    lines = []
    for session, identity in ((SESSION, "ann"), (ANOTHER, "bob@EXAMPLE.COM"), ("66827f22.1f6", "CN=nobody")):
        known = f'connection authenticated: identity="{identity}" method=cert (/x/pg_hba.conf:1)'
        lines += [csv_line(known, 1, session=session), login(2, session=session), end(3, session=session)]
    result = read_log(tmp_path, *lines, rules=rules)
    assert short(result.sessions, "account", "principal") == [("alice", "ann.a"), ("alice", "bob.b"), ("alice", None)]
    assert short(result.links, "account", "rule", "principal") == [("alice", "session", None)]


def test_a_grant_named_from_elsewhere_than_a_gateway_is_not_believed(tmp_path):
    name = "lapse:bob:gra_7:psql"
    lines = (login(1, application=name), end(2, application=name))
    assert short(read_log(tmp_path, *lines, gateways="10.0.0.7").sessions, "grant_id") == ["gra_7"]
    result = read_log(tmp_path, *lines, gateways="10.9.9.9, 10.9.9.8")
    assert short(result.sessions, "grant_id") == [None]
    assert "sessions that name a grant, from an address that is no gateway's: not believed" in result.problems


@pytest.mark.parametrize(
    "message",
    [
        "connection authorized: user=root database=shop",
        "disconnection: session time: 0:00:00.001",
        "statement: GRANT superuser TO alice",
        "AUDIT: SESSION,1,1,ROLE,GRANT ROLE,,,grant a to b,<none>",
        "execute x: select 1",
    ],
)
def test_what_a_function_writes_into_the_log_is_not_the_servers_word(tmp_path, message):
    context = "PL/pgSQL function inline_code_block line 1 at RAISE"
    result = read_log(tmp_path, login(1), csv_line(message, 2, context=context), complete="yes")
    assert actions(result) == []
    assert result.access_periods == []
    assert short(result.sessions, "ended_at") == [None]
    (problem,) = (p for what, p in result.problems.items() if "RAISE" in what)
    assert problem.examples == (f"alice: {message}",)


# Folders and files


def test_rotated_files_are_read_in_the_order_in_which_they_were_begun(tmp_path):
    logs = tmp_path / "log"
    logs.mkdir()
    (logs / "postgresql-Fri.csv").write_text(end(3, at=minute(5)))
    (logs / "postgresql-Mon.csv.1.gz").write_bytes(gzip.compress(login(1).encode()))
    (logs / "postgresql-Wed.csv-20260701").write_text(statement("select 1", 2, at=minute(1)))
    (logs / "postgresql.log").write_text("LOG:  connection authorized: user=alice\n")
    result = read_as("postgresql-log", logs, tmp_path, resource="pg", complete="yes")
    assert short(result.sessions, "started_at", "ended_at") == [(START, after(5))]
    assert result.report.files == 3
    (problem,) = result.problems.values()
    assert problem.examples == ("postgresql.log",)


def test_a_log_in_both_formats_and_in_copies_counts_once(tmp_path):
    logs = tmp_path / "log"
    logs.mkdir()
    lines = login(1) + statement("select 1", 2, at=minute(1)) + end(3, at=minute(2))
    (logs / "a.csv").write_text(lines)
    (logs / "a.csv.gz").write_bytes(gzip.compress(lines.encode()))
    (logs / "a.json").write_text(
        json_line("connection authorized: user=alice database=shop", 1)
        + json_line("statement: select 1", 2, at=minute(1))
        + json_line("disconnection: session time: 0:00:01.000", 3, at=minute(2))
    )
    result = read_as("postgresql-log", logs, tmp_path, resource="pg")
    assert (len(result.sessions), len(result.usage)) == (1, 2)
    assert result.report.skipped == {"a line that was read before": 6}


def test_lines_out_of_order_make_the_same_session(tmp_path):
    began = "2026-07-01 10:00:00 UTC"
    lines = [
        login(1, began=began),
        statement("select 1", 2, at=minute(1), began=began),
        statement("select 2", 3, at=minute(2), began=began),
        end(4, at=minute(3), began=began),
    ]
    for order in ((3, 2, 1, 0), (1, 0, 3, 2), (0, 3, 1, 2)):
        result = read_log(tmp_path, *(lines[place] for place in order))
        assert short(result.sessions, "account", "started_at", "ended_at") == [("alice", START, after(3))], order
        assert sorted(short(actions(result), "started_at")) == [after(1), after(2)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resource": ""}, "of which resource"),
        ({"resource": "No Name"}, "is not a resource name"),
        ({"timezone": "Nowhere/Else"}, "is not a time zone"),
        ({"timezone": "../../etc/passwd"}, "is not a time zone"),
        ({"complete": "perhaps"}, "option `complete` is `perhaps`"),
        ({"gap": "long"}, "is not a duration"),
        ({"taken_at": "today"}, "is not a time"),
        ({"colour": "red"}, "has no option `colour`"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options, says):
    with pytest.raises(InvalidInput, match=says):
        read_log(tmp_path, login(1), **options)


def test_a_folder_without_logs_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "postgresql.log").write_text("LOG:  x\n")
    with pytest.raises(InvalidInput, match="no file of csvlog"):
        read_as("postgresql-log", tmp_path / "log", tmp_path, resource="pg")


def test_an_empty_log_is_no_use_and_no_coverage(tmp_path):
    result = read_log(tmp_path)
    assert (result.usage, result.coverage, result.report.records) == ([], [], 0)
