"""Damaged and forged logs of PostgreSQL: each record is counted, the others stay, nobody writes another's line."""

from __future__ import annotations

import gzip

import pytest

from lapse.review.model import Coverage
from support.postgres_log_lines import (
    ANOTHER,
    AT,
    actions,
    after,
    end,
    json_line,
    login,
    minute,
    quoted,
    read_log,
    server,
    statement,
)
from support.read_sources import read_as, short


def test_a_record_that_ends_in_the_middle_of_a_text_is_one_rejection(tmp_path):
    whole = statement('select "a\nb"\nfrom t', 2)
    result = read_log(tmp_path, login(1), whole[: whole.index("from")])
    assert result.report.rejected == 1
    assert "cut off" in result.report.examples[0]
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_after_a_record_that_was_cut_off_reading_goes_on(tmp_path):
    cut = statement("select 'a\nb' from t", 2)[:-90].rstrip() + "\n"
    result = read_log(
        tmp_path, login(1), cut, server("checkpoint complete", at=minute(1)), end(3, at=minute(2)), complete="yes"
    )
    assert short(result.sessions, "ended_at") == [after(2)]
    assert result.report.rejected >= 1
    assert not all(short(result.coverage, "complete"))


@pytest.mark.parametrize("column_text", ["select '{}'", "select '{}", "{}", '"{}"'])
def test_no_statement_can_write_a_line_of_the_log(tmp_path, column_text):
    forged = login(1, session=ANOTHER, user="root").rstrip("\n")
    for shape in (f"\n{forged}\n", f"\n{forged}", f'",,\n{forged}\n"', f"\n{AT},", f'\n{AT},"'):
        result = read_log(tmp_path, login(1), statement(column_text.format(shape), 2), end(3))
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
    result = read_log(tmp_path, login(1, session=ANOTHER), damaged, end(2, session=ANOTHER))
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
    result = read_log(tmp_path, good, damaged.rstrip("\n") + "\n", good.replace(": 1,", ": 2,"), name="a.json")
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
    result = read_log(tmp_path, login(1), statement("x" * (17 << 20), 2), end(3, at=minute(1)))
    assert short(result.sessions, "ended_at") == [after(1)]
    assert result.report.rejected >= 1


def test_a_long_statement_is_read(tmp_path):
    long = "select '" + 'a"b,\n' * 100_000 + "'"
    result = read_log(tmp_path, login(1), statement(long, 2), end(3))
    assert short(actions(result), "action") == ["SELECT"]


def test_mixed_encodings_are_told(tmp_path):
    result = read_log(
        tmp_path, login(1).encode(), statement("select 'M\xfcller'", 2).encode("latin-1"), end(3).encode()
    )
    assert len(actions(result)) == 1
    assert result.problems["lines that are not UTF-8 were read as Windows-1252"].rows == 1


@pytest.mark.parametrize("name", ["=cmd()", '"><script>alert(1)</script>', "a\nb", "Zoë 🐘", "'; drop table x; --"])
def test_names_are_kept_as_they_are(tmp_path, name):
    result = read_log(tmp_path, login(1, user=name, application=None), end(2, user=name))
    assert set(short(result.sessions + result.usage, "account")) == {name}


def test_a_thousand_holes_between_lines_do_not_grow_without_bound(tmp_path):
    numbers = [*range(1, 6_001, 2), *range(1, 6_001, 2)]
    result = read_log(tmp_path, *(statement("select 1", n) for n in numbers))
    assert 3_000 <= len(actions(result)) <= 6_000


def test_lines_with_carriage_returns_and_a_mark_of_bytes_are_read(tmp_path):
    result = read_log(tmp_path, "\ufeff" + login(1).replace("\n", "\r\n"), end(2).replace("\n", "\r\n"))
    assert len(result.sessions) == 1
    assert quoted('a"b') == '"a""b"'
