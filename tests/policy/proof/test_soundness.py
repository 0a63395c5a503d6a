"""What is proved never comes about, however long somebody tries; and most of what is not proved is refuted."""

import time
from collections import Counter
from datetime import timedelta

import pytest

from lapse.policy.proof.decide import Prover
from support.policy_world import CATALOG
from support.random_claims import RandomClaims, Walk

POLICIES, WALKS = 12, 15


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("catalog", [None, CATALOG], ids=["all there could be", "the directory"])
def test_nobody_walks_into_what_is_proved_impossible(part, catalog):
    outcomes = Counter()
    for seed in range(1000 + part * POLICIES, 1000 + (part + 1) * POLICIES):
        world = RandomClaims(seed, claims=4)
        prover = Prover(world.policy, clock=time.monotonic, timeout=timedelta(seconds=30), catalog=catalog)
        for claim, proof in zip(world.policy.claims, prover.proofs(), strict=True):
            outcomes[proof.outcome] += 1
            for _ in range(WALKS if proof.outcome == "proved" else 0):
                found = Walk(world.policy, world.random, world.promising(claim)).violation(claim)
                assert not found, f"seed {seed}, {claim.name}: {found}"
    assert outcomes["proved"] > 5
    assert outcomes["refuted"] > 5
    if catalog is None:
        assert outcomes["unknown"] <= sum(outcomes.values()) * 0.2


def test_the_walk_finds_what_is_refuted():
    """The slow way of looking is no blind one: without proofs it finds many of the situations that are possible."""
    found = 0
    for seed in range(24):
        world = RandomClaims(seed)
        for claim in world.policy.claims:
            walks = (Walk(world.policy, world.random, world.promising(claim)) for _ in range(15))
            found += any(walk.violation(claim) for walk in walks)
    assert found > 6
