from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.domain.times import format_time
from lapse.ledger.canonical import DEEPEST, LARGEST_INTEGER, check, decode, encode
from lapse.ledger.entry import Entry
from support.ledgers import an_entry

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
INTEGERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
ENTRIES = st.builds(
    Entry,
    type=TEXT,
    at=st.datetimes(timezones=st.just(UTC)),
    actor=TEXT,
    subject=TEXT,
    before=st.none() | OBJECTS,
    after=st.none() | OBJECTS,
    policy_version=TEXT,
    context=OBJECTS,
)


def nested(depth: int) -> object:
    value: object = "core"
    for _ in range(depth):
        value = [value]
    return value


def as_object(entry: Entry) -> dict:
    return {
        "actor": entry.actor,
        "after": entry.after,
        "at": format_time(entry.at),
        "before": entry.before,
        "context": entry.context,
        "policy_version": entry.policy_version,
        "subject": entry.subject,
        "type": entry.type,
        "v": 1,
    }


@given(ENTRIES)
@example(an_entry(at=datetime(1, 1, 1, tzinfo=UTC)))
@example(an_entry(at=datetime(1, 1, 1, microsecond=1, tzinfo=UTC)))
@example(an_entry(at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)))
@example(an_entry(context={"integers": [LARGEST_INTEGER, -LARGEST_INTEGER, 0]}))
def test_bytes_are_those_of_rfc_8785(entry):
    assert encode(entry) == rfc8785.dumps(as_object(entry))


@given(ENTRIES)
def test_reading_gives_back_what_was_written(entry):
    assert decode(encode(entry)) == entry
    assert encode(decode(encode(entry))) == encode(entry)
    check(encode(entry))


def test_every_character_is_escaped_as_rfc_8785_says():
    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    assert encode(an_entry(subject=every)) == rfc8785.dumps(as_object(an_entry(subject=every)))


def test_an_entry_reads_as_plain_json():
    body = encode(an_entry(3))
    assert json.loads(body)["at"] == "2026-03-02T09:00:00.003000Z"
    assert body.startswith(b'{"actor":"enforcer","after":{"state":"ended","version":5},"at":"')


def test_a_time_of_another_zone_is_written_in_utc():
    summer = timezone(timedelta(hours=2))
    local = an_entry(at=datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=summer))
    assert b'"at":"2026-07-01T10:00:00.000005Z"' in encode(local)


def test_a_mapping_of_any_kind_is_an_object():
    assert encode(an_entry(after=MappingProxyType({"state": "ended"}))) == encode(an_entry(after={"state": "ended"}))


def test_an_enumerated_text_is_its_value():
    class State(StrEnum):
        ENDED = "ended"

    assert encode(an_entry(type=State.ENDED, after={"s": State.ENDED, "list": [State.ENDED]})) == encode(
        an_entry(type="ended", after={"s": "ended", "list": ["ended"]})
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"context": {"lag": 1.5}}, "`context.lag` is a float"),
        ({"context": {"whole": [{"n": 1}], "lag": 1.0}}, "`context.lag` is a float"),
        ({"after": {"a": {"b": [0, math.nan]}}}, "`after.a.b.1` is a float"),
        ({"before": {"n": 2**53}}, "`before.n` is an integer beyond 2^53-1"),
        ({"before": {"n": -(2**53)}}, "`before.n` is an integer beyond 2^53-1"),
        ({"before": {"n": [10**40]}}, "`before.n.0` is an integer beyond 2^53-1"),
        ({"context": {"über": 1}}, "the key `über` is not ASCII"),
        ({"context": {"a": [{"b": {"\u2028": 1}}]}}, "is not ASCII"),
        ({"context": {"half": "\ud800"}}, "half of a surrogate pair"),
        ({"context": {"half\udfff": 1}}, "half of a surrogate pair"),
        ({"subject": "\udc00"}, "half of a surrogate pair"),
        ({"context": {1: "one"}}, "a key that is not text"),
        ({"context": {"raw": b"bytes"}}, "`context.raw` is a bytes"),
        ({"context": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}, "`context.at` is a datetime"),
        ({"context": {"pair": (1, 2)}}, "`context.pair` is a tuple"),
        ({"context": {"deep": nested(DEEPEST)}}, "is nested deeper than 16"),
        ({"at": datetime(2026, 1, 1)}, "its time has no zone"),  # noqa: DTZ001  the point of the case
        ({"actor": None}, "its type, actor, subject or policy version is not text"),
        ({"type": 7}, "its type, actor, subject or policy version is not text"),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_name(fields, reason):
    with pytest.raises(InvalidInput) as refusal:
        encode(an_entry(**fields))
    assert reason in refusal.value.message
    assert refusal.value.hint


