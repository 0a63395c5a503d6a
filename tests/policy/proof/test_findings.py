"""What is odd about a policy, without being asked: proved, shown by a question, or said to be unknown."""

import time
from datetime import timedelta

from lapse.policy import evaluate
from lapse.policy.proof.findings import analyse, effects
from lapse.policy.proof.noticed import Certainty, Noticed
from support.policy_world import CATALOG, limit, offer, policy

APPROVED = "approvals: [{from: owner}, {from: group:leads}]"


def odd(text, catalog=None, **more):
    return analyse(policy(text), catalog, clock=time.monotonic, **more)


def item(name, to="group:developers", what="pg-prod/*", rest=APPROVED, longest="1h"):
    return f"  - {{name: {name}, to: {to}, entitlements: '{what}', max_duration: {longest}, {rest}}}\n"


def about(found, kind):
    return [(one.about, one.certainty) for one in found if one.kind is kind]


def test_a_sound_policy_has_nothing_odd():
    two = "approvals: [{from: owner}, {from: group:leads}]"
    assert odd("offers:\n" + item("a", rest=two) + limit("max_duration: 30m\nentitlements: 'pg-prod/*'")) == ()


def test_an_offer_that_contradicts_itself_can_never_apply():
    (one,) = odd("offers:\n" + item("never", rest=APPROVED + ", when: 'resource.name == \"pg-dev\"'"))
    assert (one.kind, one.about, one.certainty) == (Noticed.DEAD_OFFER, "never", Certainty.PROVED)
    assert one.detail == "no request can ever fit it"
    assert (one.file, one.line) == ("p.yaml", 3)


def test_an_offer_that_another_always_beats_never_matters():
    found = odd(offer() + item("shadow"))
    assert about(found, Noticed.DEAD_OFFER) == [("shadow", Certainty.PROVED)]
    assert "another offer is chosen, as here `read`" in found[0].detail
    answer = evaluate(policy(offer() + item("shadow")), found[0].ask)
    assert answer.chosen == "read"
    assert [one.name for one in answer.others] == ["shadow"]


def test_an_offer_that_lasts_longer_matters_though_it_asks_as_much():
    longer = item("longer", rest="approvals: [{from: owner}]", longest="9h")
    assert about(odd(offer() + longer), Noticed.DEAD_OFFER) == []


def test_an_offer_that_limits_always_deny_is_without_effect():
    stopped = offer() + item("stopped", to="group:contractors")
    found = odd(stopped + limit("to: group:contractors\nforbid: true\nreason: no", name="nobody"))
    assert about(found, Noticed.DEAD_OFFER) == [("stopped", Certainty.PROVED)]
    assert "limits deny it, as here `nobody`" in found[0].detail


def test_a_limit_that_never_binds_changes_no_answer():
    useless = limit("max_duration: 5h", name="loose")
    (one,) = odd(offer() + useless)
    assert (one.kind, one.about, one.certainty) == (Noticed.DEAD_LIMIT, "loose", Certainty.PROVED)


def test_a_limit_beside_a_stricter_one_has_no_effect():
    found = odd(offer() + limit("max_duration: 1h", name="strict") + "  - {name: lax, max_duration: 90m}\n")
    assert about(found, Noticed.DEAD_LIMIT) == [("lax", Certainty.PROVED)]


def test_a_tier_that_can_be_had_with_nobody_deciding_is_shown():
    text = offer() + item("auto", to="group:dba", what="tag:env=prod", rest="auto_approve: {most: 2, per: 1d}")
    found = odd(text)
    assert about(found, Noticed.UNWATCHED) == [("tag:env=prod", Certainty.SHOWN)]
    assert evaluate(policy(text), found[0].ask).terms.automatic
    assert "env" in {*found[0].ask.resource.tags, *found[0].ask.entitlement.tags}


def test_one_person_who_decides_alone_is_shown():
    found = odd(offer() + limit("max_duration: 1h\nentitlements: 'pg-*/admin'"))
    assert about(found, Noticed.ONE_PERSON) == [("pg-*/admin", Certainty.SHOWN)]


def test_break_glass_is_not_without_anybody():
    glass = "break_glass: {review_within: 24h, reviewers: [group:security]}"
    found = odd("offers:\n" + item("glass", rest=glass) + limit("max_duration: 30m\nentitlements: 'pg-prod/*'"))
    assert about(found, Noticed.UNWATCHED) == []


