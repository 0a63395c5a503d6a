"""An export of pg_stat_statements as evidence: that a role did something, never that it did not."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.kinds.pg_stat_statements import EXPORT
from lapse.review.sources.postgresql.actions import Action, actions_of
from support.read_sources import people, read_as, short

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
EXPORTED = datetime(2026, 7, 1, 10, tzinfo=UTC)
COLUMNS = ("rolname", "datname", "exported_at", "stats_reset", "userid", "dbid", "query", "calls")
_numbers = itertools.count(1)


def statement(query, /, role="alice", **cells):
    known = {
        "rolname": role,
        "datname": "shop",
        "exported_at": "2026-07-01 10:00:00+00",
        "stats_reset": "2026-06-01 00:00:00+00",
        "userid": "10",
        "dbid": "5",
        "query": query,
        "calls": "3",
    }
    return known | cells


def export(*rows, columns=COLUMNS):
    """As `\\copy … csv header` writes it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(tmp_path, content, rules=None, name="export.csv", **options):
    file = tmp_path / f"{next(_numbers)}-{name}"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_as(
        "pg-stat-statements", file, tmp_path, rules, **{"resource": "pg", "taken_at": "2026-10-01T00:00:00Z", **options}
    )


def test_a_statement_was_used_at_some_time_between_the_reset_and_the_export(tmp_path):
    result = read(tmp_path, export(statement("select * from app.orders where id = $1")), people(alice="ann"))
    (row,) = result.usage
    assert row == {
        "resource": "pg",
        "account": "alice",
        "started_at": SINCE,
        "ended_at": EXPORTED,
        "grant_id": None,
        "role": None,
        "action": "SELECT",
        "object": "app.orders",
        "source": row["source"],
        "principal": "ann",
        "address": None,
        "device": None,
        "session_id": None,
    }
    assert short(result.coverage, "from_at", "to_at", "complete", "actions") == [(SINCE, EXPORTED, False, False)]
    assert result.problems == {}


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("select $1", [("SELECT", "")]),
        (
            "select * from a join s.b using (x) where exists (select from c)",
            [("SELECT", "a"), ("SELECT", "c"), ("SELECT", "s.b")],
        ),
        ("insert into a select * from b", [("INSERT", "a"), ("SELECT", "b")]),
        ("update a set x = (select max(y) from b)", [("SELECT", "b"), ("UPDATE", "a")]),
        ("delete from a using b", [("DELETE", "a"), ("SELECT", "b")]),
        ("merge into a using b on a.x = b.x when matched then do nothing", [("MERGE", "a"), ("SELECT", "b")]),
        ("with x as (delete from a returning *) select * from x, s.x", [("DELETE", "a"), ("SELECT", "s.x")]),
        ("truncate a, b", [("TRUNCATE", "a"), ("TRUNCATE", "b")]),
        ("create table a as select * from b", [("CREATE TABLE", "a"), ("SELECT", "b")]),
        ("copy a from stdin", [("COPY", "a")]),
        ("grant reader to bob", [("GRANT", "")]),
        ("begin", [("BEGIN", "")]),
    ],
)
def test_the_objects_are_those_that_the_statement_names(query, actions):
    assert actions_of(query) == ([Action(*action) for action in actions], True)


def test_where_no_table_is_named_the_database_is(tmp_path):
    assert short(read(tmp_path, export(statement("select $1"))).usage, "object") == ["shop"]


def test_what_cannot_be_parsed_is_use_all_the_same_and_told(tmp_path):
    result = read(tmp_path, export(statement("select from where ..."), statement("", calls="1")))
    assert short(result.usage, "action", "object") == [("SELECT", "shop"), (None, "shop")]
    assert any("could not be parsed" in what for what in result.problems)


def test_hidden_statements_are_use_of_nobody_knows_what(tmp_path):
    result = read(tmp_path, export(statement("<insufficient privilege>")))
    assert short(result.usage, "account", "action") == [("alice", None)]
    assert any("hidden" in what for what in result.problems)


def test_since_when_each_statement_counts_goes_before_the_reset(tmp_path):
    columns = (*COLUMNS, "stats_since")
    rows = [statement("select 1", stats_since="2026-06-20 12:00:00.123+02"), statement("select 2", stats_since="")]
    assert short(read(tmp_path, export(*rows, columns=columns)).usage, "started_at") == [
        datetime(2026, 6, 20, 10, 0, 0, 123_000, tzinfo=UTC),
        SINCE,
    ]


