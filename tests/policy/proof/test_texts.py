"""Sets of texts: what is in them, whether they can go together, and a text that shows it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.wildcards import wildcard_match
from lapse.policy.proof.texts import (
    NAMES,
    TEXTS,
    Clash,
    TooHard,
    Wanted,
    at_least_long,
    at_least_long_stripped,
    beginning,
    containing,
    disjoint,
    ending,
    exactly,
    find,
    spelled,
    wildcard,
)

LETTERS = st.text("ab-", max_size=4)
GLOBS = st.text("ab*?", min_size=1, max_size=5)
SETS = st.one_of(
    GLOBS.map(wildcard),
    LETTERS.map(beginning),
    LETTERS.map(ending),
    LETTERS.map(containing),
    LETTERS.map(exactly),
    st.integers(0, 4).map(at_least_long),
)


@given(GLOBS, st.text("ab", max_size=6))
def test_a_wildcard_has_what_the_evaluator_matches(pattern, text):
    assert wildcard(pattern).has(text) == wildcard_match(pattern, text)


@given(st.text("ab ", max_size=6), st.text("ab ", max_size=3), st.integers(1, 4))
def test_each_set_has_what_its_name_says(text, part, count):
    assert beginning(part).has(text) == text.startswith(part)
    assert ending(part).has(text) == text.endswith(part)
    assert containing(part).has(text) == (part in text)
    assert exactly(part).has(text) == (text == part)
    assert at_least_long(count).has(text) == (len(text) >= count)
    assert at_least_long_stripped(count).has(text) == (len(text.strip()) >= count)


@pytest.mark.parametrize("text", ["jira", " JIRA\t", "Jira", "jirax", "j ira", "", "K1", "\u212a1", "k1 "])
def test_a_system_is_spelled_in_any_case_with_blanks_around_it(text):
    for name in ("jira", "k1"):
        assert spelled(name).has(text) == (text.strip().lower() == name)


@settings(max_examples=300, deadline=None)
@given(
    st.frozensets(SETS, max_size=3),
    st.frozensets(SETS, max_size=3),
    st.frozensets(st.text("ab", max_size=2), max_size=3),
)
def test_what_is_found_is_as_wanted_and_a_clash_is_one(inside, outside, avoid):
    found = find(Wanted(inside, outside, TEXTS, avoid))
    if isinstance(found, Clash):
        assert found.inside <= inside
        assert found.outside <= outside
        assert found.unless <= avoid
        for text in _all_short():
            fits = all(one.has(text) for one in found.inside) and not any(one.has(text) for one in found.outside)
            assert not fits or text in found.unless
    else:
        assert found not in avoid
        assert all(one.has(found) for one in inside)
        assert not any(one.has(found) for one in outside)


def _all_short():
    texts = [""]
    for _ in range(5):
        texts += [text + char for text in texts for char in "abz-" if len(text) < 5]
    return set(texts)


@given(SETS, SETS)
def test_sets_that_are_disjoint_have_nothing_in_common(one, other):
    if disjoint(one, other):
        assert not any(one.has(text) and other.has(text) for text in _all_short())


def test_names_are_names():
    assert re.fullmatch("pg-[a-z0-9]", find(Wanted(frozenset({wildcard("pg-*")}), frozenset({exactly("pg-")}), NAMES)))
    assert isinstance(find(Wanted(frozenset({ending("-")}), frozenset(), NAMES)), Clash)
    assert isinstance(find(Wanted(frozenset({exactly("")}), frozenset(), NAMES)), Clash)


def test_preferred_words_come_first_and_are_put_beside_what_must_be_there():
    assert find(Wanted(frozenset(), frozenset()), ["ann"]) == "ann"
    assert find(Wanted(frozenset({containing("it")}), frozenset()), ["some words"]) == "it some words"
    assert find(Wanted(frozenset({ending("!")}), frozenset()), ["some words"]) == "some words !"
    assert find(Wanted(frozenset({exactly("it")}), frozenset()), ["some words"]) == "it"


def test_what_takes_too_many_states_is_too_hard():
    needles = frozenset(containing(f"{char}{'a' * 9}{char}") for char in "bcdefghijk")
    with pytest.raises(TooHard):
        find(Wanted(needles, frozenset()))
