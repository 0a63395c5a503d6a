from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from lapse.policy.problems import PolicyErrors
from lapse.rotas.language import parse_rota, schema_text
from support.tools import ROOT

WHOLE = """\
version: 1
timezone: Europe/Berlin
layers:
  - name: weekly
    people: [ann, bob, cat]
    starts: 2026-01-05
    hand_over: "09:00"
    days: 7
  - name: office-hours
    people: [dan]
    starts: 2026-01-05
    ends: 2026-12-31
    only: [{days: mon-fri, from: "09:00", to: "17:00", timezone: Europe/Berlin}]
shifts:
  - {who: eve, from: 2026-05-01T00:00, to: 2026-05-02T00:00}
overrides:
  - {who: nobody, from: 2026-12-24T00:00, to: 2026-12-27T00:00}
"""


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "people"),
    [
        ("2026-01-05T07:59", set()),
        ("2026-01-05T08:00", {"ann", "dan"}),
        ("2026-01-10T12:00", {"ann"}),
        ("2026-01-12T08:00", {"bob", "dan"}),
        ("2026-05-01T12:00", {"bob", "dan", "eve"}),
        ("2026-12-25T12:00", set()),
        ("2026-12-27T12:00", {"cat"}),
    ],
)
def test_a_rota(time, people):
    assert parse_rota("rota.yaml", WHOLE).on_call(at(time)) == people


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("timezone: Europe/Berlin\n", "timezone: CEST2\n", "rota.yaml:2:11: `CEST2` is not a time zone"),
        ("timezone: Europe/Berlin\n", "", "rota.yaml:1:1: the key `timezone` is missing in a rota file"),
        ("[ann, bob, cat]", "[]", "rota.yaml:5:13: the list has 0 items"),
        ("[ann, bob, cat]", "[Ann]", "rota.yaml:5:14: `Ann` is not a principal name"),
        ("[ann, bob, cat]", "[ann, ann]", "rota.yaml:5:19: this is in the list twice"),
        ("starts: 2026-01-05\n    hand", "starts: 2026-02-30\n    hand", "rota.yaml:6:13: `2026-02-30` is not a date"),
        ("starts: 2026-01-05\n    hand", "starts: 0001-01-01\n    hand", "rota.yaml:6:13: `0001-01-01` is not a date"),
        ('"09:00"\n', '"24:00"\n', "rota.yaml:7:16: a hand-over is at 00:00 to 23:59"),
        ('"09:00"\n', "9:00\n", "rota.yaml:7:16: `9:00` is not a time of day"),
        ("days: 7", "days: 0", "rota.yaml:8:11: `0` is not a whole number from 1 to 366"),
        ("ends: 2026-12-31", "ends: 2026-01-05", "rota.yaml:12:11: the layer ends before it starts"),
        ("to: 2026-05-02T00:00", "to: 2026-05-01T00:00", "rota.yaml:15:44: the shift ends before it begins"),
        ("to: 2026-05-02T00:00", "to: 2026-05-02", "rota.yaml:15:44: `2026-05-02` is not a local time"),
        ("who: eve", "who: nobody at all", "rota.yaml:15:11: `nobody at all` is not a principal name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old, new, problem):
    with pytest.raises(PolicyErrors) as raised:
        parse_rota("rota.yaml", WHOLE.replace(old, new, 1))
    assert any(problem in str(one) for one in raised.value.problems), [str(one) for one in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "the file is empty"), ("version: 1\ntimezone: UTC\n", "nobody is ever on call in this rota")],
)
def test_a_rota_of_nobody_is_a_mistake(text, problem):
    with pytest.raises(PolicyErrors, match=problem):
        parse_rota("rota.yaml", text)


def test_somebody_called_nobody_can_have_a_shift():
    text = "version: 1\ntimezone: UTC\nshifts: [{who: nobody, from: 2026-05-01T00:00, to: 2026-05-02T00:00}]\n"
    assert parse_rota("rota.yaml", text).on_call(at("2026-05-01T12:00")) == {"nobody"}


@given(st.text(max_size=200) | st.text(alphabet="{}[]:,-# \nabvrsiontmez0129T", max_size=200))
def test_any_text_is_a_plan_or_an_expected_error(text):
    with suppress(PolicyErrors):
        parse_rota("f", text).on_call(at("2026-05-01T12:00"))


def test_the_published_schema_is_the_one_in_the_code_and_takes_what_is_taken():
    assert (ROOT / "docs/rota.schema.json").read_text() == schema_text()
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    yaml = YAML(typ="base")  # to which a date is text, as it is here
    read = yaml.load(WHOLE) | {"version": 1}
    read["layers"][0]["days"] = 7
    Draft202012Validator(schema).validate(read)
