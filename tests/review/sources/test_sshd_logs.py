"""sshd's logs as evidence: who logged in to which host, until when, what was begun there, and how much is known."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.identities import Rules
from lapse.review.model import Coverage
from lapse.review.sources.openssh.events import Event, message_of_sshd, message_of_sudo
from support.read_sources import people, read_as, short

START = datetime(2026, 7, 1, 10, tzinfo=UTC)
KEY = "SHA256:02d383+TJXD8o5dlzP3byFBsYUiUTsYGbP2T0VZZkPk"
CA = "SHA256:LuOvIM0j/QMM9QyU44n7hI1nb3mRdoKvA+czMARZR8E"
ACCEPTED = f"Accepted publickey for alice from 10.0.0.7 port 50182 ssh2: ED25519 {KEY}"
OPENED = "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)"
CLOSED = "pam_unix(sshd:session): session closed for user alice"
LEFT = "Received disconnect from 10.0.0.7 port 50182:11: disconnected by user"
GONE = "Disconnected from user alice 10.0.0.7 port 50182"
SESSION = "web-1/1234/2026-07-01T10:00:00.000000Z"
_numbers = itertools.count(1)


def after(minutes):
    return START + timedelta(minutes=minutes)


def iso(message, minute=0, *, host="web-1", program="sshd", pid="1234"):
    """A line with its year and zone, as today's rsyslog writes it."""
    return f"{after(minute):%Y-%m-%dT%H:%M:%S.%f}+00:00 {host} {program}{f'[{pid}]' if pid else ''}: {message}\n"


def classic(message, at="Jul  1 10:00:00", *, host="web-1", program="sshd", pid="1234"):
    return f"{at} {host} {program}{f'[{pid}]' if pid else ''}: {message}\n"


def rfc5424(message, minute=0, data="-"):
    return f"<38>1 {after(minute):%Y-%m-%dT%H:%M:%S.%f}Z web-1 sshd 1234 - {data} {message}\n"


def journal(message, minute=0, **fields):
    """A line of `journalctl -o json`."""
    entry = {
        "__REALTIME_TIMESTAMP": str(int(after(minute).timestamp() * 1_000_000)),
        "_HOSTNAME": "web-1",
        "SYSLOG_IDENTIFIER": "sshd",
        "_COMM": "sshd",
        "_EXE": "/usr/sbin/sshd",
        "_PID": "1234",
        "_UID": "0",
        "MESSAGE": message,
    } | fields
    return json.dumps({k: v for k, v in entry.items() if v is not ...}) + "\n"


def read(tmp_path, *lines, rules=None, name="auth.log", **options):
    file = tmp_path / f"{next(_numbers)}-{name}"
    file.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return read_as("sshd-log", file, tmp_path, rules, **{"taken_at": "2026-10-01T00:00:00Z", **options})


# What one login comes to


def test_a_session_is_what_lies_between_the_login_and_its_end(tmp_path):
    shell = "Starting session: shell on pts/0 for alice from 10.0.0.7 port 50182 id 0"
    rules = people(alice="ann")
    result = read(
        tmp_path, iso(ACCEPTED), iso(OPENED), iso(shell, 1), iso(LEFT, 5), iso(GONE, 5), iso(CLOSED, 5), rules=rules
    )
    common = {
        "resource": "ssh-web-1",
        "account": "alice",
        "principal": "ann",
        "address": "10.0.0.7",
        "device": None,
        "session_id": SESSION,
        "source": result.sessions[0]["source"],
        "grant_id": None,
    }
    assert result.sessions == [
        common
        | {
            "started_at": START,
            "ended_at": after(5),
            "protocol": "ssh",
            "end_reason": "disconnected by user",
            "recorded": None,
        }
    ]
    assert result.usage == [
        common | {"started_at": after(1), "ended_at": None, "action": "shell", "object": None, "role": None},
        common | {"started_at": START, "ended_at": after(5), "action": "login", "object": None, "role": None},
    ]
    assert (result.report.used, result.report.skipped) == (5, {"one more sign of an end that was seen": 1})
    assert result.problems == {}


