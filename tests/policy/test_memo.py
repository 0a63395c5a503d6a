"""A replay answers a question as the evaluator does, however many it has answered before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.domain.requests import Ticket
from lapse.policy import History, PastGrant, PastRequest, TicketFacts, TicketStatus, evaluate, parse
from lapse.policy import memo as memo_module
from lapse.policy.memo import Memo
from lapse.policy.recorded import AskReader, RecordedAsk, decoded, recorded
from support.any_policy import ASKS, LIMIT_LISTS, OFFER_LISTS
from support.any_policy import policy as policy_of
from support.policy_world import HOUR, TUESDAY, ask, limit, offer, policy

MINUTE = timedelta(minutes=1)
MOMENTS = st.integers(-200, 60).map(lambda quarter: TUESDAY + 15 * MINUTE * quarter)
GRANTS = st.builds(
    lambda begins, hours, what: PastGrant(entitlement=what, begins_at=begins, ends_at=begins + hours * HOUR),
    MOMENTS,
    st.sampled_from([0.5, 1, 3]),
    st.sampled_from(["pg-prod/reader", "pg-dev/admin"]),
)
REQUESTS = st.builds(PastRequest, at=MOMENTS, offer=st.sampled_from(["offers-0", "read"]), automatic=st.booleans())
HISTORIES = st.none() | st.builds(
    History,
    since=st.sampled_from([TUESDAY - 1000 * HOUR, TUESDAY - 2 * HOUR]),
    grants=st.lists(GRANTS, max_size=3).map(tuple),
    requests=st.lists(REQUESTS, max_size=4).map(tuple),
    justifications=st.lists(st.sampled_from(["because of it", "7"]), max_size=2).map(tuple),
    pending=st.integers(0, 3),
    overdue_reviews=st.sampled_from([(), ("aft_1",)]),
)
TICKETS = st.none() | st.builds(TicketFacts, status=st.sampled_from(list(TicketStatus)), looked_up_at=MOMENTS)
PAST_RULES = (
    offer("budget: {most: 3h, per: 1d}\ncooldown: 1h", "steady")
    + "  - {name: quick, to: anyone, entitlements: '*/*', max_duration: 1h, auto_approve: {most: 1, per: 3h}}\n"
    + "  - {name: wiki, to: anyone, entitlements: wiki/*, when: 'principal.name < \"t\"', max_duration: 2h,\n"
    + "     approvals: [{from: lea}]}\n"
    + "  - {name: loud, to: group:dba, entitlements: '*/*', max_duration: 1h,\n"
    + "     break_glass: {review_within: 1d, reviewers: lea}}\n"
    + limit("quota: {most: 2, per: 2h, pending: 2}", "few")
    + "  - {name: checked, entitlements: '*/admin', ticket: {checked: true, if_unreachable: allow}}\n"
    + "  - {name: said, entitlements: '*/writer', justification: {min_length: 5, unlike_last: 1, real: true}}\n"
    + "  - {name: bots, when: 'requester.kind == \"agent\" && !request.for_self', forbid: true, reason: no}\n"
    + "  - {name: freeze, when: 'request.starts_at >= timestamp(\"2026-03-03T12:00:00Z\")', max_duration: 30m}\n"
)


def agrees(memo, rules, question):
    """The memo's answer is the evaluator's; what could be shorter is really allowed, and nothing longer on offer."""
    answer, person = memo.answer(recorded(question))
    evaluation = evaluate(rules, question)
    assert person == (question.beneficiary.person or question.beneficiary.name)
    assert (answer.terms is None) == (evaluation.terms is None), evaluation.reason
    if evaluation.terms is not None:
        assert replace(answer.terms, pending_timeout=HOUR) == replace(evaluation.terms, pending_timeout=HOUR)
    if answer.shorter is not None:
        left = question.duration - answer.shorter
        less = replace(question, duration=answer.shorter, total_duration=question.total_duration - left)
        assert evaluate(rules, less).allowed


@settings(max_examples=150, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, st.lists(ASKS, min_size=1, max_size=6))
def test_any_questions_are_answered_as_the_evaluator_answers_them(offers, limits, questions):
    if offers or limits:
        rules = policy_of(offers, limits)
        memo = Memo(rules)
        for question in questions:
            agrees(memo, rules, question)


FEW = [
    ask("alice", "pg-prod/writer", justification="because of it"),
    ask("dora", "pg-dev/admin", justification="because of it"),
    ask("tim", "wiki/reader"),
    ask("sam", "wiki/reader"),
    ask("alice", "pg-prod/reader", beneficiary="bot"),
]
PAST = st.builds(
    lambda question, early, history, facts, loud: replace(
        question,
        at=TUESDAY + early * HOUR,
        history=history,
        ticket_facts=facts,
        break_glass=loud,
        ticket=Ticket(system="jira", number="1"),
    ),
    st.sampled_from(FEW),
    st.sampled_from([0, 1, 3]),
    HISTORIES,
    TICKETS,
    st.booleans(),
)
PAST_POLICY = policy(PAST_RULES)
SHARED = Memo(PAST_POLICY)


@settings(max_examples=600, deadline=None)
@given(PAST)
def test_what_there_was_before_counts_as_it_does_for_the_evaluator(question):
    """One memo for all examples: nothing that was answered before may leak into another question."""
    agrees(SHARED, PAST_POLICY, question)


def test_equal_questions_of_different_people_are_evaluated_once():
    rules = policy(offer() + limit("when: principal.kind == 'person'\nmax_duration: 1h"))
    memo = Memo(rules)
    for who in ("alice", "bob", "carl") * 3:
        assert memo.answer(recorded(ask(who, hours=1)))[0].terms is not None
    assert memo.evaluated == 1
    assert memo.answer(recorded(ask("alice", hours=2)))[0].shorter == HOUR


def test_a_window_that_closes_is_not_a_kind_of_its_own_for_every_minute():
    windows = 'windows: [{days: mon-fri, from: "09:00", to: "17:00", timezone: UTC}]'
    memo = Memo(policy(offer(windows)))
    answers = [memo.answer(recorded(ask(hours=2, at=TUESDAY + minute * MINUTE)))[0] for minute in range(600)]
    assert sum(answer.terms is not None for answer in answers) == 301
    assert memo.evaluated <= 4


def test_a_rule_that_needs_what_nobody_recorded_cannot_be_replayed():
    rules = policy(offer("budget: {most: 3h, per: 1d}"))
    answer, _ = Memo(rules).answer(recorded(ask(history=None)))
    assert (answer.lacking, answer.terms) == (True, None)
    assert not Memo(rules).answer(recorded(ask(history=None, what="wiki/reader")))[0].lacking


def test_how_many_wait_is_all_that_some_quotas_look_at():
    rules = policy(offer() + limit("quota: {pending: 2}"))
    memo = Memo(rules)
    for pending in (0, 1, 2, 5):
        agrees(memo, rules, ask(history=History(since=TUESDAY, pending=pending)))
    assert memo.evaluated == 2


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(memo_module, "MOST_KEPT", 5)
    monkeypatch.setattr(memo_module, "MOST_PAIRS", 2)
    rules = policy(offer())
    memo = Memo(rules)
    for minutes in range(1, 30):
        for who in ("alice", "bob", "carl", "sam"):
            agrees(memo, rules, ask(who, hours=minutes / 60))


def test_the_words_are_those_of_the_evaluator():
    question = ask(hours=9)
    rules = policy(offer())
    assert Memo(rules).reason(recorded(question)) == evaluate(rules, question).reason


def test_a_recorded_question_is_the_question_that_was_asked():
    question = ask(history=History(since=TUESDAY), ticket=Ticket(system="jira", number="1"), context={"risk": 3})
    read = recorded(question)
    assert AskReader().whole(read).ask(read) == question
    assert read.begins_at == question.begins_at


@pytest.mark.parametrize("damage", [b'{"at":1}', b"nonsense", b'{"requester":' + b"[" * 5000])
def test_a_damaged_question_is_corrupt(damage):
    with pytest.raises(Corrupt, match="cannot be read"):
        decoded(RecordedAsk, damage)


def test_a_damaged_part_is_corrupt():
    memo = Memo(parse({"p.yaml": "version: 1\n" + offer()}))
    read = recorded(ask())
    with pytest.raises(Corrupt):
        memo.answer(decoded(RecordedAsk, encoded(read).replace(b'"kind":"person"', b'"kind":5')))


def encoded(read):
    import msgspec

    return msgspec.json.encode(read)
