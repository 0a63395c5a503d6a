"""PostgreSQL's logs as evidence: who was connected, what was done, and how much of that is known."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from support.postgres_log_lines import (
    AT,
    SESSION,
    audit,
    csv_line,
    end,
    json_line,
    login,
    minute,
    quoted,
    server,
    statement,
)
from support.read_sources import people, read_as, short

START = datetime(2026, 7, 1, 10, tzinfo=UTC)
ANOTHER = "66827f21.1f5"


def after(minutes):
    return START + timedelta(minutes=minutes)


def read(tmp_path, *lines, rules=None, name="postgresql.csv", **options):
    file = tmp_path / name
    text = "".join(line if isinstance(line, str) else line.decode("latin-1") for line in lines)
    file.write_bytes(text.encode("utf-8") if all(isinstance(line, str) for line in lines) else text.encode("latin-1"))
    return read_as(
        "postgresql-log", file, tmp_path, rules, **{"resource": "pg", "taken_at": "2026-10-01T00:00:00Z", **options}
    )


def actions(result):
    """What was done, without the connections."""
    return [row for row in result.usage if row["action"] != "connect"]


# What one session comes to


def test_a_session_is_what_lies_between_its_login_and_its_end(tmp_path):
    result = read(
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
    result = read(tmp_path, *lines)
    assert len(result.sessions) == 1
    assert short(result.usage, "action") == ["SELECT", "connect"]


def test_jsonlog_says_the_same(tmp_path):
    lines = [
        json_line("connection authorized: user=alice database=shop application_name=psql", 1),
        json_line("statement: select 1", 2, at=minute(1)),
        json_line("disconnection: session time: 0:00:01.000", 3, at=minute(2)),
    ]
    of_json = read(tmp_path, *lines, name="postgresql.json")
    of_csv = read(
        tmp_path, login(1), statement("select 1", at=minute(1)), end(3, at=minute(2)), name="postgresql.json.csv"
    )
    without = [{k: v for k, v in row.items() if k != "source"} for row in of_json.usage + of_json.sessions]
    assert without == [{k: v for k, v in row.items() if k != "source"} for row in of_csv.usage + of_csv.sessions]


def test_a_session_that_goes_on_has_no_end(tmp_path):
    (session,) = read(tmp_path, login(1)).sessions
    assert (session["started_at"], session["ended_at"]) == (START, None)


def test_a_session_whose_login_was_not_logged_began_when_its_process_did(tmp_path):
    began = "2026-07-01 09:30:00 UTC"
    result = read(tmp_path, statement("select 1", 7, began=began), end(8, at=minute(1), began=began))
    assert short(result.sessions, "started_at", "ended_at") == [(after(-30), after(1))]


def test_a_session_that_was_ended_says_why(tmp_path):
    killed = csv_line(
        "terminating connection due to administrator command", 2, at=minute(1), severity="FATAL", state="57P01"
    )
    (session,) = read(tmp_path, login(1), killed, end(3, at=minute(1))).sessions
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
    result = read(tmp_path, line)
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
    result = read(tmp_path, csv_line(message, 2, tag=tag))
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
    result = read(tmp_path, audit(record))
    assert short(actions(result), "action", "object") == [(action, thing)]


@pytest.mark.parametrize(
    "record", ["", "SESSION,1,1,READ", "SESSION,x,1,READ,SELECT,,,a,b", "SESSION,1,1,SPY,SELECT,,,a,b", 'SESSION,1,"']
)
def test_a_record_of_pgaudit_that_is_none_is_rejected(tmp_path, record):
    result = read(tmp_path, login(1), audit(record), end(3))
    assert result.report.rejected == 1
    assert "line 2 of session" in result.report.examples[0]
    assert actions(result) == []


def test_with_every_action_on_record_an_unknown_object_stays_unknown(tmp_path):
    lines = [login(1), statement("select * from orders"), audit("SESSION,1,1,READ,SELECT,TABLE,public.t,x,y", 3)]
    assert short(actions(read(tmp_path, *lines, actions="yes")), "object") == [None, "public.t"]
    assert short(actions(read(tmp_path, *lines)), "object") == ["shop", "public.t"]


# Whose grant it was


def test_a_session_through_the_gateway_names_its_grant(tmp_path):
    name = "lapse:bob:gra_7:psql"
    result = read(
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
    (session,) = read(tmp_path, login(1, application=name)).sessions
    assert session["grant_id"] is None


def test_a_session_that_takes_the_name_of_a_grant_later_is_told_and_not_believed(tmp_path):
    forged = "lapse:bob:gra_7:psql"
    result = read(
        tmp_path, login(1, application=""), statement("select 1", 2, application=forged), end(3, application=forged)
    )
    assert set(short(result.usage + result.sessions, "grant_id")) == {None}
    problem = result.problems["sessions that took the name of a grant later on: not believed"]
    assert problem.rows == 2
    assert problem.examples == (f"alice: {forged}",)


def test_a_grant_named_from_elsewhere_than_a_gateway_is_not_believed(tmp_path):
    name = "lapse:bob:gra_7:psql"
    lines = (login(1, application=name), end(2, application=name))
    assert short(read(tmp_path, *lines, gateways="10.0.0.7").sessions, "grant_id") == ["gra_7"]
    result = read(tmp_path, *lines, gateways="10.9.9.9, 10.9.9.8")
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
    result = read(tmp_path, login(1), csv_line(message, 2, context=context), complete="yes")
    assert actions(result) == []
    assert result.access_periods == []
    assert short(result.sessions, "ended_at") == [None]
    (problem,) = (p for what, p in result.problems.items() if "RAISE" in what)
    assert problem.examples == (f"alice: {message}",)


# Times


@pytest.mark.parametrize(
    ("at", "zone", "instant"),
    [
        ("2026-07-01 10:00:00.000 UTC", "", "2026-07-01T10:00:00Z"),
        ("2026-07-01 10:00:00.000 GMT", "", "2026-07-01T10:00:00Z"),
        ("2026-07-01 10:00:00.000 +03", "", "2026-07-01T07:00:00Z"),
        ("2026-07-01 10:00:00.000 -0330", "", "2026-07-01T13:30:00Z"),
        ("2026-07-01 10:00:00.000 CEST", "Europe/Berlin", "2026-07-01T08:00:00Z"),
        ("2026-01-01 10:00:00.000 CET", "Europe/Berlin", "2026-01-01T09:00:00Z"),
        ("2025-10-26 02:30:00.000 CEST", "Europe/Berlin", "2025-10-26T00:30:00Z"),
        ("2025-10-26 02:30:00.000 CET", "Europe/Berlin", "2025-10-26T01:30:00Z"),
        ("2016-07-01 10:00:00.000 BRT", "America/Sao_Paulo", "2016-07-01T13:00:00Z"),
    ],
)
def test_times_are_read_in_their_zone(tmp_path, at, zone, instant):
    (session,) = read(tmp_path, login(1, at=at), timezone=zone).sessions
    assert session["started_at"] == datetime.fromisoformat(instant)


@pytest.mark.parametrize(
    ("at", "zone", "why"),
    [
        ("2026-07-01 10:00:00.000 CEST", "", "`CEST` is the name of several time zones"),
        ("2026-07-01 10:00:00.000 IST", "Europe/Berlin", "`Europe/Berlin` is not called `IST` then"),
        ("2026-07-01 10:00:00.000 CET", "Europe/Berlin", "`Europe/Berlin` is not called `CET` then"),
        ("2026-07-01 10:00:00.000", "", "its time cannot be read"),
        ("2026-13-01 10:00:00.000 UTC", "", "its time cannot be read"),
        ("2026-07-01T10:00:00.000 UTC", "", "its time cannot be read"),
        ("0001-01-01 00:00:00.000 +14", "", "outside of the calendar"),
    ],
)
def test_a_time_that_could_be_several_is_refused(tmp_path, at, zone, why):
    result = read(tmp_path, login(1, at=at), timezone=zone)
    assert result.report.rejected == 1
    assert why in result.report.examples[0]


def test_a_line_from_the_future_is_told_and_kept_and_covers_nothing(tmp_path):
    result = read(tmp_path, login(1), end(2, at="2027-01-01 00:00:00.000 UTC"), complete="yes")
    assert short(result.sessions, "ended_at") == [datetime(2027, 1, 1, tzinfo=UTC)]
    assert result.problems["lines that are later than the log was taken: a clock is wrong"].rows == 1
    assert short(result.coverage, "from_at", "to_at") == [(START, START)]


# How much is known


def covered(result):
    return short(result.coverage, "from_at", "to_at", "complete", "actions")


def test_a_window_is_complete_only_if_that_is_stated(tmp_path):
    lines = (login(1), end(2, at=minute(30)))
    assert covered(read(tmp_path, *lines)) == [(START, after(30), False, False)]
    assert covered(read(tmp_path, *lines, complete="yes")) == [(START, after(30), True, False)]
    assert covered(read(tmp_path, *lines, statement("select 1", 3), complete="yes", actions="yes")) == [
        (START, after(30), True, True)
    ]


def test_a_long_silence_makes_two_windows(tmp_path):
    lines = (server("checkpoint complete", 1), server("checkpoint complete", 2, at=minute(90)))
    assert short(read(tmp_path, *lines).coverage, "from_at", "to_at") == [(START, START), (after(90), after(90))]
    assert short(read(tmp_path, *lines, gap="PT2H").coverage, "from_at", "to_at") == [(START, after(90))]


def test_while_the_server_was_down_it_was_not_used(tmp_path):
    up = "database system was shut down at 2026-07-01 10:10:00 UTC"
    lines = (
        server("received fast shutdown request", 1, at=minute(10)),
        server(up, 1, at=minute(600), backend="startup", session="66827f99.2"),
    )
    assert covered(read(tmp_path, *lines, complete="yes")) == [(after(10), after(600), True, False)]
    crashed = server("database system was interrupted; last known up at 2026-07-01 10:10:00 UTC", 1, at=minute(600))
    assert len(read(tmp_path, lines[0], crashed, complete="yes").coverage) == 2


def test_where_a_record_was_lost_the_window_is_not_complete(tmp_path):
    result = read(
        tmp_path,
        login(1),
        end(2, at=minute(5)),
        "nonsense\n",
        server("x", at=minute(10)),
        server("y", 2, at=minute(20)),
        complete="yes",
    )
    second = timedelta(seconds=1)
    assert covered(result) == [
        (START, after(5) - second, True, False),
        (after(5) - second, after(10) + second, False, False),
        (after(10) + second, after(20), True, False),
    ]
    assert result.manifest.table("coverage").coverage is Coverage.PARTIAL


def test_what_is_stated_is_not_believed_against_the_log(tmp_path):
    began = "2026-07-01 10:05:00 UTC"
    lines = (
        login(1),
        csv_line("statement: select 1", 1, at=minute(6), session=ANOTHER, began=began),
        end(2, at=minute(9)),
    )
    result = read(tmp_path, *lines, complete="yes")
    assert covered(result) == [(START, after(9), False, False)]
    assert [p.rows for what, p in result.problems.items() if "without a line of their login" in what] == [1]
    old = csv_line("statement: select 1", 9, at=minute(6), session=ANOTHER, began="2026-06-30 10:05:00 UTC")
    assert covered(read(tmp_path, lines[0], old, lines[2], complete="yes")) == [(START, after(9), True, False)]


def test_that_every_action_is_recorded_is_not_believed_where_none_is(tmp_path):
    result = read(tmp_path, login(1), end(2), complete="yes", actions="yes")
    assert covered(result) == [(START, START, True, False)]
    assert any("every action is on record" in what for what in result.problems)


def test_logins_in_another_language_are_not_taken_for_no_logins(tmp_path):
    line = csv_line("Verbindung autorisiert: Benutzer=alice Datenbank=shop", 1)
    result = read(tmp_path, line, complete="yes")
    assert covered(result) == [(START, START, False, False)]
    assert any("no line says who logged in" in what for what in result.problems)


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
        result = read(tmp_path, *(lines[place] for place in order))
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
        read(tmp_path, login(1), **options)


def test_a_folder_without_logs_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "postgresql.log").write_text("LOG:  x\n")
    with pytest.raises(InvalidInput, match="no file of csvlog"):
        read_as("postgresql-log", tmp_path / "log", tmp_path, resource="pg")


def test_an_empty_log_is_no_use_and_no_coverage(tmp_path):
    result = read(tmp_path)
    assert (result.usage, result.coverage, result.report.records) == ([], [], 0)


# Hostile input


def test_a_record_that_ends_in_the_middle_of_a_text_is_one_rejection(tmp_path):
    whole = statement('select "a\nb"\nfrom t', 2)
    result = read(tmp_path, login(1), whole[: whole.index("from")])
    assert result.report.rejected == 1
    assert "cut off" in result.report.examples[0]
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_after_a_record_that_was_cut_off_reading_goes_on(tmp_path):
    cut = statement("select 'a\nb' from t", 2)[:-90].rstrip() + "\n"
    result = read(
        tmp_path, login(1), cut, server("checkpoint complete", at=minute(1)), end(3, at=minute(2)), complete="yes"
    )
    assert short(result.sessions, "ended_at") == [after(2)]
    assert result.report.rejected >= 1
    assert not all(short(result.coverage, "complete"))


@pytest.mark.parametrize("column_text", ["select '{}'", "select '{}", "{}", '"{}"'])
def test_no_statement_can_write_a_line_of_the_log(tmp_path, column_text):
    forged = login(1, session=ANOTHER, user="root").rstrip("\n")
    for shape in (f"\n{forged}\n", f"\n{forged}", f'",,\n{forged}\n"', f"\n{AT},", f'\n{AT},"'):
        result = read(tmp_path, login(1), statement(column_text.format(shape), 2), end(3))
        assert short(result.sessions, "account") == ["alice"]
        assert (result.report.rejected, len(result.usage)) == (0, 2)


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        ("nonsense\n", "it has 1 columns"),
        (login(1).replace("66827f20.1f4", "x"), "it has no session id"),
        (login(1).replace(",1,", ",zero,", 1), "its line number is none"),
        (login(1).replace(",1,", ",-1,", 1), "its line number is none"),
        (login(1).replace(",1,", f",{'9' * 30},", 1), "its line number is none"),
        (login(1).replace(",1,", f",{'9' * 5000},", 1), "Exceeds the limit"),
        (login(1).replace("alice", "al\0ice"), "NUL bytes"),
        (login(1).rstrip("\n") + ",more\n", "it has 27 columns"),
    ],
)
def test_a_damaged_record_is_rejected_and_the_others_stay(tmp_path, damaged, why):
    result = read(tmp_path, login(1, session=ANOTHER), damaged, end(2, session=ANOTHER))
    assert result.report.rejected == 1
    assert why in result.report.examples[0]
    assert len(result.sessions) == 1


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "{}",
        "[]",
        "null",
        '{"timestamp":"2026-07-01 10:00:00.000 UTC"}',
        json_line("x").replace('"line_num": 1', '"line_num": "1"'),
        json_line("x").replace('"line_num": 1', '"line_num": 0'),
        json_line("x").replace('"user": "alice"', '"user": ["alice"]'),
        json_line("x").replace("alice", "\\u0000"),
        json_line("x").replace("alice", "\\ud800"),
        json_line("x").replace('"pid"', '"' + "[" * 5000),
        json_line("x")[:-20],
    ],
)
def test_a_damaged_object_is_rejected_and_the_others_stay(tmp_path, damaged):
    good = json_line("connection authorized: user=alice database=shop", 1, session=ANOTHER)
    result = read(tmp_path, good, damaged.rstrip("\n") + "\n", good.replace(": 1,", ": 2,"), name="a.json")
    assert result.report.rejected == 1
    assert len(result.sessions) == 1


def test_a_truncated_gzip_file_is_told_and_what_it_has_is_kept(tmp_path):
    logs = tmp_path / "log"
    logs.mkdir()
    whole = "".join(statement(f"select {n} -- {n * 7919}", n, at=minute(n // 100)) for n in range(2, 3000))
    (logs / "a.csv.gz").write_bytes(gzip.compress((login(1) + whole).encode())[:-2000])
    (logs / "b.csv").write_text(server("x", at=minute(50)))
    result = read_as("postgresql-log", logs, tmp_path, resource="pg", complete="yes")
    assert len(actions(result)) > 1000
    assert any("cannot be read further" in example for example in result.report.examples)
    assert not all(short(result.coverage, "complete"))


def test_a_huge_line_is_rejected_and_reading_goes_on(tmp_path):
    result = read(tmp_path, login(1), statement("x" * (17 << 20), 2), end(3, at=minute(1)))
    assert short(result.sessions, "ended_at") == [after(1)]
    assert result.report.rejected >= 1


def test_a_long_statement_is_read(tmp_path):
    long = "select '" + 'a"b,\n' * 100_000 + "'"
    result = read(tmp_path, login(1), statement(long, 2), end(3))
    assert short(actions(result), "action") == ["SELECT"]


def test_mixed_encodings_are_told(tmp_path):
    result = read(tmp_path, login(1).encode(), statement("select 'M\xfcller'", 2).encode("latin-1"), end(3).encode())
    assert len(actions(result)) == 1
    assert result.problems["lines that are not UTF-8 were read as Windows-1252"].rows == 1


@pytest.mark.parametrize("name", ["=cmd()", '"><script>alert(1)</script>', "a\nb", "Zoë 🐘", "'; drop table x; --"])
def test_names_are_kept_as_they_are(tmp_path, name):
    result = read(tmp_path, login(1, user=name, application=None), end(2, user=name))
    assert set(short(result.sessions + result.usage, "account")) == {name}


def test_a_thousand_holes_between_lines_do_not_grow_without_bound(tmp_path):
    numbers = [*range(1, 6_001, 2), *range(1, 6_001, 2)]
    result = read(tmp_path, *(statement("select 1", n) for n in numbers))
    assert 3_000 <= len(actions(result)) <= 6_000


def test_lines_with_carriage_returns_and_a_mark_of_bytes_are_read(tmp_path):
    result = read(tmp_path, "\ufeff" + login(1).replace("\n", "\r\n"), end(2).replace("\n", "\r\n"))
    assert len(result.sessions) == 1
    assert quoted('a"b') == '"a""b"'
