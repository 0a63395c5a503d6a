"""The solver's model and the evaluator check each other: the same answers to more than 10,000 random questions."""

import pytest

from lapse.policy.proof import rules as model
from support.agreement import Agreement
from support.random_policies import RandomPolicies

PARTS, POLICIES, QUESTIONS = 10, 48, 25


def differences(seed, questions=QUESTIONS):
    world = RandomPolicies(seed)
    agreement = Agreement(world.policy())
    said = [agreement.differs(world.ask()) for _ in range(questions)]
    return [difference for difference in said if difference], agreement.compared


@pytest.mark.parametrize("part", range(PARTS))
def test_model_and_evaluator_agree_on_every_rule_and_on_the_terms(part):
    compared = 0
    for seed in range(part * POLICIES, (part + 1) * POLICIES):
        differing, count = differences(seed)
        assert not differing, f"seed {seed}: {differing[0]}"
        compared += count
    assert compared >= 1_000


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("seconds", lambda duration: int(duration.total_seconds()) + 1800),
        ("wildcard", model.exactly),
        ("largest", lambda one, other: other),
        ("any_of", model.all_of),
        ("either", model.both),
    ],
    ids=["a bound", "a pattern", "a quorum", "a choice", "an alternative"],
)
def test_a_mistake_in_the_model_is_noticed(monkeypatch, what, wrong):
    monkeypatch.setattr(model, what, wrong)
    assert any(differences(seed, questions=15)[0] for seed in range(25))