@pytest.mark.parametrize("write", [iso, rfc5424, journal, lambda m, minute=0: "<38>" + iso(m, minute)])
def test_every_form_says_the_same(tmp_path, write):
    result = read(tmp_path, write(ACCEPTED), write(OPENED, 1), write(CLOSED, 5))
    assert short(result.sessions, "session_id", "resource", "started_at", "ended_at") == [
        (SESSION, "ssh-web-1", START, after(5))
    ]
    assert result.report.rejected == 0


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (LEFT, "disconnected by user"),
        (GONE, "disconnected"),
        ("Disconnected from 10.0.0.7 port 50182", "disconnected"),
        ("Connection closed by 10.0.0.7 port 50182", "connection closed"),
        ("Connection closed by user alice 10.0.0.7 port 50182", "connection closed"),
        ("Connection reset by 10.0.0.7 port 50182", "connection reset"),
        ("Timeout, client not responding from user alice 10.0.0.7 port 50182", "client did not respond"),
        (
            "fatal: Read error from remote host 10.0.0.7 port 50182: Connection timed out",
            "read error: Connection timed out",
        ),
        (CLOSED, None),
    ],
)
def test_every_sign_of_an_end_ends_it(tmp_path, end, reason):
    # The connection's end is told by another process than the login.
    result = read(tmp_path, iso(ACCEPTED), iso(end, 5, pid="1234" if end == CLOSED else "1240"))
    assert short(result.sessions, "ended_at", "end_reason") == [(after(5), reason)]


def test_a_session_without_a_sign_of_its_end_has_none(tmp_path):
    assert short(read(tmp_path, iso(ACCEPTED)).sessions, "ended_at") == [None]
    other = ACCEPTED.replace("50182", "50999")
    result = read(tmp_path, iso(ACCEPTED), iso(other, 60), iso(GONE.replace("50182", "50999"), 61))
    assert short(result.sessions, "started_at", "ended_at") == [(START, None), (after(60), after(61))]


def test_the_process_that_goes_on_for_the_user_belongs_to_the_login(tmp_path):
    lines = (
        iso(ACCEPTED),
        iso("User child is on pid 1240"),
        iso("Starting session: subsystem 'sftp' for alice from 10.0.0.7 port 50182 id 0", 1, pid="1240"),
        iso(
            "Starting session: forced-command (key-option) 'rsync --server' for alice from 10.0.0.7 port 1 id 0",
            2,
            pid="1240",
        ),
        iso(GONE, 3, pid="1240"),
    )
    result = read(tmp_path, *lines)
    assert short(result.usage, "action", "object", "session_id") == [
        ("subsystem", "sftp", SESSION),
        ("forced-command", "rsync --server", SESSION),
        ("login", None, SESSION),
    ]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("Failed password for alice from 10.0.0.7 port 5 ssh2", "a login that failed, or was not finished"),
        ("Invalid user bob from 10.0.0.7 port 5", "a login that failed, or was not finished"),
        (
            "Connection closed by authenticating user alice 10.0.0.7 port 5 [preauth]",
            "a login that failed, or was not finished",
        ),
        (
            "Received disconnect from 10.0.0.7 port 50182:11: Bye Bye [preauth]",
            "a login that failed, or was not finished",
        ),
        (
            f"Postponed publickey for alice from 10.0.0.7 port 5 ssh2: ED25519 {KEY}",
            "a login that failed, or was not finished",
        ),
        ("Server listening on 0.0.0.0 port 22.", "a step of a login or of a session, not the thing itself"),
        (
            "Connection from 10.0.0.7 port 5 on 10.0.0.1 port 22",
            "a step of a login or of a session, not the thing itself",
        ),
        (f"Accepted key ED25519 {KEY} found at /x:1", "a step of a login or of a session, not the thing itself"),
        ("Received signal 15; terminating.", "a message that says nothing of use"),
        (GONE, "an end whose login is not in the log"),
        (CLOSED, "an end whose login is not in the log"),
        (OPENED, "a session whose login is not in the log"),
    ],
)
def test_what_is_no_use_is_left_out_with_the_reason(tmp_path, message, why):
    result = read(tmp_path, iso(message))
    assert (result.usage, result.sessions) == ([], [])
    assert result.report.skipped == {why: 1}


def test_lines_of_other_programs_are_left_out_and_show_that_the_log_went_on(tmp_path):
    lines = (
        iso("(root) CMD (true)", program="CRON"),
        iso("x", 30, program="kernel", pid=""),
        "2026-07-01T10:40:00Z web-1 words\n",
    )
    result = read(tmp_path, *lines)
    assert result.report.skipped == {"a line of another program": 3}
    assert short(result.coverage, "from_at", "to_at") == [(START, after(40))]


# sudo


