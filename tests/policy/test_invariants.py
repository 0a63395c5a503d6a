"""What must hold for every policy and every question."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.data import from_data, to_data
from lapse.policy import Ask, Evaluation, Status, evaluate, explain_lines, parse
from support.any_policy import ASKS, LIMIT_LISTS, LIMITS, OFFER_LISTS, policy


def votes(terms):
    return sum(stage.quorum for stage in terms.stages)


@settings(max_examples=100, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, LIMITS, ASKS)
def test_a_further_limit_never_permits_more(offers, limits, further, question):
    if not offers:
        return
    before = evaluate(policy(offers, limits), question)
    after = evaluate(policy(offers, [*limits, further]), question)
    assert before.allowed or not after.allowed
    for looser, tighter in zip(before.offers, after.offers, strict=True):
        if tighter.terms is None:
            continue
        assert looser.terms is not None
        assert tighter.terms.max_duration <= looser.terms.max_duration
        assert tighter.terms.max_total <= looser.terms.max_total
        assert tighter.terms.pending_timeout <= looser.terms.pending_timeout
        assert votes(tighter.terms) >= votes(looser.terms)
        strict = {frozenset(s.approvers): s.quorum for s in tighter.terms.stages}
        assert all(strict[frozenset(s.approvers)] >= s.quorum for s in looser.terms.stages)


@settings(max_examples=100, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, ASKS, st.integers(0, 3))
def test_an_offer_less_never_permits_more(offers, limits, question, removed):
    fewer = [values for n, values in enumerate(offers) if n != removed]
    if not fewer:
        return
    assert evaluate(policy(offers, limits), question).allowed or not evaluate(policy(fewer, limits), question).allowed


@settings(max_examples=100, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, ASKS)
def test_what_is_allowed_is_allowed_by_everything_that_counts(offers, limits, question):
    if not (offers or limits):
        return
    rules = policy(offers, limits)
    evaluation = evaluate(rules, question)
    assert evaluation.allowed == (evaluation.terms is not None) == bool(evaluation.chosen)
    assert evaluation.reason
    if not evaluation.allowed:
        return
    assert all(check.status is Status.SATISFIED for check in evaluation.basics)
    assert all(limit.status in {Status.SATISFIED, Status.NOT_APPLICABLE} for limit in evaluation.limits)
    chosen = next(offer for offer in evaluation.offers if offer.name == evaluation.chosen)
    assert chosen.status is Status.SATISFIED
    assert all(check.status is Status.SATISFIED for check in chosen.checks)
    assert question.duration <= evaluation.terms.max_duration <= evaluation.terms.max_total
    assert question.total_duration <= evaluation.terms.max_total
    assert all(votes(o.terms) >= votes(evaluation.terms) for o in evaluation.offers if o.terms)


@settings(max_examples=100, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, ASKS)
def test_a_pinned_question_has_the_same_answer_for_ever(offers, limits, question):
    if not (offers or limits):
        return
    rules = policy(offers, limits)
    evaluation = evaluate(rules, question)
    pinned = from_data(Ask, to_data(question))
    assert pinned == question
    assert evaluate(parse(rules.files), pinned) == evaluation
    assert from_data(Evaluation, to_data(evaluation)) == evaluation
    assert all(line.isprintable() for line in explain_lines(evaluation, everything=True))


@settings(max_examples=100, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS, ASKS)
def test_a_rule_that_fails_never_permits(offers, limits, question):
    if not (offers or limits):
        return
    evaluation = evaluate(policy(offers, limits), replace(question, context={"risk": "?", "flag": "?"}))
    if any(limit.status is Status.FAILED for limit in evaluation.limits):
        assert not evaluation.allowed
    assert all(offer.terms is None for offer in evaluation.offers if offer.status is Status.FAILED)
