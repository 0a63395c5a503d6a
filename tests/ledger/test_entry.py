from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from lapse.ledger.canonical import decode, encode
from lapse.ledger.entry import changed, created
from support.ledgers import START


@dataclass(frozen=True)
class Thing:
    id: str
    state: str
    life: timedelta


THING = Thing(id="t-1", state="new", life=timedelta(hours=2))


def test_a_new_thing_is_recorded_whole():
    entry = created("thing.created", THING, THING.id, at=START, actor="alice", policy_version="p1", via="api")
    assert (entry.before, entry.after) == (None, {"id": "t-1", "state": "new", "life": "PT2H"})
    assert (entry.policy_version, entry.context) == ("p1", {"via": "api"})
    assert decode(encode(entry)) == entry


def test_of_a_change_the_fields_that_differ_are_recorded():
    entry = changed("thing.ended", THING, replace(THING, state="ended"), THING.id, at=START, actor="alice", lag_ms=4)
    assert (entry.before, entry.after, entry.context) == ({"state": "new"}, {"state": "ended"}, {"lag_ms": 4})
    assert decode(encode(entry)) == entry


def test_only_things_with_fields_are_recorded():
    with pytest.raises(TypeError, match="str is not recorded as an object"):
        created("thing.created", "text", "t-1", at=START, actor="alice")
