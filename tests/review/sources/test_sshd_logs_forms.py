"""The forms in which sshd's lines are kept: the journal, files of several hosts, lines without year and zone."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime

import pytest

from support.read_sources import read_as, short
from support.ssh_log_lines import ACCEPTED, CLOSED, GONE, OPENED, START, after, classic, iso, journal, read_log

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
    result = read_log(tmp_path, journal(ACCEPTED, **fields))
    assert result.usage == []
    (problem,) = result.problems.values()
    assert "written by another program" in problem.what
    assert problem.examples == (f"web-1: {ACCEPTED}"[:200],)


def test_the_journal_has_bytes_and_names_of_newer_versions(tmp_path):
    newer = {"SYSLOG_IDENTIFIER": "sshd-session", "_COMM": "sshd-session", "_EXE": "/usr/lib/openssh/sshd-session"}
    result = read_log(
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
    result = read_log(tmp_path, journal(ACCEPTED), line.rstrip("\n") + "\n", journal(CLOSED, 5), complete="yes")
    assert result.report.rejected == 1
    assert why in result.report.examples[0]
    assert short(result.sessions, "ended_at") == [after(5)]
    assert not all(short(result.coverage, "complete"))


# Times without year and zone


def test_classic_lines_need_their_zone(tmp_path):
    unknown = read_log(tmp_path, classic(ACCEPTED), year="2026")
    assert unknown.usage == []
    assert "option `timezone`" in unknown.report.examples[0]
    result = read_log(tmp_path, classic(ACCEPTED), year="2026", timezone="Europe/Berlin")
    assert short(result.sessions, "started_at") == [datetime(2026, 7, 1, 8, tzinfo=UTC)]


def test_an_hour_that_comes_twice_is_not_guessed(tmp_path):
    result = read_log(tmp_path, classic(ACCEPTED, "Oct 25 02:30:00"), year="2025", timezone="Europe/Berlin")
    assert short(result.sessions, "started_at") == [datetime(2025, 10, 25, 0, 30, tzinfo=UTC)]
    twice = read_log(tmp_path, classic(ACCEPTED, "Oct 26 02:30:00"), year="2025", timezone="Europe/Berlin")
    assert "ambiguous" in twice.report.examples[0]


def test_the_year_is_that_of_the_last_line_and_goes_back_over_new_year(tmp_path):
    lines = [
        classic(ACCEPTED, f"{day} 10:00:00", pid=str(number))
        for number, day in enumerate(["Nov 30", "Dec 31", "Jan  1", "Dec 31", "Jan  2", "Jun 30", "Dec 24", "Jan  5"])
    ]
    result = read_log(tmp_path, *lines, year="2026", timezone="UTC")
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
    result = read_log(tmp_path, *lines, resource="host-{host}")
    assert short(result.sessions, "resource", "ended_at") == [("host-db", after(2)), ("host-web-1", after(3))]
    assert short(result.coverage, "resource", "from_at", "to_at") == [
        ("host-db", after(1), after(2)),
        ("host-web-1", START, after(3)),
    ]


def test_a_line_without_a_host_needs_it_stated(tmp_path):
    line = f"2026-07-01T10:00:00Z sshd[1234]: {ACCEPTED}\n"
    assert "option `host`" in read_log(tmp_path, line).report.examples[0]
    assert short(read_log(tmp_path, line, host="web-1").sessions, "resource") == ["ssh-web-1"]


def test_files_of_sshd_itself_say_too_little(tmp_path):
    result = read_log(tmp_path, ACCEPTED + "\r\n")
    assert "neither when nor who" in result.report.examples[0]
