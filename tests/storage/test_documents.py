"""Documents give back what they were given, for every value that is stored."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.domain.grants import Grant
from lapse.domain.resources import Resource
from lapse.storage import shelves
from lapse.storage.documents import Documents, instant, micros
from support.domain_values import INSTANTS, any_value
from support.stores import NOW, a_grant, a_request

KINDS = {shelf.what: (shelf.documents, shelf) for shelf in vars(shelves).values() if isinstance(shelf, shelves.Shelf)}


def kind_of(shelf):
    names = {
        "target read": "TargetRead",
        "sighting": "UseSighting",
        "post-review": "Aftermath",
        "policy proposal": "Proposal",
        "notice": "Posting",
        "gateway run": "GatewayRun",
        "exception": "ReviewException",
        "review schedule": "ReviewSchedule",
        "known finding": "KnownFinding",
        "sign-in": "SignIn",
    }
    return names.get(shelf.what, shelf.what.capitalize())


@pytest.mark.parametrize("name", sorted(KINDS))
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(data=st.data())
def test_every_stored_value_is_read_back_exactly(name, data):
    documents, shelf = KINDS[name]
    value = data.draw(any_value(getattr(shelves, kind_of(shelf))))
    try:
        document = documents.encode(value)
    except InvalidInput:
        return
    assert documents.decode(document) == value
    json.loads(document)
    with suppress(OverflowError):  # any length from any instant on may lead out of the calendar
        assert len(shelf.columns(value)) == len(shelf.table.c) - 1


@given(at=INSTANTS)
def test_instants_in_columns_are_exact(at):
    assert instant(micros(at)) == at


@given(first=INSTANTS, second=INSTANTS)
def test_instants_in_columns_sort_as_time_does(first, second):
    assert (micros(first) < micros(second)) == (first < second)


def test_durations_keep_their_microseconds():
    grant = a_grant(duration=timedelta(days=3, microseconds=1))
    assert shelves.GRANTS.documents.decode(shelves.GRANTS.documents.encode(grant)) == grant


def test_read_only_mappings_are_stored_too():
    documents = Documents(Resource, "resource")
    tags = MappingProxyType({"env": "prod"})
    assert documents.decode(documents.encode(Resource(name="pg", connector="x", tags=tags))).tags == tags


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidInput, match="surrogate"):
        shelves.REQUESTS.documents.encode(a_request(justification="\ud800"))


@pytest.mark.parametrize("document", ["", "{", "null", "[]", "{}", '{"id": "g"}', '{"id": 7}', "\x00", "{}, {}"])
def test_what_is_no_such_document_is_corrupt(document):
    with pytest.raises(Corrupt, match="a stored grant cannot be read"):
        Documents(Grant, "grant").decode(document)


def test_a_time_without_an_offset_is_corrupt():
    good = shelves.GRANTS.documents.encode(a_grant(starts_at=NOW))
    with pytest.raises(Corrupt):
        shelves.GRANTS.documents.decode(good.replace("123456Z", "123456"))
