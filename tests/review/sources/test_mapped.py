"""Any file as evidence, by a mapping: what mappings can say, what is wrong with them, and records of every sort."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lapse.domain.errors import InvalidInput, NotFound
from lapse.policy.problems import PolicyErrors
from lapse.review.columns import Kind
from lapse.review.model import Coverage
from lapse.review.sources.mapping import inputs, language, rows
from lapse.review.sources.mapping.language import parse_mapping, schema_text
from lapse.review.sources.mapping.paths import MISSING, parse_path, value_at, values_at
from lapse.review.sources.mapping.values import Way, read_value
from support.aws_files import problems, read_as, write

ROOT = Path(__file__).parents[3]
TAKEN = "2026-08-01T00:00:00Z"
LOGINS = """
version: 1
id: $.id
tables:
  usage:
    where: {path: $.type, equals: login}
    person: $.user.mail
    columns:
      resource: {value: crm}
      account: $.user.name
      started_at: $.time
      action: $.type
"""


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def login(number=1, **more):
    user = {"name": "a.nn", "mail": "ann@example.com"}
    return {"id": number, "type": "login", "user": user, "time": "2026-07-01T10:00:00Z"} | more


def read(place, tmp_path, mapping=LOGINS, **options):
    (tmp_path / "crm.yaml").write_text(mapping, "utf-8")
    return read_as("mapped", place, tmp_path, mapping=str(tmp_path / "crm.yaml"), **({"taken_at": TAKEN} | options))


def read_records(tmp_path, *records, mapping=LOGINS, **options):
    write(tmp_path, log__json=json.dumps(records).encode())
    return read(tmp_path / "log.json", tmp_path, mapping, **options)


def rule(columns, table="usage", head=""):
    """A mapping of one rule; columns that usage needs are filled in."""
    base = {"resource": "{value: crm}", "account": "$.a", "started_at": "{value: 2026-07-01T00:00:00Z}"}
    lines = [f"      {name}: {text}" for name, text in ((base if table == "usage" else {}) | columns).items()]
    return f"version: 1\n{head}\ntables:\n  {table}:\n    columns:\n" + "\n".join(lines) + "\n"


def cell(text, value, column="action", head=""):
    """What a column comes to for the record `{"a": "ann", "x": value}`."""
    mapping = parse_mapping("m", rule({column: text}, head=head))
    (made,) = rows.rows_of({"a": "ann", "x": value}, mapping)
    return made.row[column]


# What a mapping can say


def test_a_record_is_a_row_of_the_table_that_it_is_mapped_to(tmp_path):
    result = read_records(tmp_path, login(), {"id": 2, "type": "logout"})
    assert result.usage == [
        {
            "resource": "crm",
            "account": "a.nn",
            "started_at": at("01T10:00:00"),
            "ended_at": None,
            "grant_id": None,
            "role": None,
            "action": "login",
            "source": "mapped log.json",
            "object": None,
            "principal": "ann",
            "address": None,
            "device": None,
            "session_id": None,
        }
    ]
    assert result.report.skipped == {"a record that no rule of the mapping is about": 1}
    assert result.report.tables == ("usage", "coverage")


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("$.x", "read", "read"),
        ("$.x", 3002, "3002"),
        ("$.x", 3.0, "3"),
        ("$.x", 1.5, "1.5"),
        ("$.x", True, "true"),
        ("$.x", None, None),
        ("$.x", "  ", None),
        ("$.y", "read", None),
        ("$.x.deep['a name'][-1]", {"deep": {"a name": [1, 2]}}, "2"),
        ("{value: 7}", "", "7"),
        ("{value: true}", "", "true"),
        ("{first: [$.y, $.x, $.a]}", "read", "read"),
        ("{first: [$.y, $.x, $.a]}", "", "ann"),
        ("{join: [$.a, $.x]}", "read", "ann/read"),
        ("{join: [$.a, $.x], with: ' on '}", "read", "ann on read"),
        ("{join: [$.a, $.y], default: none}", "read", "none"),
        ("{path: $.x, map: {1: read, 2: write}}", 2, "write"),
        ("{path: $.x, map: {true: on}}", True, "on"),
        ("{path: $.x, map: {1: read}, default: other}", 9, "other"),
        ("{path: $.y, default: 5}", "", "5"),
        ("$.x", "a\x00b", "a\ufffdb"),
        ("$.x", "=cmd()|' /C calc'!A0", "=cmd()|' /C calc'!A0"),
    ],
)
def test_a_text_comes_from_fields_or_is_fixed(text, value, found):
    assert cell(text, value) == found


TIME = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("$.x", "2026-07-01T12:30:00+02:00", TIME),
        ("{path: $.x, as: rfc3339}", "2026-07-01 10:30:00.123456789Z", TIME.replace(microsecond=123456)),
        ("{path: $.x, as: epoch_s}", 1782901800, TIME),
        ("{path: $.x, as: epoch_s}", "1782901800.5", TIME.replace(microsecond=500000)),
        ("{path: $.x, as: epoch_ms}", "1782901800000", TIME),
        ("{path: $.x, as: epoch_us}", 1782901800000001, TIME.replace(microsecond=1)),
        ("{path: $.x, as: epoch_ms}", TIME, TIME),
        ("{path: $.x, as: 'strptime:%d.%m.%Y %H:%M', timezone: Europe/Berlin}", "01.07.2026 12:30", TIME),
        ("{path: $.x, as: 'strptime:%Y-%m-%d %H:%M %z'}", "2026-07-01 12:30 +0200", TIME),
        ("{path: $.x, as: 'strptime:%Y-%m-%d', default: '2026-07-01T10:30:00Z', timezone: UTC}", "", TIME),
        ("{path: $.x, timezone: Europe/Berlin}", datetime(2026, 7, 1, 12, 30), TIME),  # noqa: DTZ001  as Parquet has it
    ],
)
def test_times_are_read_as_the_mapping_says(text, value, found):
    assert cell(text, value, "ended_at") == found


def test_the_zone_of_the_mapping_is_that_of_times_that_do_not_say_theirs():
    text = "{path: $.x, as: 'strptime:%Y-%m-%d %H:%M'}"
    assert cell(text, "2026-07-01 12:30", "ended_at", head="timezone: Europe/Berlin") == TIME


@pytest.mark.parametrize(
    ("kind", "way", "value", "why"),
    [
        (Kind.TIME, "rfc3339", "2026-07-01T10:00:00", "is not a time"),
        (Kind.TIME, "rfc3339", "2026-13-01T10:00:00Z", "is not a time"),
        (Kind.TIME, "epoch_s", "soon", "is no number of seconds"),
        (Kind.TIME, "epoch_s", float("nan"), "it is no time"),
        (Kind.TIME, "epoch_s", 10**17, "outside of the calendar"),
        (Kind.TIME, "epoch_s", True, "is no number"),
        (Kind.TIME, "strptime:%Y-%m-%d", "01.07.2026", "does not match format"),
        (Kind.TIME, "strptime:%Y-%m-%d", "2026-07-01", "does not say its time zone"),
        (Kind.TIME, "rfc3339", [1], "a list is no single value"),
        (Kind.INT, "int", "1.5", "is no whole number"),
        (Kind.INT, "int", True, "is no whole number"),
        (Kind.INT, "int", 10**30, "is no whole number"),
        (Kind.INT, "int", "\u0661", "is no whole number"),
        (Kind.BOOL, "bool", "perhaps", "neither true nor false"),
        (Kind.TEXT, "text", {"a": 1}, "a map is no single value"),
        (Kind.TEXT, "text", b"x", "a bytes is no single value"),
    ],
)
def test_a_value_that_is_not_of_the_kind_is_refused(kind, way, value, why):
    with pytest.raises(ValueError, match=why):
        read_value(value, kind, Way(way))


@pytest.mark.parametrize(("value", "found"), [("7", 7), (7.0, 7), (Decimal(7), 7), (" -7 ", -7)])
def test_whole_numbers_may_be_written_in_several_ways(value, found):
    assert read_value(value, Kind.INT, Way("int")) == found


@pytest.mark.parametrize(
    ("test", "value", "holds"),
    [
        ("equals: 3002", 3002, True),
        ("equals: 3002", "3002", True),
        ("equals: true", True, True),
        ("equals: x", None, False),
        ("in: [a, 1]", 1, True),
        ("in: [a, 1]", "b", False),
        ("not_in: [a]", "b", True),
        ("not_in: [a]", None, True),
        ("not_in: [a]", "a", False),
        ("exists: true", 0, True),
        ("exists: true", None, False),
        ("exists: false", None, True),
        ("equals: a", ["a"], False),
    ],
)
def test_conditions_say_which_records_a_rule_is_about(test, value, holds):
    text = rule({}).replace("    columns:", f"    where: {{path: $.x, {test}}}\n    columns:")
    assert bool(rows.rows_of({"a": "ann", "x": value}, parse_mapping("m", text))) is holds


def test_items_of_a_list_are_rows_each_and_know_their_record(tmp_path):
    mapping = """
