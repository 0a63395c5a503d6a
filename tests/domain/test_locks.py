"""Locks: what each kind covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog
from lapse.domain.locks import Lock, LockKind, covering_lock
from lapse.domain.principals import Principal, PrincipalKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def lock(kind, target=""):
    return Lock(id="l1", kind=kind, target=target, reason="leak", created_by="ann", created_at=NOON)


@pytest.mark.parametrize(
    ("held", "covered"),
    [
        (lock(LockKind.EVERYTHING), True),
        (lock(LockKind.PRINCIPAL, "bob"), True),
        (lock(LockKind.PRINCIPAL, "ann"), False),
        (lock(LockKind.PRINCIPAL, "bo"), False),
        (lock(LockKind.RESOURCE, "pg-prod"), True),
        (lock(LockKind.RESOURCE, "pg"), False),
        (lock(LockKind.RESOURCE, "pg-prod/reader"), False),
        (lock(LockKind.ENTITLEMENT, "pg-prod/reader"), True),
        (lock(LockKind.ENTITLEMENT, "pg-prod/read"), False),
        (lock(LockKind.ENTITLEMENT, "pg-prod"), False),
    ],
)
def test_a_lock_covers_exactly_what_it_names(held, covered):
    assert held.covers(principals=["bot", "bob"], entitlement="pg-prod/reader") is covered


@given(st.sampled_from(LockKind), st.sampled_from(["bob", "pg-prod", "pg-prod/reader"]))
def test_a_lock_that_was_removed_covers_nothing(kind, target):
    removed = replace(lock(kind, target), removed_by="cat", removed_at=NOON)

    assert not removed.covers(principals=["bob"], entitlement="pg-prod/reader")


@given(st.sampled_from(LockKind), st.text(max_size=5), st.lists(st.text(max_size=5)))
def test_more_principals_never_uncover(kind, target, principals):
    held = lock(kind, target)
    if held.covers(principals=principals, entitlement="pg/reader"):
        assert held.covers(principals=[*principals, "one-more"], entitlement="pg/reader")


PEOPLE = Catalog(
    principals={
        one.name: one
        for one in (
            Principal(name="ann"),
            Principal(name="ann-admin", alias_of="ann"),
            Principal(name="bot", kind=PrincipalKind.AGENT, sponsor="ann-admin"),
            Principal(name="bot-2", alias_of="bot"),
            Principal(name="cron", kind=PrincipalKind.SERVICE, owner="ann"),
            Principal(name="zoe"),
        )
    }
)
ANNS = ["ann", "ann-admin", "bot", "bot-2", "cron"]


@pytest.mark.parametrize(
    ("target", "covered"),
    [
        ("ann", ANNS),
        ("ann-admin", ANNS),
        ("bot", ["bot", "bot-2"]),
        ("bot-2", ["bot", "bot-2"]),
        ("cron", ["cron"]),
        ("zoe", ["zoe"]),
        ("nobody", ["nobody"]),
    ],
)
def test_a_lock_on_any_name_covers_who_stands_and_acts_for_it(target, covered):
    held = lock(LockKind.PRINCIPAL, target)
    names = [*PEOPLE.principals, "nobody"]
    assert [name for name in names if covering_lock([held], PEOPLE, [name], "pg/reader")] == covered


def test_the_first_lock_in_force_is_named():
    gone = replace(lock(LockKind.EVERYTHING), id="l0", removed_by="cat", removed_at=NOON)
    other = replace(lock(LockKind.RESOURCE, "pg"), id="l2")
    found = covering_lock([gone, lock(LockKind.PRINCIPAL, "zoe"), other], PEOPLE, ["ann"], "pg/reader")
    assert found == other
    assert covering_lock([gone], PEOPLE, ["ann"], "pg/reader") is None
