"""What is said of a proposal is kept as data, and says something of every claim."""

from __future__ import annotations

from datetime import timedelta

from lapse.domain.data import from_data, to_data
from lapse.policy.effects import ClaimEffect, DiffEffect, Effects, ProofOutcome, claims_of
from lapse.policy.recorded import recorded
from lapse.policy.replay import Replay
from support.policy_world import TUESDAY, ask, offer, policy

CLAIMING = policy(offer() + "claims:\n  - {name: short, never: {longer_than: 2h}}\n  - {name: none, never: access}\n")


def test_a_claim_that_the_effects_do_not_speak_of_is_unknown():
    said = Effects(claims=(ClaimEffect(name="short", outcome=ProofOutcome.PROVED, detail="for all requests"),))
    short, none = claims_of(CLAIMING, to_data(said))
    assert (short.outcome, none.outcome, none.detail) == (
        ProofOutcome.PROVED,
        ProofOutcome.UNKNOWN,
        "nobody tried to prove it",
    )
    assert {claim.outcome for claim in claims_of(CLAIMING, {})} == {ProofOutcome.UNKNOWN}


def test_effects_are_the_same_after_they_were_data():
    replay = Replay(CLAIMING)
    replay.asked("r", recorded(ask(hours=9)), None)
    replay.asked("r", recorded(ask()), None)
    effects = Effects(
        diff=DiffEffect(lines=("shorter, by `read`",)),
        replay=replay.report(TUESDAY, TUESDAY + timedelta(days=1)),
        warnings=("p.yaml:1:1: odd",),
    )
    assert from_data(Effects, to_data(effects)) == effects