version: 1
records: $.pages[*].entries[*]
tables:
  usage:
    - from: $.objects[*]
      where: {path: "@.kind", equals: file}
      columns:
        resource: $.app
        account: $.who
        started_at: {path: $.ts, as: epoch_s}
        object: "@.name"
    - where: {path: $.objects, exists: false}
      columns: {resource: $.app, account: $.who, started_at: {path: $.ts, as: epoch_s}}
  access_observed:
    columns:
      resource: $.app
      account: $.who
      role: {value: member}
      holding: {value: direct}
      depth: {value: 0}
      observed_at: {path: $.ts, as: epoch_s}
      can_login: {path: $.active, as: bool, default: true}
"""
    entry = {"app": "crm", "who": "ann", "ts": 1782901800, "active": "no"}
    objects = [{"kind": "file", "name": "a"}, {"kind": "folder", "name": "b"}, {"kind": "file", "name": "c"}]
    document = {"pages": [{"entries": [entry | {"objects": objects}]}, {"entries": [entry]}, {"entries": []}]}
    result = read_records(tmp_path, document, mapping=mapping)
    assert [row["object"] for row in result.usage] == ["a", "c", None]
    assert [(row["principal"], row["can_login"]) for row in result.access_observed] == [("ann", False)] * 2
    assert (result.report.records, result.report.used) == (2, 2)


def test_records_can_be_skipped_with_a_reason(tmp_path):
    head = "skip: [{where: {path: $.ok, equals: false}, reason: it failed}]"
    result = read_records(tmp_path, login(ok=False), login(2), mapping=LOGINS.replace("id: $.id", head))
    assert (len(result.usage), result.report.skipped) == (1, {"it failed": 1})


def test_texts_of_use_that_are_too_long_are_cut_and_counted(tmp_path):
    result = read_records(tmp_path, login(type="login", time="2026-07-01T10:00:00Z", user={"name": "x" * 5000}))
    assert len(result.usage[0]["account"]) == 2000
    assert problems(result) == {"texts that were too long were cut": 1}


def test_a_record_counts_once_by_its_id_and_time(tmp_path):
    result = read_records(tmp_path, login(1), login(1), login(2), login(1, time="2026-07-01T11:00:00Z"))
    assert (len(result.usage), result.report.skipped) == (3, {"seen already": 1})


def test_without_an_id_every_record_counts(tmp_path):
    assert len(read_records(tmp_path, login(), login(), mapping=LOGINS.replace("id: $.id", "")).usage) == 2


def test_the_option_resource_replaces_what_the_mapping_says(tmp_path):
    assert read_records(tmp_path, login(), resource="crm-eu").usage[0]["resource"] == "crm-eu"


def test_single_changes_of_access_come_out_as_periods(tmp_path):
    mapping = rule(
        {
            "resource": "{value: crm}",
            "account": "$.who",
            "role": "$.role",
            "change": "{path: $.op, map: {add: given, remove: taken}}",
            "happened_at": "$.at",
            "changed_by": "$.by",
        },
        "access_changes",
    )
    result = read_records(
        tmp_path,
        {"op": "remove", "who": "ann", "role": "r", "at": "2026-07-02T00:00:00Z"},
        {"op": "add", "who": "ann", "role": "r", "at": "2026-07-01T00:00:00Z", "by": "bob"},
        {"op": "remove", "who": "bob", "role": "r", "at": "2026-07-03T00:00:00Z"},
        {"op": "rename", "who": "bob", "role": "r", "at": "2026-07-03T00:00:00Z"},
        mapping=mapping,
    )
    assert [
        (r["account"], r["from_at"], r["to_at"], r["changed_by"], r["principal"]) for r in result.access_periods
    ] == [
        ("ann", at("01T00:00:00"), at("02T00:00:00"), "bob", "ann"),
        ("bob", at("01T00:00:00"), at("03T00:00:00"), None, "bob"),
    ]
    assert problems(result) == {
        "access was taken away that the files do not show given: it is listed since they begin": 1,
        "records that could not be read": 1,
    }


def test_use_makes_windows_of_coverage(tmp_path):
    result = read_records(tmp_path, login(), login(2, time="2026-07-01T10:30:00Z"), complete="yes")
    assert [(row["resource"], row["from_at"], row["to_at"], row["complete"]) for row in result.coverage] == [
        ("crm", at("01T10:00:00"), at("01T10:30:00"), True)
    ]


def test_records_later_than_now_are_used_and_reported(tmp_path):
    result = read_records(tmp_path, login(), taken_at="2026-06-01T00:00:00Z")
    assert (len(result.usage), result.coverage) == (1, [])
    assert problems(result) == {"events are later than now: a clock is wrong, or they were made up": 1}


# Formats


def test_csv_has_a_header_quotes_and_any_delimiter(tmp_path):
    mapping = """
