"""Periods out of events that gave and took access, in whatever order the events lie there."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.review.sources.periods import Changes

BEGIN = datetime(2026, 7, 1, tzinfo=UTC)


def at(hours):
    return BEGIN + timedelta(hours=hours)


def periods(*steps, begin=BEGIN, most=100):
    """`steps` are (hour, name of the method, its arguments)."""
    with closing(Changes(most)) as changes:
        for hour, act, *rest in steps:
            getattr(changes, act)(at(hour), *rest)
        held = changes.held(begin)
        found = [(p.account, p.role, _hour(p.since), _hour(p.until), p.known) for p in held.periods()]
        return sorted(found, key=str), held


def _hour(moment):
    return None if moment is None else (moment - BEGIN) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([(1, "give", "ann", "r"), (3, "take", "ann", "r")], [("ann", "r", 1, 3, True)]),
        ([(3, "take", "ann", "r"), (1, "give", "ann", "r")], [("ann", "r", 1, 3, True)]),
        ([(1, "give", "ann", "r"), (2, "give", "ann", "r")], [("ann", "r", 1, None, True)]),
        ([(3, "take", "ann", "r"), (4, "take", "ann", "r")], [("ann", "r", 0, 3, False)]),
        ([(1, "give", "ann", "r"), (1, "take", "ann", "r")], [("ann", "r", 1, 1, True)]),
        (
            [(1, "give", "ann", "a"), (1, "give", "ann", "b"), (2, "drop", "ann")],
            [("ann", "a", 1, 2, True), ("ann", "b", 1, 2, True)],
        ),
        (
            [(1, "settle", "ann", "x/", ["x/a", "x/b"]), (2, "settle", "ann", "x/", ["x/b", "x/c"])],
            [("ann", "x/a", 1, 2, True), ("ann", "x/b", 1, None, True), ("ann", "x/c", 2, None, True)],
        ),
        (
            [(0, "give", "ann", "y"), (1, "settle", "ann", "x/", ["x/a"]), (2, "settle", "ann", "x/", [])],
            [("ann", "x/a", 1, 2, True), ("ann", "y", 0, None, True)],
        ),
        (
            [
                (1, "bind", "b", [("ann", "r")]),
                (2, "bind", "c", [("ann", "r")]),
                (3, "unbind", "b"),
                (4, "unbind", "c"),
            ],
            [("ann", "r", 1, 4, True)],
        ),
        (
            [(1, "bind", "b", [("ann", "r")]), (2, "bind", "b", [("bob", "r")])],
            [("ann", "r", 1, 2, True), ("bob", "r", 2, None, True)],
        ),
        ([(2, "unbind", "b", [("ann", "r")], at(-5))], [("ann", "r", -5, 2, True)]),
        ([(2, "unbind", "b", [("ann", "r")])], [("ann", "r", 0, 2, False)]),
        (
            [(1, "bind", "a/1", [("ann", "r")]), (1, "bind", "b/1", [("bob", "r")]), (2, "sweep", "a/")],
            [("ann", "r", 1, 2, True), ("bob", "r", 1, None, True)],
        ),
    ],
)
def test_periods_are_from_when_it_was_given_until_it_was_taken(steps, found):
    assert periods(*steps)[0] == sorted(found, key=str)


def test_bindings_that_were_never_seen_and_more_than_can_be_followed_are_counted():
    assert periods((1, "unbind", "b"))[1].unseen == 1
    found, held = periods(*((n, "give", f"u{n}", "r") for n in range(5)), most=3)
    assert (len(found), held.left_out) == (3, 2)


steps = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["give", "take"]), st.sampled_from("ab"), st.sampled_from("rs")),
    max_size=12,
    unique_by=lambda step: (step[0], step[2], step[3]),
)


@settings(deadline=None)
@given(steps, st.randoms())
def test_the_order_of_events_in_the_files_makes_no_difference(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    assert periods(*found)[0] == periods(*shuffled)[0]


@settings(deadline=None)
@given(steps)
def test_what_is_held_at_the_end_is_what_was_given_last(found):
    last = {}
    for _, act, account, role in sorted(found):
        last[account, role] = act
    open_ones = {(account, role) for account, role, _, until, _ in periods(*found)[0] if until is None}
    assert open_ones == {pair for pair, act in last.items() if act == "give"}
