from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput, LapseError, Unavailable
from lapse.web.answers import MISSING, at, check_pointer, decoded, text_at

VALUE = {"a": [{"b/c": "x", "~": 1}], "n": None, "t": True, "o": {}}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", VALUE),
        ("/a/0/b~1c", "x"),
        ("/a/0/~0", 1),
        ("/a/1", MISSING),
        ("/a/-", MISSING),
        ("/a/99999999999999999999", MISSING),
        ("/a/x", MISSING),
        ("/b", MISSING),
        ("/a/0/b~1c/d", MISSING),
        ("/n", None),
    ],
)
def test_pointers(pointer, found):
    assert at(VALUE, check_pointer(pointer)) == found


@pytest.mark.parametrize(("pointer", "text"), [("/a/0/~0", "1"), ("/t", ""), ("/n", ""), ("/o", ""), ("/no", "")])
def test_only_texts_and_numbers_are_texts(pointer, text):
    assert text_at(VALUE, pointer) == text


def test_a_text_is_made_printable_and_cut():
    assert text_at({"t": " a\x1b[2J" + "x" * 200}, "/t", longest=10) == "a\\x1b[2Jxxxxx…"


@pytest.mark.parametrize("text", ["fields/status", "/" + "x" * 300])
def test_what_is_no_pointer(text):
    with pytest.raises(InvalidInput, match="JSON pointer"):
        check_pointer(text)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"a":1', b"NaN"])
def test_what_is_not_json(body):
    with pytest.raises(Unavailable, match="not JSON"):
        decoded(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_unavailable(body):
    with suppress(LapseError):
        decoded(body)


@given(JSON, st.text(max_size=30).map(lambda text: "/" + text))
def test_any_pointer_into_any_value_gives_a_printable_text(value, pointer):
    assert text_at(value, pointer).isprintable()
