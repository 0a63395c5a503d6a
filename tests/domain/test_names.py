"""Names and prose, checked where they enter."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.names import (
    LONGEST_NATIVE,
    LONGEST_TEXT,
    check_name,
    check_native,
    check_text,
    is_printable,
    shown,
    split_entitlement,
)
from support.domain_values import NAMES

HOSTILE = [
    "",
    " ",
    "-rf",
    ".hidden",
    "..",
    "a/b",
    "a..b/..",
    "Alice",
    "al ice",
    "alice\n",
    "alice\x00",
    "älice",
    "аlice",  # noqa: RUF001  the Cyrillic letter is the point
    "alice;drop table grants",
    'al"ice',
    "al'ice",
    "${HOME}",
    "a" * 129,
    "a" * 1_000_000,
    "\u202eecila",
]


@pytest.mark.parametrize("name", ["a", "alice", "pg-prod", "bob.smith@example.com", "0", "a" * 128, "x+y_z"])
def test_names_are_plain(name):
    assert check_name(name) == name


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_safe_everywhere_is_no_name(text):
    with pytest.raises(InvalidInput, match="is not a resource name") as refused:
        check_name(text, what="resource name")
    assert is_printable(str(refused.value))
    assert len(str(refused.value)) < 700


@given(NAMES)
def test_a_name_is_the_same_in_a_url_path(name):
    assert quote(check_name(name), safe="@+") == name


@given(st.text())
def test_any_text_is_a_safe_name_or_a_printable_refusal(text):
    try:
        name = check_name(text)
    except InvalidInput as refused:
        assert is_printable(str(refused))  # noqa: PT017  both outcomes are right
    else:
        assert name.isascii()
        assert not {"/", "\\", " ", "'", '"', "\n"} & set(name)


@pytest.mark.parametrize("name", ['Robert"); DROP TABLE', "O'Brien", "ролл", "a b", "x" * LONGEST_NATIVE])
def test_a_name_on_a_target_may_be_anything_that_can_be_shown(name):
    assert check_native(name) == name


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "\x1b[31m", "\u202eabc", "\ud800", "x" * (LONGEST_NATIVE + 1)])
def test_a_name_on_a_target_that_cannot_be_shown_is_refused(name):
    with pytest.raises(InvalidInput, match="is not a role on the target"):
        check_native(name, what="role on the target")


def test_prose_is_stripped_and_keeps_its_lines():
    assert check_text("  two\n\tlines \n", what="justification") == "two\n\tlines"
    assert check_text("", what="justification") == ""


def test_a_megabyte_of_justification_is_refused_in_one_short_sentence():
    with pytest.raises(InvalidInput, match=r"^the justification has 1000000 characters, 4000 at most$"):
        check_text("x" * 1_000_000, what="justification")
    assert len(check_text("x" * LONGEST_TEXT, what="justification")) == LONGEST_TEXT


@pytest.mark.parametrize("text", ["a\x00", "a\x07b", "\x1b[2J", "\u202eabc", "a\u2028b", "a\rb"])
def test_prose_cannot_play_with_the_terminal(text):
    with pytest.raises(InvalidInput, match="the reason contains a control character"):
        check_text(text, what="reason")


def test_an_entitlement_is_a_resource_and_a_role():
    assert split_entitlement("pg-prod/reader") == ("pg-prod", "reader")


@pytest.mark.parametrize("text", ["pg-prod", "", "/", "pg/", "/reader", "pg/a/b", "PG/reader", "pg/rea der"])
def test_what_is_not_resource_and_role_is_refused(text):
    with pytest.raises(InvalidInput):
        split_entitlement(text)


@given(NAMES, NAMES)
def test_an_entitlement_splits_into_what_it_was_made_of(resource, role):
    assert split_entitlement(f"{resource}/{role}") == (resource, role)


@given(st.text(), st.integers(0, 80))
def test_whatever_is_shown_can_be_printed_and_is_short(text, longest):
    safe = shown(text, longest)

    assert is_printable(safe)
    assert safe.encode().decode() == safe
    assert len(safe) <= longest * len("\\U0010ffff") + 1


def test_what_is_shown_is_cut_and_escaped():
    assert shown("plain") == "plain"
    assert shown("a\x1b[31mb") == "a\\x1b[31mb"
    assert shown("x" * 100) == "x" * 60 + "…"
