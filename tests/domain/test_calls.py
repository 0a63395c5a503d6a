"""Who is called because a request waits, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.approval import tally
from lapse.domain.approvers import Moment, rotas_of
from lapse.domain.calls import calls_due, may_be_due
from lapse.domain.catalog import Catalog
from lapse.domain.dead_ends import dead_end
from lapse.domain.delegations import Delegation
from lapse.domain.notices import NoticeKind
from lapse.domain.principals import Principal
from lapse.domain.requests import CounterOffer, Decision, Request, RequestState, Verdict
from lapse.domain.resources import Resource
from lapse.domain.terms import Escalation, Stage, Terms

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PEOPLE = ("ann", "bob", "cat", "dan", "eve")
ORG = Catalog(
    principals={name: Principal(name=name) for name in PEOPLE},
    resources={"pg": Resource(name="pg", connector="postgresql", owner="eve")},
)
FIRST = Stage(
    name="first",
    quorum=1,
    approvers=("bob", "cat"),
    remind_after=10 * MINUTE,
    escalations=(
        Escalation(after=20 * MINUTE, approvers=("dan", "bob")),
        Escalation(after=30 * MINUTE, approvers=("oncall:db",)),
    ),
)


def asked(*stages, in_parallel=False, **more):
    hour = timedelta(hours=1)
    terms = Terms(
        offer="o", max_duration=hour, max_total=hour, pending_timeout=hour, stages=stages, in_parallel=in_parallel
    )
    return Request(
        id="r",
        requester="ann",
        beneficiary="ann",
        entitlement="pg/reader",
        requested_duration=hour,
        justification="",
        terms=terms,
        policy_version="v",
        created_at=NOON,
        expires_at=NOON + hour,
        **more,
    )


def yes(who, minute):
    return Decision(
        id=f"d{minute}",
        request_id="r",
        approver=who,
        person=who,
        verdict=Verdict.APPROVE,
        stage="",
        decided_at=NOON + minute * MINUTE,
    )


def due(request, minute, *votes, on_call=(), delegations=()):
    moment = Moment(at=NOON + minute * MINUTE, on_call={"db": tuple(on_call)}, delegations=delegations)
    calls = calls_due(request, tally(request, votes, ORG, moment), ORG, moment)
    assert not calls or may_be_due(request, moment.at)
    return [(call.kind, sorted(call.persons)) for call in calls]


def test_nobody_is_called_before_it_is_time():
    assert due(asked(FIRST), 9) == []
    assert due(asked(FIRST), 10) == [(NoticeKind.REMINDER, ["bob", "cat"])]


def test_who_is_called_by_an_escalation_is_not_reminded_too():
    assert due(asked(FIRST), 20) == [(NoticeKind.ESCALATED, ["bob", "dan"]), (NoticeKind.REMINDER, ["cat"])]


def test_what_was_called_is_not_called_again():
    told = asked(FIRST, told=("remind first", "escalate first PT20M"))

    assert due(told, 25) == []
    assert due(told, 30, on_call=["eve"]) == [(NoticeKind.ESCALATED, ["eve"])]
    assert not may_be_due(replace(told, told=(*told.told, "escalate first PT30M")), NOON + 60 * MINUTE)


def test_a_delegate_is_called_with_whom_they_act_for():
    away = Delegation(
        id="del",
        principal="dan",
        delegate="eve",
        starts_at=NOON,
        ends_at=NOON + timedelta(days=1),
        reason="",
        created_by="dan",
        created_at=NOON,
    )
    told = asked(FIRST, told=("remind first",))
    assert due(told, 20, delegations=(away,)) == [(NoticeKind.ESCALATED, ["bob", "dan", "eve"])]


def test_a_later_stage_calls_from_when_it_opened():
    second = Stage(name="second", quorum=1, approvers=("owner",), remind_after=5 * MINUTE)
    request = asked(replace(FIRST, remind_after=None, escalations=()), second)

    assert due(request, 30) == []
    assert due(request, 34, yes("bob", 30)) == []
    assert due(request, 35, yes("bob", 30)) == [(NoticeKind.REMINDER, ["eve"])]


@pytest.mark.parametrize("closed", ["denied", "counter"])
def test_what_does_not_wait_for_approvers_calls_nobody(closed):
    offer = CounterOffer(
        approver="bob", entitlement="pg/reader", duration=MINUTE, reason="", offered_at=NOON, vote=yes("bob", 0)
    )
    request = asked(FIRST, state=RequestState.DENIED) if closed == "denied" else asked(FIRST).countered(offer)
    assert not may_be_due(request, NOON + 60 * MINUTE)
    assert due(request, 60) == []


def test_the_rotas_of_terms_are_all_that_are_named_anywhere():
    one = Stage(name="one", quorum=1, approvers=("oncall:web", "bob"), excluded=("oncall:night", "group:dba"))
    assert rotas_of(asked(one, FIRST).terms) == {"web", "night", "db"}


def test_a_dead_end_says_in_a_sentence_what_is_missing():
    alone = asked(Stage(name="own", quorum=2, approvers=("owner", "ann"), escalations=()))
    found = dead_end(tally(alone, (), ORG), alone, ORG)
    assert found is not None
    assert found.text == "stage `own` needs 2 more of `owner`, `ann`, and 1 of them may still decide on this request"
    nobody = asked(Stage(name="own", quorum=1, approvers=("ann",)))
    lost = dead_end(tally(nobody, (), ORG), nobody, ORG)
    assert lost is not None
    assert "and none of them may still decide" in lost.text


@pytest.mark.parametrize("in_parallel", [True, False])
def test_where_all_must_say_yes_who_does_so_in_another_stage_is_not_waited_for(in_parallel):
    everyone = Stage(name="all", quorum=1, approvers=("bob", "cat"), everyone=True)
    only_cat = Stage(name="cat", quorum=1, approvers=("cat",))
    request = asked(only_cat, everyone, in_parallel=in_parallel)
    assert dead_end(tally(request, (), ORG), request, ORG) is None
    assert tally(request, [yes("cat", 1), yes("bob", 2)], ORG).approved