def test_without_times_in_the_export_they_are_stated_or_those_of_the_file(tmp_path):
    content = export(statement("select 1"), columns=("rolname", "query", "calls"))
    file = tmp_path / "old.csv"
    file.write_text(content)
    os.utime(file, (EXPORTED.timestamp(), EXPORTED.timestamp()))
    result = read_as("pg-stat-statements", file, tmp_path, resource="pg", since="2026-06-01T00:00:00Z")
    assert short(result.usage, "started_at", "ended_at", "object") == [(SINCE, EXPORTED, None)]
    unknown = read(tmp_path, content)
    assert unknown.usage == []
    assert "give the option `since`" in unknown.report.examples[0]


def test_statements_that_were_only_planned_are_left_out(tmp_path):
    result = read(tmp_path, export(statement("select 1", calls="0")))
    assert result.usage == []
    assert result.report.skipped == {"a statement that was planned, and never run": 1}


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"calls": "many"}, "its number of calls is none"),
        ({"calls": "-1"}, "its number of calls is none"),
        ({"rolname": ""}, "its role or"),
        ({"exported_at": "yesterday"}, "is not a time"),
        ({"exported_at": "2026-07-01 10:00:00"}, "has no time zone"),
        ({"exported_at": "2026-05-01 10:00:00+00"}, "after the export"),
        ({"query": "a\0b"}, "NUL"),
    ],
)
def test_a_damaged_row_is_rejected_and_the_others_stay(tmp_path, cells, why):
    result = read(tmp_path, export(statement("select 1"), statement("select 2", **cells), statement("select 3")))
    assert (result.report.used, result.report.rejected) == (2, 1)
    assert why in result.report.examples[0]
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_the_export_that_is_documented_is_the_one_that_is_tested():
    page = (Path(__file__).parents[3] / "docs" / "sources-postgresql.md").read_text()
    assert re.sub(r"\s*([()])\s*", r" \1 ", " ".join(EXPORT.split())) in re.sub(r"\s*([()])\s*", r" \1 ", page)


@pytest.mark.parametrize("column", ["rolname", "query", "calls"])
def test_an_export_without_a_needed_column_is_rejected(tmp_path, column):
    result = read(tmp_path, export(statement("select 1"), columns=[c for c in COLUMNS if c != column]))
    assert result.usage == []
    assert f"no column `{column}`" in result.report.examples[0]


def test_an_export_that_ends_in_the_middle_is_told(tmp_path):
    whole = export(statement("select 1"), statement('select "a\nb", $1'))
    result = read(tmp_path, whole[: whole.rindex("b")])
    assert (result.report.used, result.report.rejected) == (1, 1)
    packed = read(
        tmp_path, gzip.compress(export(*[statement(f"select {n}") for n in range(500)]).encode())[:-9], name="x.csv.gz"
    )
    assert packed.report.rejected >= 1


def test_an_export_from_the_future_is_told(tmp_path):
    result = read(tmp_path, export(statement("select 1")), taken_at="2026-06-15T00:00:00Z")
    assert len(result.usage) == 1
    assert any("a clock is wrong" in what for what in result.problems)


def test_a_folder_of_exports_is_read_and_the_rest_named(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "a.csv").write_text(export(statement("select 1")))
    (folder / "b.csv.gz").write_bytes(gzip.compress(export(statement("select 2", role="=cmd()")).encode()))
    (folder / "notes.txt").write_text("x")
    result = read_as("pg-stat-statements", folder, tmp_path, resource="pg")
    assert short(result.usage, "account") == ["alice", "=cmd()"]
    assert result.report.files == 2
    (folder / "a.csv").unlink()
    (folder / "b.csv.gz").unlink()
    with pytest.raises(InvalidInput, match="in it"):
        read_as("pg-stat-statements", folder, tmp_path, resource="pg")


def test_the_resource_must_be_said(tmp_path):
    with pytest.raises(InvalidInput, match="of which resource"):
        read(tmp_path, export(), resource="")


texts = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60)
@given(role=texts.filter(bool), query=texts)
def test_names_and_statements_stay_what_they_are(tmp_path_factory, role, query):
    result = read(tmp_path_factory.getbasetemp(), export(statement(query, role=role), statement("select 1 from t")))
    assert set(short(result.usage, "account")) == {role, "alice"}
    assert (result.report.used, result.report.rejected) == (2, 0)


@settings(max_examples=60)
@given(data=st.binary(max_size=300), before=st.booleans())
def test_any_bytes_are_counted(tmp_path_factory, data, before):
    head = export(statement("select 1")).encode() if before else b""
    read(tmp_path_factory.getbasetemp(), head + data)


@given(query=st.text(max_size=60))
def test_any_text_has_actions_or_none(query):
    actions, parsed = actions_of(query)
    assert isinstance(parsed, bool)
    assert all(len(action.command) <= 90 for action in actions)
