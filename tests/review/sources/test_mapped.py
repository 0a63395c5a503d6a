"""Any file as evidence, by a mapping: what a mapping can say, and what comes of it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lapse.review.evidence.columns import Kind
from lapse.review.sources.mapping import rows
from lapse.review.sources.mapping.language import parse_mapping
from lapse.review.sources.mapping.values import Way, read_value
from support.aws_files import problems, read_as, write
from support.mapped_files import LOGINS, TAKEN, at, cell, login, read_records, rule

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


def test_the_mapping_may_lie_beside_the_files_and_its_hash_is_kept(tmp_path):
    write(tmp_path, log__json=json.dumps(login()).encode(), crm__yaml=LOGINS.encode())
    result = read_as("mapped", tmp_path / "log.json", tmp_path, mapping="crm.yaml", taken_at=TAKEN)
    assert len(result.usage) == 1
    assert result.report.hashes["mapping crm.yaml"] == hashlib.sha256(LOGINS.encode()).hexdigest()


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