version: 1
format: csv
delimiter: ";"
timezone: Europe/Berlin
tables:
  usage:
    columns:
      resource: {value: erp}
      account: $['User Name']
      started_at: {path: $.Zeit, as: "strptime:%d.%m.%Y %H:%M"}
      action: $.Was
"""
    text = 'User Name; Zeit ;Was\r\nann;01.07.2026 12:30;"reads; ""all""\r\nof it"\r\n\r\nMüller;01.07.2026 12:30;x\r\n'
    write(tmp_path, log__csv=text.encode("cp1252"))
    result = read(tmp_path / "log.csv", tmp_path, mapping)
    assert [(row["account"], row["started_at"], row["action"]) for row in result.usage] == [
        ("ann", TIME, 'reads; "all"\nof it'),
        ("Müller", TIME, "x"),
    ]
    assert problems(result) == {"records that are not UTF-8 were read as Windows-1252": 1}


CSV = rule({"action": "$.x"}, head="format: csv")


@pytest.mark.parametrize(
    ("data", "used", "why"),
    [
        (b"a,x\nann,1\nbob\ncat,3\n", 2, "it has 1 cells, and the header 2"),
        (b"a,x\nann,1\nbob,2,3\n", 1, "it has 3 cells"),
        (b'a,x\nann,1\n"bob,2\ncat,3\n', 1, "its quotes are never closed"),
        (b'a,x\nann,1\n"b"ob,2\n', 1, "it is no record of CSV"),
        (b"a,x\nann," + b"y" * 200_000 + b"\nbob,1\n", 1, "field larger than field limit"),
        (b"a,x\n,1\nbob,2\n", 1, "`usage.account` is missing"),
    ],
)
def test_a_row_of_csv_that_cannot_be_read_is_rejected(tmp_path, data, used, why):
    write(tmp_path, log__csv=data)
    result = read(tmp_path / "log.csv", tmp_path, CSV)
    assert (len(result.usage), result.report.rejected) == (used, 1)
    assert why in result.report.examples[0]


def test_a_header_with_one_name_twice_is_refused(tmp_path):
    write(tmp_path, log__csv=b"a,a\n1,2\n")
    with pytest.raises(InvalidInput, match="column `a` twice"):
        read(tmp_path / "log.csv", tmp_path, CSV)


def parquet(folder, name="log.parquet", **columns):
    pq.write_table(pa.table(columns), folder / name, row_group_size=2)
    return folder / name


PARQUET = rule({"started_at": "{path: $.t, as: epoch_ms}", "account": "$.u.name", "action": "$.n"})


def test_parquet_has_its_own_types(tmp_path):
    file = parquet(
        tmp_path,
        t=pa.array([TIME, TIME, TIME], pa.timestamp("ms", tz="Europe/Berlin")),
        u=[{"name": "ann"}, {"name": "bob"}, {"name": None}],
        n=pa.array([1, 2, 3], pa.decimal128(5)),
    )
    result = read(file, tmp_path, PARQUET)
    assert [(row["account"], row["started_at"], row["action"]) for row in result.usage] == [
        ("ann", TIME, "1"),
        ("bob", TIME, "2"),
    ]
    assert result.report.examples == ("log.parquet: row 3: `usage.account` is missing",)


def test_an_odd_value_in_parquet_costs_only_its_row(tmp_path):
    times = pa.array([1782901800000000, 2**62], pa.timestamp("us"))
    file = parquet(tmp_path, t=times, u=[{"name": "ann"}, {"name": "bob"}], n=["x", "y"])
    result = read(file, tmp_path, PARQUET.replace("version: 1", "version: 1\ntimezone: UTC"))
    assert [row["account"] for row in result.usage] == ["ann"]
    assert "a value in it cannot be read" in result.report.examples[0]


@pytest.mark.parametrize("cut", [0, 3, 50, -1, -20])
def test_a_parquet_file_that_is_cut_off_is_rejected(tmp_path, cut):
    file = parquet(tmp_path, t=[1], u=[{"name": "ann"}], n=["x"])
    file.write_bytes(file.read_bytes()[:cut])
    result = read(file, tmp_path, PARQUET)
    assert (result.usage, result.report.rejected) == ([], 1)
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_a_parquet_file_that_would_unpack_to_too_much_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MOST_ROW_GROUP", 10)
    result = read(parquet(tmp_path, t=[1], u=[{"name": "ann"}], n=["x"]), tmp_path, PARQUET)
    assert "more than is read" in result.report.examples[0]


def test_a_folder_may_have_files_of_several_formats(tmp_path):
    folder = tmp_path / "in"
    write(
        tmp_path,
        in_S_a__jsonl=json.dumps(login(1)).encode(),
        in_S_b__json__gz=json.dumps([login(2)], indent=2).encode(),
        in_S_c__bin=b"?",
    )
    pq.write_table(pa.Table.from_pylist([login(3)]), folder / "d.parquet")
    result = read(folder, tmp_path)
    assert (len(result.usage), result.report.files) == (3, 3)
    assert problems(result) == {"files that are not of this kind by their names were not read": 1}


def test_a_file_whose_name_says_nothing_is_refused_unless_the_mapping_says_what_it_is(tmp_path):
    write(tmp_path, export=json.dumps(login()).encode())
    with pytest.raises(InvalidInput, match="does not say what it is"):
        read(tmp_path / "export", tmp_path)
    assert len(read(tmp_path / "export", tmp_path, "format: json\n" + LOGINS).usage) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'[{"a": 1}, 7]', "it is no JSON object"),
        (b'{"id": 1, "type": "login"}', "`usage.account` is missing"),
        (
            b'{"type": "login", "user": {"name": ["x"]}, "time": "2026-07-01T10:00:00Z"}',
            "`usage.account`: a list is no single value",
        ),
        (b'{"type": "login", "user": {"name": "x"}, "time": "soon"}', "`usage.started_at`: `soon` is not a time"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"a": "\xff"', "truncated"),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_whole(tmp_path, data, why):
    write(tmp_path, log__json=data)
    result = read(tmp_path / "log.json", tmp_path)
    assert any(why in example for example in result.report.examples), result.report.examples
    assert result.usage == []


def test_packed_json_that_ends_early_gives_what_there_is(tmp_path):
    data = "\n".join(json.dumps(login(n)) for n in range(3000)).encode()
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(data)[:-100])
    result = read(tmp_path / "log.jsonl.gz", tmp_path)
    assert 0 < len(result.usage) < 3000
    assert result.report.rejected >= 1


def test_where_records_should_be_and_are_not_the_object_is_rejected(tmp_path):
    mapping = LOGINS.replace("id: $.id", "records: $.items[*]")
    result = read_records(tmp_path, {"items": []}, {"item": [login()]}, {"items": [login(), 7]}, mapping=mapping)
    assert (len(result.usage), result.report.rejected) == (1, 2)
    assert result.report.examples == (
        "log.json: record 2: there is nothing at `$.items[*]`",
        "log.json: record 3 item 2: it is no record",
    )


def test_a_record_with_endless_items_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ROWS", 10)
    mapping = LOGINS.replace("    where:", "    from: $.many[*]\n    where:")
    assert "more than 10 rows" in read_records(tmp_path, login(many=[1] * 50), mapping=mapping).report.examples[0]


# What is wrong with a mapping


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "m.yaml:1:1: the mapping is empty"),
        ("tables: [", "m.yaml:1:10: this is not YAML"),
        ("version: 2\ntables: {}", "m.yaml:1:10: `2` is not a whole number from 1 to 1"),
        ("version: 1\ntables: {}", "m.yaml:2:9: the mapping fills no table (name at least one)"),
        (
            "version: 1\ntables: {usages: {}}",
            "m.yaml:2:10: there is no key `usages` in the tables of a mapping (did you mean `usage`?)",
        ),
        ("version: 1\ntable: {}", "m.yaml:2:1: there is no key `table` in a mapping (did you mean `tables`?)"),
        (
            rule({"acount": "$.x"}),
            "m.yaml:9:7: there is no key `acount` in the columns of `usage` (did you mean `account`?)",
        ),
        (
            rule({"action": "crm"}),
            "m.yaml:9:15: `crm` is no path (a path begins with `$`; a value that is always the same is written",
        ),
        (
            rule({"action": "$.a..b"}),
            "m.yaml:9:15: `$.a..b` is no path: see character 4 (steps are `.name`, `['name']`, `[0]` and `[*]`)",
        ),
        (
            rule({"action": "$.a[*]"}),
            "m.yaml:9:15: `$.a[*]` leads to many values (go through lists by `from`, and write `@` here)",
        ),
        (
            rule({"action": "{path: $.a, vallue: b}"}),
            "m.yaml:9:27: there is no key `vallue` in a column of kind text (did you mean `value`?)",
        ),
        (
            rule({"action": "{path: $.a, value: b}"}),
            "m.yaml:9:15: a column has exactly one of `path`, `first`, `join` and `value`",
        ),
        (rule({"action": "{}"}), "m.yaml:9:15: a column has exactly one of `path`, `first`, `join` and `value`"),
        (
            rule({"action": "{path: $.a, with: x}"}),
            "m.yaml:9:33: only what is joined has something between (write `join`)",
        ),
        (
            rule({"ended_at": "{path: $.a, as: epoch}"}),
            "m.yaml:9:33: `epoch` is no way to read a column of kind time (did you mean `epoch_s`?)",
        ),
        (
            rule({"action": "{path: $.a, as: int}"}),
            "m.yaml:9:31: `int` is no way to read a column of kind text (known here: `text`)",
        ),
        (
            rule({"ended_at": "{path: $.a, as: 'strptime:%Y-%m-%d'}"}),
            "m.yaml:9:33: the format of `usage.ended_at` says no time zone",
        ),
        (rule({"ended_at": "{path: $.a, as: 'strptime:%Q'}"}), "m.yaml:9:33: `strptime:%Q` has `%Q` in it"),
        (rule({"ended_at": "{path: $.a, as: 'strptime:%H:%M %z'}"}), "m.yaml:9:33: `strptime:%H:%M %z` says no day"),
        (
            rule({"ended_at": "{path: $.a, map: {a: b}}"}),
            "m.yaml:9:34: only what is read from fields that are no times can be mapped",
        ),
        (rule({"ended_at": "{value: soon}"}), "m.yaml:9:25: `soon` is not a time"),
        (rule({"ended_at": "{path: $.a, timezone: Mars/Base}"}), "m.yaml:9:39: `Mars/Base` is not a time zone"),
        (rule({"action": "{path: $.a, map: {a: [b]}}"}), "m.yaml:9:36: `a` must stand for a text"),
        (rule({"action": "{path: $.a, default: 1.5}"}), "m.yaml:9:36: this must be a text, a whole number"),
        (LOGINS.replace("equals: login", "equals: login, exists: true"), "a condition has exactly one of"),
        (LOGINS.replace("account: $.user.name", "role: $.x"), "the key `account` is missing in the columns of `usage`"),
        ("delimiter: ';;'\n" + LOGINS, "m.yaml:1:12: `;;` separates no fields"),
        ("format: xml\n" + LOGINS, "m.yaml:1:9: `xml` is no format (one of json, csv, parquet)"),
        ("format: json\ndelimiter: ';'\n" + LOGINS, "m.yaml:2:12: only CSV has fields that are separated"),
        (LOGINS.replace("id: $.id", "id: &a $.id"), "anchors and aliases are not used"),
    ],
)
def test_a_mapping_that_is_wrong_says_where_and_what_was_meant(text, problem):
    with pytest.raises(PolicyErrors) as errors:
        parse_mapping("m.yaml", text)
    assert any(problem in str(one) for one in errors.value.problems), list(map(str, errors.value.problems))


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(PolicyErrors) as errors:
        parse_mapping("m.yaml", rule({"acount": "$.x", "action": "x", "device": "{}"}))
    assert len(errors.value.problems) == 3


def test_the_mapping_is_checked_before_anything_is_read(tmp_path):
    with pytest.raises(PolicyErrors, match=r"crm.yaml:1:1"):
        read_records(tmp_path, login(), mapping="")
    with pytest.raises(NotFound, match="there is no mapping"):
        read_as("mapped", tmp_path / "log.json", tmp_path, mapping=str(tmp_path / "none.yaml"))
    with pytest.raises(InvalidInput, match="nothing says what the fields are"):
        read_as("mapped", tmp_path / "log.json", tmp_path)


def test_the_schema_in_the_docs_is_the_generated_one_and_accepts_mappings():
    hint = "run `python -m lapse.review.sources.mapping.language > docs/source-mapping.schema.json`"
    assert (ROOT / "docs/source-mapping.schema.json").read_text() == schema_text(), hint
    run = [sys.executable, "-m", language.__name__]
    assert subprocess.run(run, capture_output=True, check=True, text=True).stdout == schema_text()
    schema = json.loads(schema_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    load = YAML(typ="safe", pure=True).load
    validator.validate(load(LOGINS))
    validator.validate(load((ROOT / "src/lapse/review/sources/mappings/ocsf.yaml").read_text()))
    assert not validator.is_valid(load(rule({"acount": "$.x"})))


# Paths


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.a.b", [1]),
        ("$.l[*].n", [1, 2]),
        ("$.l[1].n", [2]),
        ("$.l[-2].n", [2]),
        ("$.l[5]", []),
        ("$['x.y']", [3]),
        ('$["x.y"]', [3]),
        ("$.none", []),
        ("$.a[*]", []),
        ("$.m[*][*]", [1, 2, 3]),
        ("$.ümlaut", [4]),
    ],
)
def test_paths_lead_into_records(path, found):
    record = {"a": {"b": 1}, "l": [{"n": 1}, {"n": 2}, 7], "x.y": 3, "m": [[1, 2], [3]], "ümlaut": 4}
    assert list(values_at(record, parse_path(path))) == found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
steps = st.lists(st.sampled_from([".a", ".b", "[0]", "[-1]", "['c']"]), max_size=4).map("".join)


@given(json_values, steps)
def test_one_value_is_found_in_both_ways_of_following_a_path(record, text):
    path = parse_path("$" + text)
    found = list(values_at(record, path))
    assert found == ([] if (one := value_at(record, record, path)) is MISSING else [one])


@given(st.text(alphabet="$@.[]'\"*ab0-", max_size=20))
def test_any_text_is_a_path_or_refused(text):
    message = ""
    try:
        assert parse_path(text).text == text
    except InvalidInput as refused:
        message = refused.message
    assert not message or "is no path" in message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(lambda key, value: login() | {key: value}, st.sampled_from(sorted(login())), json_values), max_size=6
    )
)
def test_any_records_are_used_skipped_or_rejected(tmp_path, records):
    assert read_records(tmp_path, *records).report.records == len(records)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=80) | st.text(alphabet='a,"\n\r;x', max_size=40).map(str.encode))
def test_any_bytes_are_rows_of_csv_or_rejected(tmp_path, data):
    (tmp_path / "log.csv").write_bytes(data)
    try:
        result = read(tmp_path / "log.csv", tmp_path, CSV)
    except InvalidInput:
        return  # two columns of its header have one name
    assert result.report.records == result.report.used + result.report.rejected + sum(result.report.skipped.values())
