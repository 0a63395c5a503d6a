"""No condition takes long, however large a question is: those that would are not run, and deny."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy import decide
from lapse.policy.expressions.condition import ConditionError, compile_condition, view_of
from lapse.policy.expressions.reader import read
from lapse.policy.expressions.work import MOST_STEPS, steps_for, steps_of
from support.policy_world import ask, limit, offer, policy

ENDLESS = [
    "principal.groups.all(a, principal.groups.all(b, a != b || true))",
    "principal.groups.map(g, principal.groups).size() > 0",
    "principal.groups.map(g, [g, g]).filter(h, h[0] != 'x').map(i, principal.human_groups).size() > 0",
    r"principal.groups.exists(g, g.matches(r'^(\w|\pL)+$'))",
    "context.all(k, context.all(l, k != l || context[k] == context[l]))",
    "{'a': principal.groups, 'b': []}.all(k, principal.groups.all(g, g in (k == 'x' ? [k] : principal.groups)))",
]
QUICK = [
    "'x' in principal.groups",
    "principal.groups.exists(g, g == 'x' || g.startsWith('y') || g == resource.tags.env)",
    "principal.groups.exists(g, g in requester.groups && g == 'x')",
    "principal.groups.filter(g, g.startsWith('z')).size() > 1",
    r"request.justification.matches(r'^(a+)+b$')",
    r"request.justification.matches(r'(a|aa)*(b|c)?c')",
    r"request.justification.matches(r'(((((a*)*)*)*)*)*c')",
    "[1, 2, 3].all(a, [4, 5, 6].all(b, a == b)) && -1 > 0 && {'a': 1}.a == 2",
    "(true ? principal.groups : principal.humans).exists(g, g == 'x')",
    "principal['groups'].exists_one(g, g == 'x') || requester == beneficiary && false",
]
MANY = tuple(f"group-{number:04d}" for number in range(1_000))


def large_question(**facts):
    question = ask(justification="a" * 4_000, context={f"k{number}": number for number in range(1_000)}, **facts)
    return replace(question, beneficiary=replace(question.beneficiary, groups=MANY, human_groups=MANY))


@pytest.mark.parametrize("text", ENDLESS)
def test_a_condition_that_would_take_minutes_is_not_run(text):
    condition = compile_condition(text)
    with pytest.raises(ConditionError, match="going through 1000 values takes too long"):
        condition.holds(view_of(large_question(), condition.sight))


@pytest.mark.parametrize("text", QUICK)
def test_ordinary_conditions_are_run_for_large_questions_and_soon_over(text):
    condition = compile_condition(text)
    view = view_of(large_question(), condition.sight)
    before = time.thread_time()
    assert condition.holds(view) is False
    assert time.thread_time() - before < 2


@pytest.mark.parametrize("text", [*ENDLESS, *QUICK])
def test_all_of_them_are_run_for_small_questions(text):
    condition = compile_condition(text)
    assert condition.holds(view_of(ask(context={"a": 1}), condition.sight)) in {True, False}


def test_a_condition_that_is_not_run_denies():
    rules = policy(offer() + limit(f'when: "{ENDLESS[0]}"\nmax_duration: 1h'))
    assert decide(rules, ask()).allowed
    groups = (*MANY, "developers")
    question = large_question()
    answer = decide(rules, replace(question, beneficiary=replace(question.beneficiary, groups=groups)))
    assert not answer.allowed
    assert "`limit` could not evaluate its condition" in answer.reason
    assert answer.reason.endswith("going through 1001 values takes too long")


PARTS = st.recursive(
    st.sampled_from(["principal.groups", "[1, 2]", "principal.humans", "resource.tags", "principal.name", "'x'", "v"]),
    lambda inner: (
        st.builds("{}.map(v, {})".format, inner, inner)
        | st.builds("{}.filter(v, {} == {})".format, inner, inner, inner)
        | st.builds("{}.exists(v, v == {})".format, inner, inner)
        | st.builds("[{}, {}]".format, inner, inner)
        | st.builds("({} + {})".format, inner, inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(PARTS, st.integers(0, 2_000))
def test_the_bound_grows_with_the_question_and_is_never_less_than_a_step(text, values):
    steps = steps_of(read(text))
    assert 0 < steps_for(steps, values) <= steps_for(steps, values + 1)


def test_the_bound_holds_back_nothing_that_is_small():
    for text in (*ENDLESS, *QUICK):
        assert steps_for(steps_of(read(text)), 20) < MOST_STEPS