def test_what_contains_itself_is_refused():
    ring: list = []
    ring.append(ring)
    with pytest.raises(InvalidInput, match="nested deeper"):
        encode(an_entry(context={"ring": ring}))


def test_nesting_is_written_and_read_to_the_same_depth():
    deepest = an_entry(context={"deep": nested(DEEPEST - 1)})
    assert decode(encode(deepest)) == deepest
    deeper = msgspec.json.encode(as_object(an_entry(context={"deep": nested(DEEPEST)})), order="sorted")
    with pytest.raises(Corrupt, match="nested too deep"):
        decode(deeper)


BODY = encode(an_entry(context={"text": "é", "list": [1, 2]}))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not the JSON"),
        (b"null", "not the JSON"),
        (b"{}", "not the JSON"),
        (b"[" * 100_000, "not the JSON"),
        (BODY[:-1], "not the JSON"),
        (BODY.replace(b"enforcer", b"\xff\xfe"), "not the JSON"),
        (BODY.replace(b'"v":1', b'"v":1,"w":1'), "not the JSON"),
        (BODY.replace(b"[1,2]", b"[1,2.0]"), "holds a float"),
        (BODY.replace(b"[1,2]", b"[1,9007199254740992]"), "integer beyond"),
        (BODY + b"\n", "canonical"),
        (b" " + BODY, "canonical"),
        (BODY.replace(b"[1,2]", b"[1, 2]"), "canonical"),
        (BODY.replace(b"[1,2]", b"[1,-0]"), "canonical"),
        (BODY.replace(b'"version":4', b'"version":4.5'), "holds a float"),
        (BODY.replace(b'"version":5', b'"version":5.5'), "holds a float"),
        (BODY.replace("é".encode(), b"\\u00e9"), "canonical"),
        (BODY.replace(b'"actor":"enforcer"', b'"actor":"x","actor":"enforcer"'), "canonical"),
        (BODY.replace(b'"list":[1,2],', b"")[:-1] + b',"x":0}', "not the JSON"),
        (BODY.replace(b'"v":1', b'"v":2'), "version 2"),
        (BODY.replace(b"T09:", b"T25:"), "not the JSON"),
        (BODY.replace(b"2026-03-02T09", b"2026-W10-1T9"), "not the JSON"),
        (BODY.replace(b"T09:", b" 09:"), "canonical"),
        (BODY.replace(b".000000Z", b"Z"), "canonical"),
        (BODY.replace(b".000000Z", b".0000000Z"), "canonical"),
        (BODY.replace(b".000000Z", b".000001+00:00"), "canonical"),
        (BODY.replace(b".000000Z", b".000000"), "not in UTC"),
        (BODY.replace(b".000000Z", b".000001"), "not in UTC"),
        (BODY.replace(b"2026-03-02T09:00:00.000000Z", b"0001-01-01T00:00:00.000001+02:00"), "not in UTC"),
        (BODY.replace(b'"text"', '"té"'.encode()), "not ASCII"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(body, reason):
    assert body != BODY
    for read in (decode, check):
        with pytest.raises(Corrupt, match=reason):
            read(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    with pytest.raises(Corrupt):
        decode(body)


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_another_entry_or_a_refusal(at, value):
    changed = BODY[:at] + bytes([value]) + BODY[at + 1 :]
    try:
        entry = decode(changed)
    except Corrupt:
        return
    assert encode(entry) == changed
