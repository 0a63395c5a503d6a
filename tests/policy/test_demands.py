"""What a request must say: justifications that mean something, tickets that are open; and offers to agents."""

from __future__ import annotations

import pytest

from lapse.domain.requests import Ticket
from lapse.domain.terms import Escalation
from lapse.policy import History, Status, TicketFacts, TicketStatus, evaluate, needed_facts
from lapse.policy.justifications import is_boilerplate
from support.policy_world import HOUR, TUESDAY, ask, limit, offer, policy

JIRA = Ticket(system="jira", number="OPS-7")


def answer(text, **facts):
    return evaluate(policy(text), ask(**facts))


@pytest.mark.parametrize(
    "text",
    ["test", "asdf asdf", "access needed", "need prod db access please", "aaaa bbbb", "....", "because", "x y z"],
)
def test_boilerplate(text):
    assert is_boilerplate(text)


@pytest.mark.parametrize(
    "text", ["refund for customer 8841 is stuck", "rotating the replica's certificate", "Störung Zahlungsabgleich"]
)
def test_sentences_that_say_something(text):
    assert not is_boilerplate(text)


def test_a_real_justification():
    text = offer("justification: {real: true}")
    assert answer(text, justification="checking why invoice 31 failed").allowed
    denied = answer(text, justification="testing stuff")
    assert (
        denied.reason
        == "no offer fits: `read` needs a justification that says what this access is for, and this one does not"
    )
    assert "needs a justification (none given)" in answer(text).reason


def test_a_justification_unlike_the_last_ones():
    text = offer("justification: {unlike_last: 2}")
    before = ("checking invoice 30", "Checking  invoice 31!", "checking invoice 32")
    history = History(since=TUESDAY, justifications=before)
    assert not answer(text, justification="checking invoice 31", history=history).allowed
    assert answer(text, justification="checking invoice 32", history=history).allowed
    assert answer(text, justification="checking invoice 31", history=None).offers[0].status is Status.FAILED


CHECKED = offer("ticket: {systems: jira, checked: true}")


@pytest.mark.parametrize(
    ("status", "allowed", "words"),
    [
        (TicketStatus.OPEN, True, ""),
        (TicketStatus.CLOSED, False, "needs `jira:OPS-7` to be open, and it is closed (done in May)"),
        (TicketStatus.UNKNOWN, False, "and it does not exist"),
        (TicketStatus.UNREACHABLE, False, "and its system does not answer"),
    ],
)
def test_a_checked_ticket_is_open(status, allowed, words):
    facts = TicketFacts(status=status, detail="done in May")
    evaluation = answer(CHECKED, ticket=JIRA, ticket_facts=facts)
    assert evaluation.allowed is allowed
    assert words in evaluation.reason


def test_a_ticket_that_nobody_looked_up_is_a_denial():
    assert answer(CHECKED, ticket=JIRA).offers[0].status is Status.FAILED


def test_a_rule_can_take_a_ticket_unseen():
    text = offer("ticket: {systems: jira, checked: true, if_unreachable: allow}")
    unreachable = TicketFacts(status=TicketStatus.UNREACHABLE)
    assert answer(text, ticket=JIRA, ticket_facts=unreachable).allowed
    assert not answer(text, ticket=Ticket(system="other", number="7"), ticket_facts=unreachable).allowed


def test_an_offer_reaches_an_agent_only_if_it_says_so():
    assert not answer(offer(), who="bot").allowed
    evaluation = answer(offer("kinds: agent\npurpose: nightly report"), who="bot")
    assert evaluation.terms.purpose == "nightly report"
    assert not answer(offer("kinds: agent\npurpose: nightly report"), who="alice").allowed


def test_a_limit_can_be_about_agents_alone():
    text = offer("kinds: [person, agent]\npurpose: nightly report") + limit("kinds: agent\nmax_duration: 10m")
    assert answer(text, who="alice").allowed
    assert not answer(text, who="bot").allowed


def test_stages_of_offer_and_limit_become_as_strict_as_both():
    mine = "approvals: [{from: owner, except: bob, remind_after: 1h, escalate: [{after: 2h, to: lea}]}]"
    theirs = "approvals: [{from: owner, quorum: all, except: tim, remind_after: 30m}]"
    text = offer(approved_by="").replace("auto_approve: true", mine) + limit(theirs)
    (stage,) = answer(text).terms.stages
    assert (stage.quorum, stage.everyone, stage.excluded) == (1, True, ("bob", "tim"))
    assert stage.remind_after == HOUR / 2
    assert stage.escalations == ()


def test_escalations_come_in_order_of_time():
    steps = "escalate: [{after: 2h, to: [lea]}, {after: 30m, to: ['oncall:db']}]"
    text = offer(approved_by="").replace("auto_approve: true", f"approvals: [{{from: owner, {steps}}}]")
    (stage,) = answer(text).terms.stages
    assert stage.escalations == (
        Escalation(after=HOUR / 2, approvers=("oncall:db",)),
        Escalation(after=2 * HOUR, approvers=("lea",)),
    )


def test_parallel_stages_read_so():
    text = offer(approved_by="").replace(
        "auto_approve: true", "approvals: [{from: owner}, {from: 'group:dba', quorum: all}]\n    approvals_in: parallel"
    )
    evaluation = answer(text)
    assert evaluation.terms.in_parallel
    assert evaluation.reason == "offer `read` allows it with approval by 1 of `owner` and all of `group:dba`"


def test_only_the_facts_that_rules_about_the_entitlement_look_at_are_needed():
    text = offer("budget: {most: 1h, per: 7d}\njustification: {unlike_last: 4}\nticket: {checked: true}") + limit(
        "entitlements: wiki/*\nquota: {pending: 3}\ncooldown: 20d"
    )
    needed = needed_facts(policy(text), ask())
    assert (needed.lookback, needed.justifications, needed.ticket) == (7 * 24 * HOUR, 4, True)
    assert (needed.pending, needed.post_reviews, needed.history) == (False, False, True)
    other = needed_facts(policy(text), ask(what="wiki/reader"))
    assert (other.lookback, other.pending, other.ticket) == (20 * 24 * HOUR, True, False)
    assert not needed_facts(policy(offer()), ask()).history