@pytest.mark.parametrize(
    ("message", "target", "what"),
    [
        ("   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -u", "root", "/usr/bin/id -u"),
        ("alice : PWD=/ ; USER=postgres ; GROUP=x ; ENV=A=b ; COMMAND=/bin/sh", "postgres", "/bin/sh"),
        ("alice : TTY=pts/0 ; PWD=/a ; USER=bob ; USER=root ; COMMAND=/bin/sh", "", "/bin/sh"),
        ("alice : TTY=x ; PWD=/a ; USER=bob ; COMMAND=x ; USER=root ; COMMAND=y", "", "x ; USER=root ; COMMAND=y"),
    ],
)
def test_what_was_run_as_whom(message, target, what):
    found = message_of_sudo(message)
    assert (found.event, found.account, found.target, found.what) == (Event.SUDO, "alice", target, what)


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ("alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", Event.SUDO_REFUSED),
        ("alice : 3 incorrect password attempts ; PWD=/ ; USER=root ; COMMAND=/bin/sh", Event.SUDO_REFUSED),
        ("alice : command not allowed ; PWD=/ ; USER=root ; COMMAND=/bin/sh", Event.SUDO_REFUSED),
        ("pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)", Event.OTHER),
        ("alice : a password is required", Event.OTHER),
    ],
)
def test_what_sudo_refused_is_no_use(message, event):
    assert message_of_sudo(message).event is event


def test_a_command_as_root_is_use_of_roots_role_in_the_session(tmp_path):
    lines = (
        iso(ACCEPTED),
        iso("Starting session: shell on pts/3 for alice from 10.0.0.7 port 50182 id 0"),
        iso("alice : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/shadow", 1, program="sudo", pid=""),
        iso("bob : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/bin/true", 2, program="sudo", pid=""),
    )
    result = read(tmp_path, *lines)
    assert [
        row for row in short(result.usage, "account", "action", "role", "object", "session_id") if row[1] == "sudo"
    ] == [
        ("alice", "sudo", "root", "/bin/cat /etc/shadow", SESSION),
        ("bob", "sudo", "root", "/bin/true", None),
    ]


# Whose login it was


def with_certificate(key_id, ca=CA, key=f" {KEY}"):
    login = "Accepted publickey for root from 10.0.0.7 port 50182 ssh2"
    return f"{login}: ED25519-CERT{key} ID {key_id} (serial 12) CA ED25519 {ca}"


@pytest.mark.parametrize("key", [f" {KEY}", ""])
@pytest.mark.parametrize(
    ("key_id", "grant", "person"),
    [
        ("lapse grant gra_7 of bob", "gra_7", "bob"),
        ("lapse grant gra_7 by gateway", "gra_7", None),
        ("lapse grant gra_7", None, None),
        ("not lapse grant gra_7 of bob", None, None),
        ("lapse grant gra_7 of bob (serial 1) CA ED25519 SHA256:x", None, None),
        ("=cmd()", None, None),
    ],
)
def test_a_certificate_of_lapse_names_its_grant(tmp_path, key_id, grant, person, key):
    result = read(tmp_path, iso(with_certificate(key_id, key=key)))
    assert short(result.sessions, "account", "grant_id", "principal") == [("root", grant, person)]


def test_a_grant_in_a_certificate_of_another_authority_is_not_believed(tmp_path):
    lines = (iso(with_certificate("lapse grant gra_7 of bob")),)
    assert short(read(tmp_path, *lines, ca=CA).sessions, "grant_id") == ["gra_7"]
    result = read(tmp_path, *lines, ca="SHA256:another")
    assert short(result.sessions, "grant_id", "principal") == [(None, None)]
    assert any("not lapse's: not believed" in what for what in result.problems)


def test_attempts_of_lapse_itself_are_no_use_where_its_authority_is_known(tmp_path):
    line = iso(with_certificate("lapse probe web-1"))
    assert read(tmp_path, line, ca=CA).usage == []
    assert len(read(tmp_path, line).usage) == 1


def test_a_key_says_who_used_a_shared_account(tmp_path):
    rules = Rules(keys={KEY: frozenset({"ann"})})
    lines = [ACCEPTED.replace("alice", "deploy"), ACCEPTED.replace("alice", "deploy").replace(KEY, "SHA256:other")]
    result = read(tmp_path, *(iso(line, minute, pid=str(minute + 1)) for minute, line in enumerate(lines)), rules=rules)
    assert short(result.sessions, "account", "principal") == [("deploy", "ann"), ("deploy", None)]


