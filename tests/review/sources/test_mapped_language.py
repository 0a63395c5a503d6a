"""The language of mappings: what is wrong with one and where, its schema, and paths into records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lapse.domain.errors import InvalidInput, NotFound
from lapse.policy.problems import PolicyErrors
from lapse.review.sources.mapping import language
from lapse.review.sources.mapping.language import parse_mapping, schema_text
from lapse.review.sources.mapping.paths import MISSING, parse_path, value_at, values_at
from support.aws_files import read_as
from support.mapped_files import LOGINS, login, read_records, rule

ROOT = Path(__file__).parents[3]


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
    for name in ("x" * 5000, "a\0b", str(tmp_path)):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read_as("mapped", tmp_path / "log.json", tmp_path, mapping=name)
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
