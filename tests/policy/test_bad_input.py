"""Hostile and broken input to a decision: a clear sentence, and denial where one was asked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal
from lapse.policy import PolicyErrors, ask_for, decide, evaluate, parse
from support.policy_world import CATALOG, NOTHING, TUESDAY, ask, limit, offer, policy


def catalog(groups, *people):
    return Catalog(
        principals={name: Principal(name=name) for name in people},
        groups={name: Group(name=name, members=members, groups=inner) for name, (members, inner) in groups.items()},
        resources=CATALOG.resources,
    )


def asked(found, who, **facts):
    given = {"entitlement": "pg-prod/reader", "duration": timedelta(hours=1), "at": TUESDAY, "history": NOTHING}
    return ask_for(found, requester=who, **{**given, **facts})


def test_groups_in_a_circle_have_the_members_of_all_of_them_and_nobody_else():
    found = catalog(
        {"developers": (("ann",), ("ops",)), "ops": ((), ("night",)), "night": (("bob",), ("developers", "night"))},
        "ann", "bob", "eve",
    )  # fmt: skip
    assert decide(policy(offer()), asked(found, "ann")).allowed
    assert decide(policy(offer()), asked(found, "bob")).allowed
    answer = decide(policy(offer()), asked(found, "eve"))
    assert not answer.allowed
    assert answer.reason.startswith("no offer is about `pg-prod/reader` for `eve`")


def test_a_limit_on_one_group_of_a_circle_binds_the_members_of_all():
    found = catalog({"developers": (("ann",), ("banned",)), "banned": ((), ("developers",))}, "ann")
    rules = policy(offer() + limit("to: group:banned\nforbid: true\nreason: they are"))
    assert decide(rules, asked(found, "ann")).reason == "limit `limit` forbids it: they are"


def test_a_group_named_like_a_person_gives_that_person_nothing():
    found = catalog({"eve": (("ann",), ()), "developers": (("ann",), ())}, "ann", "eve", "developers")
    by_person = policy(offer().replace("group:developers", "eve"))
    assert not decide(by_person, asked(found, "ann")).allowed
    assert decide(by_person, asked(found, "eve")).allowed
    assert not decide(policy(offer()), asked(found, "developers")).allowed


@pytest.mark.parametrize("duration", [timedelta.max, timedelta.min, timedelta(days=400)])
def test_a_duration_that_overflows_is_refused_in_one_sentence(duration):
    for facts in ({"duration": duration}, {"duration": duration, "total_duration": timedelta.max}):
        answer = decide(policy(offer()), asked(CATALOG, "alice", **facts))
        assert not answer.allowed
        assert answer.reason.startswith("the time asked for is ")
    answer = decide(policy(offer()), replace(ask(), total_duration=timedelta.max))
    assert not answer.allowed
    assert "allows at most 2h" in answer.reason


@pytest.mark.parametrize("text", ["999999999999w", "99999999999999999999h", "P999999999DT24H", "1e9h", "-2h", "367d"])
def test_a_duration_in_a_policy_that_overflows_is_a_problem_with_its_place(text):
    with pytest.raises(PolicyErrors) as caught:
        policy(offer().replace("2h", text))
    (problem,) = caught.value.problems
    assert problem.line == 6
    assert f"`{text}` is " in problem.message


def test_a_condition_nested_a_thousand_deep_is_a_problem_with_its_place():
    for text in ("(" * 990 + "true" + ")" * 990, "!(" * 500 + "true", "[" * 1_900):
        with pytest.raises(PolicyErrors) as caught:
            policy(offer(f"when: '{text}'"))
        assert "the condition is nested more than 40 deep" in str(caught.value.problems[0].message)


def test_a_thousand_levels_of_yaml_are_a_problem_with_their_place():
    with pytest.raises(PolicyErrors) as caught:
        parse({"p.yaml": "version: 1\noffers: " + "[" * 1_000})
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0].message


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "([a-z]+)*="])
def test_a_pattern_that_explodes_elsewhere_is_decided_at_once(pattern):
    rules = policy(offer(f"when: request.justification.matches(r'^{pattern}')"))
    question = ask(justification="a" * 4_000 + "!")
    assert not decide(rules, question).allowed
    assert replace(decide(rules, question), offers=(), limits=()) == replace(
        evaluate(rules, question), offers=(), limits=()
    )