@pytest.mark.parametrize(
    "name",
    ["Accepted publickey for root from 1.1.1.1 port 1 ssh2", "x from 1.1.1.1 port 1 ssh2", "root from 6.6.6.6 port 22"],
)
def test_no_name_of_a_failed_login_passes_for_one_that_succeeded(tmp_path, name):
    lines = (
        f"Failed password for invalid user {name} from 10.0.0.7 port 5 ssh2",
        f"Invalid user {name} from 10.0.0.7 port 5",
        f"Connection closed by invalid user {name} 10.0.0.7 port 5 [preauth]",
        f"Disconnected from invalid user {name} 10.0.0.7 port 5 [preauth]",
    )
    result = read(tmp_path, *map(iso, lines))
    assert (result.usage, result.sessions) == ([], [])
    assert result.report.skipped == {"a login that failed, or was not finished": 4}


# The journal


@pytest.mark.parametrize(
    "fields",
    [
        {"_COMM": "logger", "_EXE": "/usr/bin/logger", "_UID": "1000"},
        {"_COMM": "sshd", "_EXE": "/home/eve/sshd"},
        {"_COMM": "python3", "_EXE": ...},
        {"_UID": "1000"},
    ],
)
def test_what_another_program_writes_as_sshd_is_told_and_not_believed(tmp_path, fields):
    result = read(tmp_path, journal(ACCEPTED, **fields))
    assert result.usage == []
    (problem,) = result.problems.values()
    assert "written by another program" in problem.what
    assert problem.examples == (f"web-1: {ACCEPTED}"[:200],)


def test_the_journal_has_bytes_and_names_of_newer_versions(tmp_path):
    newer = {"SYSLOG_IDENTIFIER": "sshd-session", "_COMM": "sshd-session", "_EXE": "/usr/lib/openssh/sshd-session"}
    result = read(
        tmp_path, journal(list(ACCEPTED.encode()), **newer), "-- Boot 5f --\n", journal(GONE, 5, **newer, _UID="1000")
    )
    assert short(result.sessions, "ended_at") == [after(5)]
    assert result.report.skipped == {"a mark of journalctl": 1}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not an object of the journal"),
        ("{}\n", "its time cannot be read"),
        (journal(ACCEPTED, __REALTIME_TIMESTAMP="soon"), "its time cannot be read"),
        (journal(ACCEPTED, __REALTIME_TIMESTAMP="9" * 30), "outside of the calendar"),
        (journal(ACCEPTED, __REALTIME_TIMESTAMP="9" * 5000), "outside of the calendar"),
        (journal(None), "its message is left out"),
        (journal([1, 999]), "its message is left out"),
        (journal(ACCEPTED, _PID=["1", "2"]), "its field `_PID` is no text"),
        (journal(ACCEPTED, _HOSTNAME=...), "of which host"),
        (journal("a\0b"), "NUL"),
    ],
)
def test_a_damaged_object_is_rejected_and_the_others_stay(tmp_path, line, why):
    result = read(tmp_path, journal(ACCEPTED), line.rstrip("\n") + "\n", journal(CLOSED, 5), complete="yes")
    assert result.report.rejected == 1
    assert why in result.report.examples[0]
    assert short(result.sessions, "ended_at") == [after(5)]
    assert not all(short(result.coverage, "complete"))


# Times without year and zone


def test_classic_lines_need_their_zone(tmp_path):
    unknown = read(tmp_path, classic(ACCEPTED), year="2026")
    assert unknown.usage == []
    assert "option `timezone`" in unknown.report.examples[0]
    result = read(tmp_path, classic(ACCEPTED), year="2026", timezone="Europe/Berlin")
    assert short(result.sessions, "started_at") == [datetime(2026, 7, 1, 8, tzinfo=UTC)]


def test_an_hour_that_comes_twice_is_not_guessed(tmp_path):
    result = read(tmp_path, classic(ACCEPTED, "Oct 25 02:30:00"), year="2025", timezone="Europe/Berlin")
    assert short(result.sessions, "started_at") == [datetime(2025, 10, 25, 0, 30, tzinfo=UTC)]
    twice = read(tmp_path, classic(ACCEPTED, "Oct 26 02:30:00"), year="2025", timezone="Europe/Berlin")
    assert "ambiguous" in twice.report.examples[0]


