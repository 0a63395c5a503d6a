"""Masked values: valid in their type, never longer than their column allows."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.guards import Mask, MaskKind
from lapse.protocols.postgres.values import BPCHAR, JSON, VARCHAR, Masking, masked_text, whole_value

LOOKS = [Mask(name=kind, kind=kind) for kind in (MaskKind.EMAIL, MaskKind.CARD, MaskKind.PHONE)]
WHOLE = [MaskKind.FULL, MaskKind.LAST4, MaskKind.HASH, MaskKind.NULL]


def column(of=25, modifier=-1, binary=False, encoding="UTF8"):
    return Masking(of, modifier, int(binary), encoding, b"key")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("alice@example.com", "a****@*******.com"),
        ("Bob <bob.b+x@mail.example.co.uk>, x@y", "Bob <b******@****.*******.**.uk>, x@y"),
        ("4111-1111-1111-1111", "****-****-****-1111"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("call +49 30 1234567 or (030) 1234567", "call +** ** *****67 or (***) *****67"),
        ("on 2024-01-15, order 12345", "on 2024-01-15, order 12345"),
        ("", ""),
    ],
)
def test_what_looks_like_one_is_masked_and_its_shape_stays(text, masked):
    assert masked_text(LOOKS, text.encode(), column()) == masked.encode()


@given(st.text(max_size=200))
def test_patterns_keep_the_length_of_a_text(text):
    masked = masked_text(LOOKS, text.encode(), column())
    assert len(masked.decode()) == len(text)


@given(st.sampled_from(WHOLE), st.text("abc*é", max_size=30), st.integers(0, 20), st.sampled_from([BPCHAR, VARCHAR]))
def test_no_masked_text_is_longer_than_its_column_allows(kind, text, longest, of):
    value = whole_value(kind, text.encode(), column(of, longest + 4))
    assert value is None or len(value.decode()) <= longest


@given(st.sampled_from(WHOLE), st.binary(min_size=1, max_size=8), st.sampled_from([16, 20, 21, 23, 1082, 1114, 2950]))
def test_a_masked_value_in_binary_has_the_length_of_its_type(kind, value, of):
    sizes = {16: 1, 20: 8, 21: 2, 23: 4, 1082: 4, 1114: 8, 2950: 16}
    masked = whole_value(kind, value, column(of, binary=True))
    assert masked is None or len(masked) == sizes[of]


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=8)
)
def test_json_stays_json(found):
    text = json.dumps(found | {"a": "x@y.org"} if isinstance(found, dict) else found)
    quotes = [*LOOKS, Mask(name="q", kind=MaskKind.CUSTOM, pattern="[a-c]", replacement='"')]
    json.loads(masked_text(quotes, text.encode(), column(JSON)))


def test_a_long_text_takes_no_longer_than_its_length_says():
    text = b"a" * 300_000 + b"@" + b"b." * 300_000 + b"0" * 300_000
    assert len(masked_text(LOOKS, text, column())) == len(text)


def test_a_value_of_a_type_that_nobody_knows_is_null_where_something_is_found_in_it():
    assert masked_text(LOOKS, b"\0\1alice@example.com", column(99_999, binary=True)) is None
    assert masked_text(LOOKS, b"\0\1nothing", column(99_999, binary=True)) == b"\0\1nothing"
    assert whole_value(MaskKind.FULL, b"x", column(99_999)) is None


@given(st.lists(st.none() | st.text(max_size=10), max_size=5))
def test_arrays_of_texts_stay_arrays(items):
    head = struct.pack("!iiIii", 1, 0, 25, len(items), 1)
    parts = [
        struct.pack("!i", -1) if one is None else struct.pack("!i", len(one.encode())) + one.encode() for one in items
    ]
    value = head + b"".join(parts)
    assert masked_text([*LOOKS, LOOKS[0]], value, column(1009, binary=True)) == value
    assert whole_value(MaskKind.FULL, value, column(1009, binary=True)) == struct.pack("!iiI", 0, 0, 25)
