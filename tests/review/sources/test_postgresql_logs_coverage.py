"""From when to when a PostgreSQL log says all, in whose time, and what takes that away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lapse.review.model import Coverage
from support.postgres_log_lines import (
    ANOTHER,
    START,
    after,
    csv_line,
    end,
    login,
    minute,
    read_log,
    server,
    statement,
)
from support.read_sources import short

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
    (session,) = read_log(tmp_path, login(1, at=at), timezone=zone).sessions
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
    result = read_log(tmp_path, login(1, at=at), timezone=zone)
    assert result.report.rejected == 1
    assert why in result.report.examples[0]


def test_a_line_from_the_future_is_told_and_kept_and_covers_nothing(tmp_path):
    result = read_log(tmp_path, login(1), end(2, at="2027-01-01 00:00:00.000 UTC"), complete="yes")
    assert short(result.sessions, "ended_at") == [datetime(2027, 1, 1, tzinfo=UTC)]
    assert result.problems["lines that are later than the log was taken: a clock is wrong"].rows == 1
    assert short(result.coverage, "from_at", "to_at") == [(START, START)]


# How much is known


def covered(result):
    return short(result.coverage, "from_at", "to_at", "complete", "actions")


def test_a_window_is_complete_only_if_that_is_stated(tmp_path):
    lines = (login(1), end(2, at=minute(30)))
    assert covered(read_log(tmp_path, *lines)) == [(START, after(30), False, False)]
    assert covered(read_log(tmp_path, *lines, complete="yes")) == [(START, after(30), True, False)]
    assert covered(read_log(tmp_path, *lines, statement("select 1", 3), complete="yes", actions="yes")) == [
        (START, after(30), True, True)
    ]


def test_a_long_silence_makes_two_windows(tmp_path):
    lines = (server("checkpoint complete", 1), server("checkpoint complete", 2, at=minute(90)))
    assert short(read_log(tmp_path, *lines).coverage, "from_at", "to_at") == [(START, START), (after(90), after(90))]
    assert short(read_log(tmp_path, *lines, gap="PT2H").coverage, "from_at", "to_at") == [(START, after(90))]


def test_while_the_server_was_down_it_was_not_used(tmp_path):
    up = "database system was shut down at 2026-07-01 10:10:00 UTC"
    lines = (
        server("received fast shutdown request", 1, at=minute(10)),
        server(up, 1, at=minute(600), backend="startup", session="66827f99.2"),
    )
    assert covered(read_log(tmp_path, *lines, complete="yes")) == [(after(10), after(600), True, False)]
    crashed = server("database system was interrupted; last known up at 2026-07-01 10:10:00 UTC", 1, at=minute(600))
    assert len(read_log(tmp_path, lines[0], crashed, complete="yes").coverage) == 2


def test_where_a_record_was_lost_the_window_is_not_complete(tmp_path):
    result = read_log(
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
    result = read_log(tmp_path, *lines, complete="yes")
    assert covered(result) == [(START, after(9), False, False)]
    assert [p.rows for what, p in result.problems.items() if "without a line of their login" in what] == [1]
    old = csv_line("statement: select 1", 9, at=minute(6), session=ANOTHER, began="2026-06-30 10:05:00 UTC")
    assert covered(read_log(tmp_path, lines[0], old, lines[2], complete="yes")) == [(START, after(9), True, False)]


def test_that_every_action_is_recorded_is_not_believed_where_none_is(tmp_path):
    result = read_log(tmp_path, login(1), end(2), complete="yes", actions="yes")
    assert covered(result) == [(START, START, True, False)]
    assert any("every action is on record" in what for what in result.problems)


def test_logins_in_another_language_are_not_taken_for_no_logins(tmp_path):
    line = csv_line("Verbindung autorisiert: Benutzer=alice Datenbank=shop", 1)
    result = read_log(tmp_path, line, complete="yes")
    assert covered(result) == [(START, START, False, False)]
    assert any("no line says who logged in" in what for what in result.problems)