def test_the_year_is_that_of_the_last_line_and_goes_back_over_new_year(tmp_path):
    lines = [
        classic(ACCEPTED, f"{day} 10:00:00", pid=str(number))
        for number, day in enumerate(["Nov 30", "Dec 31", "Jan  1", "Dec 31", "Jan  2", "Jun 30", "Dec 24", "Jan  5"])
    ]
    result = read(tmp_path, *lines, year="2026", timezone="UTC")
    years = [
        row["started_at"].year for row in sorted(result.sessions, key=lambda row: int(row["session_id"].split("/")[1]))
    ]
    assert years == [2024, 2024, 2025, 2024, 2025, 2025, 2025, 2026]
    assert result.problems == {}


@pytest.mark.parametrize(
    ("last", "year"), [("Jul  1 10:00:00", 2026), ("Dec 30 10:00:00", 2025), ("Jul  2 09:00:00", 2026)]
)
def test_without_an_option_the_year_is_that_of_the_files_change_and_that_is_said(tmp_path, last, year):
    file = tmp_path / "auth.log"
    file.write_text(classic(ACCEPTED, last))
    os.utime(file, (START.timestamp(), START.timestamp()))
    result = read_as("sshd-log", file, tmp_path, timezone="UTC")
    assert short(result.sessions, "started_at")[0].year == year
    (problem,) = (p for what, p in result.problems.items() if "without a year" in what)
    assert problem.examples == (f"auth.log: from {year}",)


def test_rotated_files_are_read_in_the_order_in_which_they_were_begun(tmp_path):
    logs = tmp_path / "log"
    logs.mkdir()
    (logs / "auth.log").write_text(iso(CLOSED, 9))
    (logs / "auth.log.1").write_text(iso(OPENED, 1))
    (logs / "auth.log.2.gz").write_bytes(gzip.compress(iso(ACCEPTED).encode()))
    result = read_as("sshd-log", logs, tmp_path, complete="yes")
    assert short(result.sessions, "ended_at") == [after(9)]
    assert short(result.coverage, "from_at", "to_at", "complete") == [(START, after(9), True)]


def test_the_hosts_of_one_log_are_resources_of_their_own(tmp_path):
    lines = (iso(ACCEPTED), iso(ACCEPTED, 1, host="DB"), iso(GONE, 2, host="DB"), iso(GONE, 3))
    result = read(tmp_path, *lines, resource="host-{host}")
    assert short(result.sessions, "resource", "ended_at") == [("host-db", after(2)), ("host-web-1", after(3))]
    assert short(result.coverage, "resource", "from_at", "to_at") == [
        ("host-db", after(1), after(2)),
        ("host-web-1", START, after(3)),
    ]


def test_a_line_without_a_host_needs_it_stated(tmp_path):
    line = f"2026-07-01T10:00:00Z sshd[1234]: {ACCEPTED}\n"
    assert "option `host`" in read(tmp_path, line).report.examples[0]
    assert short(read(tmp_path, line, host="web-1").sessions, "resource") == ["ssh-web-1"]


def test_files_of_sshd_itself_say_too_little(tmp_path):
    result = read(tmp_path, ACCEPTED + "\r\n")
    assert "neither when nor who" in result.report.examples[0]


# How much is known


def test_coverage_is_complete_where_that_is_stated_and_nothing_was_lost(tmp_path):
    lines = (iso(ACCEPTED), "nonsense\n", iso(GONE, 30), iso("x", 120), iso("x", 130))
    result = read(tmp_path, *lines, complete="yes")
    second = timedelta(seconds=1)
    assert short(result.coverage, "from_at", "to_at", "complete", "actions") == [
        (START, after(30), False, False),
        (after(120), after(130), True, False),
    ]
    assert result.manifest.table("coverage").coverage is Coverage.PARTIAL
    assert short(read(tmp_path, *lines[::2], complete="yes", gap="PT3H").coverage, "to_at") == [after(130)]
    assert second


def test_a_line_from_the_future_is_told_and_covers_nothing(tmp_path):
    result = read(tmp_path, iso(ACCEPTED), iso(GONE, 60 * 24 * 200))
    assert short(result.sessions, "ended_at") == [after(60 * 24 * 200)]
    assert short(result.coverage, "to_at") == [START]
    assert any("a clock is wrong" in what for what in result.problems)


def test_lines_that_come_twice_count_once(tmp_path):
    shell = "Starting session: command for alice from 10.0.0.7 port 50182 id 0"
    sudo = iso("alice : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/bin/true", 2, program="sudo", pid="")
    lines = (iso(ACCEPTED), iso(OPENED), iso(shell, 1), sudo, iso(CLOSED, 5))
    assert len(read(tmp_path, *lines, *lines).usage) == len(read(tmp_path, *lines).usage) == 3


