"""Expressions that other people write: what they find, and that none of them can stall a process."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.regexes import check_regex, regex_found, regex_replaced


@pytest.mark.parametrize("text", [r"(?i)\bdrop\s+table\b", "pg_sleep", r"^\s*lock\b", "é+"])
def test_an_expression_is_returned_as_it_is(text):
    assert check_regex(text) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 1_001, "a\nb", "(", r"(?=a)", r"(a)\1", "a{1000}{1000}", "(((a{99}){99}){99})"]
)
def test_what_is_none_or_cannot_be_bounded_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a regular expression"):
        check_regex(text)


@given(st.lists(st.sampled_from(["a", "b", ".", "a*", "(a|b)+", "^", "$"]), max_size=6), st.text("ab", max_size=8))
def test_the_simple_ones_find_what_python_finds(parts, text):
    pattern = "".join(parts) or "a"

    assert regex_found(pattern, text) is bool(re.search(pattern, text))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)x", r"a*a*a*a*a*a*b"])
def test_an_expression_that_explodes_elsewhere_is_linear_here(pattern):
    started = time.process_time()

    regex_found(pattern, "a" * 200_000 + "!")

    assert time.process_time() - started < 2


def test_what_is_found_is_replaced_literally():
    assert regex_replaced("b+", ["abba", "x", ""], r"\0$1") == [r"a\0$1a", "x", ""]
