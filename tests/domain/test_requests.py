"""The life of a request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Refused
from lapse.domain.requests import REQUEST_LIFE, CounterOffer, Decision, Request, RequestEvent, RequestState, Verdict
from lapse.domain.terms import Terms
from support.domain_values import INSTANTS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUEST = Request(
    id="r1",
    requester="ann",
    beneficiary="ann",
    entitlement="pg-prod/reader",
    requested_duration=HOUR,
    justification="look at a slow query",
    terms=Terms(offer="readers", max_duration=HOUR, max_total=2 * HOUR, pending_timeout=HOUR),
    policy_version="v1",
    created_at=NOON,
    expires_at=NOON + HOUR,
)


@pytest.mark.parametrize("event", RequestEvent)
def test_every_event_closes_it_with_time_and_reason(event):
    closed = REQUEST.after(event, at=NOON, reason="because")

    assert closed.state in REQUEST_LIFE.terminal
    assert (closed.closed_at, closed.close_reason, closed.version) == (NOON, "because", 1)


@given(st.lists(st.tuples(st.sampled_from(RequestEvent), INSTANTS), min_size=1))
def test_the_first_event_decides_and_no_other_is_heard(events):
    (first, at), *rest = events
    closed = REQUEST.after(first, at=at)

    for event, later in rest:
        with pytest.raises(Refused, match=f"a request that is {closed.state} cannot be"):
            closed.after(event, at=later)


def test_what_was_asked_does_not_change_with_the_answer():
    closed = REQUEST.after(RequestEvent.APPROVE, at=NOON)

    assert closed.state is RequestState.APPROVED
    assert (closed.terms, closed.requested_duration, closed.expires_at) == (REQUEST.terms, HOUR, NOON + HOUR)


def test_an_offer_of_less_waits_and_makes_the_request_smaller_once_it_is_accepted():
    vote = Decision(
        id="d", request_id="r1", approver="bob", person="bob", verdict=Verdict.APPROVE, stage="", decided_at=NOON
    )
    offer = CounterOffer(
        approver="bob", entitlement="pg/viewer", duration=HOUR / 2, reason="enough", offered_at=NOON, vote=vote
    )
    waiting = replace(REQUEST, void=("a",), told=("remind one",)).countered(offer)
    terms = replace(REQUEST.terms, offer="viewers", pending_timeout=HOUR / 4)
    smaller = waiting.reduced(terms, "v2", ["b"])

    assert (waiting.counter, waiting.version) == (offer, REQUEST.version + 1)
    assert (smaller.entitlement, smaller.requested_duration, smaller.counter) == ("pg/viewer", HOUR / 2, None)
    assert (smaller.terms, smaller.policy_version, smaller.version) == (terms, "v2", REQUEST.version + 2)
    assert (smaller.void, smaller.told) == (("a", "b"), ())
    assert smaller.expires_at == min(REQUEST.expires_at, REQUEST.created_at + HOUR / 4)


def test_without_an_offer_nothing_is_accepted():
    with pytest.raises(Refused, match="nobody offered anything else"):
        REQUEST.reduced(REQUEST.terms, "v2", ())


def test_what_is_closed_has_no_offer():
    vote = Decision(
        id="d", request_id="r1", approver="bob", person="bob", verdict=Verdict.APPROVE, stage="", decided_at=NOON
    )
    offer = CounterOffer(
        approver="bob", entitlement="pg/viewer", duration=HOUR / 2, reason="enough", offered_at=NOON, vote=vote
    )
    assert REQUEST.countered(offer).after(RequestEvent.CANCEL, at=NOON).counter is None