# Hostile input


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense\n", "does not begin with a time"),
        (f"2026-13-01T10:00:00Z web-1 sshd[1]: {ACCEPTED}\n", "month must be in 1..12"),
        (f"0001-01-01T00:00:00+14:00 web-1 sshd[1]: {ACCEPTED}\n", "outside of the calendar"),
        (f"2026-07-01T10:00:00 web-1 sshd[1]: {ACCEPTED}\n", "option `timezone`"),
        (iso("a\0b"), "NUL"),
        (iso(ACCEPTED, host="=cmd()"), "is not a name of a host"),
        (classic(ACCEPTED), "option `timezone`"),
    ],
)
def test_a_damaged_line_is_rejected_and_the_others_stay(tmp_path, line, why):
    result = read(tmp_path, iso(ACCEPTED), line, iso(GONE, 5))
    assert result.report.rejected == 1
    assert why in result.report.examples[0]
    assert short(result.sessions, "ended_at") == [after(5)]


def test_there_is_no_29th_of_february_in_every_year(tmp_path):
    result = read(tmp_path, classic(ACCEPTED, "Feb 29 10:00:00"), year="2026", timezone="UTC")
    assert "no such time in 2026" in result.report.examples[0]
    assert len(read(tmp_path, classic(ACCEPTED, "Feb 29 10:00:00"), year="2024", timezone="UTC").sessions) == 1


def test_odd_bytes_huge_lines_and_cut_files_are_told(tmp_path):
    odd = iso(ACCEPTED.replace("alice", "M\xfcller")).encode("latin-1")
    huge = b"x" * (17 << 20) + b"\n"
    result = read(tmp_path, odd, huge, iso(GONE.replace("alice", "M\xfcller"), 5))
    assert short(result.sessions, "account", "ended_at") == [("Müller", after(5))]
    assert result.report.rejected == 1
    cut = gzip.compress("".join(iso(ACCEPTED, n, pid=str(n)) for n in range(2_000)).encode())[:-500]
    packed = read(tmp_path, cut, name="auth.log.gz", complete="yes")
    assert len(packed.sessions) > 500
    assert any("cannot be read further" in example for example in packed.report.examples)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"year": "soon"}, "is not a year"),
        ({"year": "99999"}, "is not a year"),
        ({"resource": "Not A Name"}, "is not a resource name"),
        ({"timezone": "Mars"}, "is not a time zone"),
        ({"complete": "1"}, "option `complete`"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options, says):
    with pytest.raises(InvalidInput, match=says):
        read(tmp_path, iso(ACCEPTED), **options)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(InvalidInput, match="has no file"):
        read_as("sshd-log", tmp_path / "log", tmp_path)


# Whatever a log says

texts = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=60)
@given(data=st.binary(max_size=400), good=st.booleans(), form=st.sampled_from([iso, classic, journal]))
def test_any_bytes_are_counted(tmp_path_factory, data, good, form):
    head = form(ACCEPTED) if good else ""
    result = read(tmp_path_factory.getbasetemp(), head, data, timezone="UTC", year="2026", complete="yes")
    assert len(result.sessions) >= good


@given(text=texts)
def test_any_message_means_something_or_nothing(text):
    assert message_of_sshd(text).event in Event
    assert message_of_sudo(text).event in Event
    assert message_of_sshd(f"Failed none for invalid user {text} from 1.1.1.1 port 5 ssh2").event is Event.REFUSED
    assert message_of_sshd(f"Invalid user {text} from 1.1.1.1 port 5").event is Event.REFUSED


@given(key_id=texts, account=st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True))
def test_any_key_id_is_found_whole(key_id, account):
    detail = f"ED25519-CERT {KEY} ID {key_id} (serial 7) CA ED25519 {CA}"
    found = message_of_sshd(f"Accepted publickey for {account} from 10.0.0.7 port 5 ssh2: {detail}")
    assert (found.event, found.account, found.key_id, found.key, found.authority) == (
        Event.LOGIN,
        account,
        key_id,
        KEY,
        CA,
    )


@settings(max_examples=60)
@given(cut=st.integers(min_value=0, max_value=420), form=st.sampled_from([iso, rfc5424, journal]))
def test_a_log_that_was_cut_anywhere_has_what_comes_before(tmp_path_factory, cut, form):
    whole = form(ACCEPTED) + form(LEFT, 5)
    result = read(tmp_path_factory.getbasetemp(), whole[:cut])
    assert (cut >= len(form(ACCEPTED)) - 1) <= len(result.sessions) <= 1