def test_access_that_is_very_long_and_access_without_end_of_it():
    found = odd("offers:\n" + item("auto", rest="auto_approve: true", longest="200h"))
    assert about(found, Noticed.LONG) == [("auto", Certainty.SHOWN)]
    assert about(found, Noticed.ENDLESS) == [("auto", Certainty.SHOWN)]
    bounded = odd("offers:\n" + item("auto", rest="auto_approve: true, cooldown: 2h"), longest=timedelta(minutes=30))
    assert about(bounded, Noticed.LONG) == [("auto", Certainty.SHOWN)]
    assert about(bounded, Noticed.ENDLESS) == []


def test_a_limit_that_bounds_how_often_is_seen():
    text = "offers:\n" + item("auto", rest="auto_approve: true") + limit("cooldown: 2h")
    assert about(odd(text), Noticed.ENDLESS) == []


def test_a_quorum_of_more_than_are_named_or_there():
    many = item("many", rest="approvals: [{from: [lea, tim], quorum: 3}]")
    assert about(odd("offers:\n" + many), Noticed.QUORUM) == [("many", Certainty.PROVED)]
    few = item("few", to="group:security", rest="approvals: [{from: group:security, quorum: 2}]")
    found = odd("offers:\n" + few, CATALOG)
    assert about(found, Noticed.QUORUM) == [("few", Certainty.PROVED)]
    assert found[0].detail.startswith("2 of 2 who may ask for `pg-prod/reader` can never get enough approvals")


def test_who_is_on_call_is_not_known():
    on_call = item("duty", rest="approvals: [{from: 'oncall:db', quorum: 1}]")
    found = odd("offers:\n" + on_call, CATALOG)
    assert about(found, Noticed.QUORUM) == [("duty", Certainty.UNKNOWN)]


def test_what_is_not_decided_in_time_is_said():
    found = odd(offer() + limit("max_duration: 1h\nentitlements: 'pg-*/admin'"), timeout=0)
    assert {one.certainty for one in found} == {Certainty.UNKNOWN}
    assert {one.kind for one in found} == {Noticed.UNWATCHED, Noticed.DEAD_OFFER, Noticed.DEAD_LIMIT}
    assert str(found[0]).startswith("`pg-*/admin`: not known whether it is `nobody decides`")


def test_what_is_not_modelled_leaves_a_doubt():
    found = odd(offer("when: context.risk < 5"))
    assert about(found, Noticed.DEAD_OFFER) == [("read", Certainty.UNKNOWN)]
    assert "not modelled" in found[0].detail


def test_facts_that_contradict_one_another_are_told_and_not_used():
    facts = (
        "facts:\n  - disjoint: [group:a, group:b]\n"
        "  - {subset: group:developers, of: group:a}\n  - {subset: group:developers, of: group:b}\n"
    )
    found = odd(facts + offer())
    assert about(found, Noticed.FACTS) == [("facts", Certainty.PROVED)]
    assert about(found, Noticed.DEAD_OFFER) == []


def test_whether_each_rule_ever_decides_anything():
    text = offer() + item("shadow") + limit("max_duration: 5h", name="loose")
    said = {rule.name: effect.decisive for rule, effect in effects(policy(text), clock=time.monotonic)}
    assert said == {"read": True, "shadow": False, "loose": False}
    late = [effect.decisive for _, effect in effects(policy(text), clock=time.monotonic, timeout=0)]
    assert late == [None, None, None]
    long = "offers:\n" + item("long", longest="200h")
    assert [effect.decisive for _, effect in effects(policy(long), clock=time.monotonic)] == [True]


def test_a_limit_of_which_it_is_not_known():
    found = odd(offer() + limit("when: context.risk > 5\nmax_duration: 1h", name="risky"))
    assert about(found, Noticed.DEAD_LIMIT) in ([], [("risky", Certainty.UNKNOWN)])
    hidden = odd(offer() + limit("when: has(context.risk) && context.risk > 5\nmax_duration: 1h", name="risky"))
    assert about(hidden, Noticed.DEAD_LIMIT) == [("risky", Certainty.UNKNOWN)]
