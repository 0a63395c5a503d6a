"""Values as JSON data and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.actors import Actor, Scope
from lapse.domain.data import changed_fields, changes, from_data, to_data
from lapse.domain.errors import Corrupt
from lapse.domain.locks import Lock, LockKind
from lapse.domain.requests import Ticket
from support.domain_values import any_value, domain_values

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOCK = Lock(id="l1", kind=LockKind.RESOURCE, target="pg-prod", reason="leak", created_by="ann", created_at=NOON)


@pytest.mark.parametrize("kind", domain_values(), ids=lambda kind: kind.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_every_value_survives_the_way_to_json_text_and_back(kind, data):
    value = data.draw(any_value(kind))

    assert from_data(kind, json.loads(json.dumps(to_data(value)))) == value


def test_times_durations_enums_and_sets_have_one_spelling():
    actor = Actor(name="ann", scopes=frozenset({Scope.REVIEW, Scope.ADMIN}))

    assert to_data(actor) == {"name": "ann", "scopes": ["admin", "review"], "via": "api"}
    assert to_data(NOON) == "2026-03-01T12:00:00.000000Z"
    assert to_data(timedelta(hours=2)) == "PT2H"
    assert to_data([1, 2.5, None, True]) == [1, 2.5, None, True]


def test_what_has_no_spelling_is_a_programming_error():
    with pytest.raises(TypeError, match="bytes has no spelling as data"):
        to_data(b"raw")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"system": "jira"},
        {"system": "jira", "number": 5},
        {"system": "jira", "number": None},
        "Ticket(system='jira', number='1')",
    ],
)
def test_data_that_is_not_the_value_is_corrupt(data):
    with pytest.raises(Corrupt, match="stored Ticket cannot be read"):
        from_data(Ticket, data)


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01T00:00:00Z", 17, "2026-03-01T12:00:00"])
def test_a_stored_time_must_be_a_time_with_its_offset(when):
    with pytest.raises(Corrupt, match="stored Lock cannot be read"):
        from_data(Lock, to_data(LOCK) | {"created_at": when})


def test_a_state_that_does_not_exist_is_corrupt():
    with pytest.raises(Corrupt, match=r"kind"):
        from_data(Lock, to_data(LOCK) | {"kind": "universe"})


def test_changes_name_only_what_differs_in_order_of_definition():
    after = replace(LOCK, removed_by="bob", removed_at=NOON, version=1)

    assert changed_fields(LOCK, after) == ("removed_by", "removed_at", "version")
    assert changes(LOCK, after) == (
        {"removed_by": "", "removed_at": None, "version": 0},
        {"removed_by": "bob", "removed_at": "2026-03-01T12:00:00.000000Z", "version": 1},
    )
    assert changed_fields(LOCK, LOCK) == ()


@given(before=any_value(Lock), after=any_value(Lock))
def test_a_value_plus_its_changes_is_the_other_value(before, after):
    _, now = changes(before, after)

    assert from_data(Lock, to_data(before) | now) == after


def test_values_of_other_rooms_can_be_data_too():
    @dataclass(frozen=True)
    class Mine:
        seen: tuple[datetime, ...]

    assert to_data(Mine(seen=(NOON,))) == {"seen": ["2026-03-01T12:00:00.000000Z"]}
