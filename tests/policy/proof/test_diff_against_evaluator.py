"""The difference of two policies against brute force: random questions to random policies and changed copies."""

import time

import pytest

from lapse.policy import Status, evaluate
from lapse.policy.proof.diff import compare
from lapse.policy.proof.differences import Kind, shows
from support.changed_policies import changed_copy
from support.random_policies import RandomPolicies

PARTS, POLICIES, QUESTIONS = 6, 8, 120


def missed(seed, questions=QUESTIONS):
    """How two policies answer otherwise, in a way that the comparison does not know of; and whether they do at all."""
    world = RandomPolicies(seed)
    old = world.policy()
    new = changed_copy(world, old, times=world.random.randint(1, 2))
    said = compare(old, new, clock=time.monotonic)
    known = {one.kind for one in said.differences} | {one.kind for one in said.unknown}
    for one in said.differences:
        assert shows(one.kind, evaluate(old, one.ask), evaluate(new, one.ask))
    seen = set()
    for _ in range(questions):
        ask = world.ask()
        before, after = evaluate(old, ask), evaluate(new, ask)
        if all(check.status is Status.SATISFIED for check in before.basics):
            seen |= {kind for kind in Kind if shows(kind, before, after)}
    return _unsaid(seen, known), said, seen


def _unsaid(seen, known):
    """What is only refused because it is too long counts as a difference of length."""
    longer = {Kind.PERMITTED: Kind.LONGER, Kind.DENIED: Kind.SHORTER}
    return {kind for kind in seen - known if longer.get(kind) not in known and not (kind is Kind.OTHER and known)}


@pytest.mark.parametrize("part", range(PARTS))
def test_every_difference_that_questions_show_is_found(part):
    different = 0
    for seed in range(part * POLICIES, (part + 1) * POLICIES):
        unsaid, said, seen = missed(seed)
        assert not unsaid, f"seed {seed}: {unsaid}, but {said.changed}"
        assert not (said.equivalent and seen), f"seed {seed}"
        different += bool(said.differences)
    assert different
