"""sshd's logs as evidence: who logged in to which host, until when, what was begun there, and how much is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.review.collection.identities import Rules
from lapse.review.model import Coverage
from lapse.review.sources.openssh.events import Event, message_of_sudo
from support.read_sources import people, short
from support.ssh_log_lines import (
    ACCEPTED,
    CA,
    CLOSED,
    GONE,
    KEY,
    LEFT,
    OPENED,
    SESSION,
    START,
    after,
    iso,
    journal,
    read_log,
    rfc5424,
)

# What one login comes to


def test_a_session_is_what_lies_between_the_login_and_its_end(tmp_path):
    shell = "Starting session: shell on pts/0 for alice from 10.0.0.7 port 50182 id 0"
    rules = people(alice="ann")
    result = read_log(
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
    result = read_log(tmp_path, write(ACCEPTED), write(OPENED, 1), write(CLOSED, 5))
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
    result = read_log(tmp_path, iso(ACCEPTED), iso(end, 5, pid="1234" if end == CLOSED else "1240"))
    assert short(result.sessions, "ended_at", "end_reason") == [(after(5), reason)]


def test_a_session_without_a_sign_of_its_end_has_none(tmp_path):
    assert short(read_log(tmp_path, iso(ACCEPTED)).sessions, "ended_at") == [None]
    other = ACCEPTED.replace("50182", "50999")
    result = read_log(tmp_path, iso(ACCEPTED), iso(other, 60), iso(GONE.replace("50182", "50999"), 61))
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
    result = read_log(tmp_path, *lines)
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
    result = read_log(tmp_path, iso(message))
    assert (result.usage, result.sessions) == ([], [])
    assert result.report.skipped == {why: 1}


def test_lines_of_other_programs_are_left_out_and_show_that_the_log_went_on(tmp_path):
    lines = (
        iso("(root) CMD (true)", program="CRON"),
        iso("x", 30, program="kernel", pid=""),
        "2026-07-01T10:40:00Z web-1 words\n",
    )
    result = read_log(tmp_path, *lines)
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
    result = read_log(tmp_path, *lines)
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
    result = read_log(tmp_path, iso(with_certificate(key_id, key=key)))
    assert short(result.sessions, "account", "grant_id", "principal") == [("root", grant, person)]


def test_a_grant_in_a_certificate_of_another_authority_is_not_believed(tmp_path):
    lines = (iso(with_certificate("lapse grant gra_7 of bob")),)
    assert short(read_log(tmp_path, *lines, ca=CA).sessions, "grant_id") == ["gra_7"]
    result = read_log(tmp_path, *lines, ca="SHA256:another")
    assert short(result.sessions, "grant_id", "principal") == [(None, None)]
    assert any("not lapse's: not believed" in what for what in result.problems)


def test_attempts_of_lapse_itself_are_no_use_where_its_authority_is_known(tmp_path):
    line = iso(with_certificate("lapse probe web-1"))
    assert read_log(tmp_path, line, ca=CA).usage == []
    assert len(read_log(tmp_path, line).usage) == 1


def test_a_key_says_who_used_a_shared_account(tmp_path):
    rules = Rules(keys={KEY: frozenset({"ann"})})
    lines = [ACCEPTED.replace("alice", "deploy"), ACCEPTED.replace("alice", "deploy").replace(KEY, "SHA256:other")]
    result = read_log(
        tmp_path, *(iso(line, minute, pid=str(minute + 1)) for minute, line in enumerate(lines)), rules=rules
    )
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
    result = read_log(tmp_path, *map(iso, lines))
    assert (result.usage, result.sessions) == ([], [])
    assert result.report.skipped == {"a login that failed, or was not finished": 4}


# How much is known


def test_coverage_is_complete_where_that_is_stated_and_nothing_was_lost(tmp_path):
    lines = (iso(ACCEPTED), "nonsense\n", iso(GONE, 30), iso("x", 120), iso("x", 130))
    result = read_log(tmp_path, *lines, complete="yes")
    second = timedelta(seconds=1)
    assert short(result.coverage, "from_at", "to_at", "complete", "actions") == [
        (START, after(30), False, False),
        (after(120), after(130), True, False),
    ]
    assert result.manifest.table("coverage").coverage is Coverage.PARTIAL
    assert short(read_log(tmp_path, *lines[::2], complete="yes", gap="PT3H").coverage, "to_at") == [after(130)]
    assert second


def test_a_line_from_the_future_is_told_and_covers_nothing(tmp_path):
    result = read_log(tmp_path, iso(ACCEPTED), iso(GONE, 60 * 24 * 200))
    assert short(result.sessions, "ended_at") == [after(60 * 24 * 200)]
    assert short(result.coverage, "to_at") == [START]
    assert any("a clock is wrong" in what for what in result.problems)


def test_lines_that_come_twice_count_once(tmp_path):
    shell = "Starting session: command for alice from 10.0.0.7 port 50182 id 0"
    sudo = iso("alice : TTY=pts/3 ; PWD=/ ; USER=root ; COMMAND=/bin/true", 2, program="sudo", pid="")
    lines = (iso(ACCEPTED), iso(OPENED), iso(shell, 1), sudo, iso(CLOSED, 5))
    assert len(read_log(tmp_path, *lines, *lines).usage) == len(read_log(tmp_path, *lines).usage) == 3
