"""A change of the policy takes two persons, and shows what it does before it does it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control.decisions import approve
from lapse.control.locks import lock
from lapse.control.policies import (
    activate_policy,
    activate_proposal,
    propose_policy,
    reject_proposal,
    stale,
    withdraw_proposal,
)
from lapse.control.tokens import issue_token
from lapse.domain.actors import Actor, Scope, system_actor
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Refused
from lapse.domain.locks import LockKind
from lapse.domain.principals import Principal, PrincipalKind
from lapse.domain.proposals import ProposalState
from lapse.ledger.canonical import decode
from lapse.policy import version_of
from lapse.policy.effects import ClaimEffect, DiffEffect, Effects, ProofOutcome, claims_of
from support.world import CATALOG, POLICY, World

SHORTER = POLICY.replace("max_duration: 4h", "max_duration: 1h")
CLAIMING = SHORTER + "claims:\n  - name: nobody-stays\n    never: {total_longer_than: 24h}\n"


@pytest.fixture
async def world():
    return await World.create()


def saying(outcome):
    return Effects(claims=(ClaimEffect(name="nobody-stays", outcome=outcome, detail="as the solver says"),))


async def entries(world, prefix="policy."):
    bodies = await world.store.ledger.pending(10_000)
    return [entry for entry in (decode(body) for _, body in bodies) if entry.type.startswith(prefix)]


async def in_force(world):
    return (await world.read(lambda r: r.active_policy())).version


async def test_the_first_policy_is_put_in_force_directly_and_the_ledger_says_so(world):
    (entry,) = await entries(world)
    assert (entry.type, entry.before, entry.context["first"]) == ("policy.activated", None, True)


async def test_the_policy_in_force_can_be_applied_again_and_nothing_happens(world):
    version, changed = await activate_policy(world.control, world.admin(), {"policy.yaml": POLICY})
    assert (version.version, changed) == (await in_force(world), False)
    assert len(await entries(world)) == 1


async def test_no_one_person_changes_a_policy(world):
    with pytest.raises(Refused, match="takes two persons") as caught:
        await activate_policy(world.control, world.admin(), {"policy.yaml": SHORTER})
    assert "lapse policy propose" in caught.value.hint


async def test_a_change_is_proposed_by_one_and_activated_by_another(world):
    before = await in_force(world)
    proposal = await world.propose(SHORTER)
    assert (proposal.state, proposal.base, await in_force(world)) == (ProposalState.PENDING, before, before)

    done, version = await activate_proposal(world.control, world.admin("root2"), proposal.id, reason="agreed")
    assert (done.state, done.decided_by) == (ProposalState.ACTIVATED, "root2")
    assert version.version == await in_force(world) == version_of({"policy.yaml": SHORTER})
    proposed, activated = (await entries(world))[1:]
    assert (proposed.type, proposed.subject, proposed.actor) == ("policy.proposed", proposal.id, "root")
    assert (activated.type, activated.actor, activated.before) == ("policy.activated", "root2", {"version": before})
    assert activated.context["proposal"] == proposal.id
    assert activated.context["proposed_by_person"] == "root"
    assert activated.context["activated_by_person"] == "root2"


async def test_the_new_rule_binds_from_then_on(world):
    await world.change_policy(SHORTER)
    with pytest.raises(Refused, match="at most 1h"):
        await world.ask(hours=2)


async def test_an_old_policy_comes_back_by_the_same_way(world):
    first = await in_force(world)
    await world.change_policy(SHORTER)
    await world.change_policy(POLICY)
    assert await in_force(world) == first


SECOND_NAMES = {
    "root": Principal(name="root"),
    "root-alias": Principal(name="root-alias", alias_of="root"),
    "root-twice": Principal(name="root-twice", alias_of="root-alias"),
}


@pytest.mark.parametrize("proposer", SECOND_NAMES)
@pytest.mark.parametrize("activator", SECOND_NAMES)
async def test_the_proposer_is_no_second_person_under_any_name(world, proposer, activator):
    await world.change_catalog(principals={**CATALOG.principals, **SECOND_NAMES})
    proposal = await world.propose(SHORTER, who=proposer)
    with pytest.raises(Refused, match="a second person decides"):
        await activate_proposal(world.control, world.admin(activator), proposal.id)
    with pytest.raises(Refused, match="a second person decides"):
        await reject_proposal(world.control, world.admin(activator), proposal.id, "changed my mind")
    withdrawn = await withdraw_proposal(world.control, world.admin(activator), proposal.id)
    assert withdrawn.state is ProposalState.WITHDRAWN


NOBODIES = [
    ("stranger", "not in the catalog"),
    ("gone", "not active"),
    ("bot", "not an active person"),
    ("job", "not an active person"),
]


@pytest.mark.parametrize(("who", "why"), NOBODIES)
async def test_only_persons_who_are_known_propose_and_activate(world, who, why):
    job = Principal(name="job", kind=PrincipalKind.SERVICE, owner="root2")
    await world.change_catalog(principals={**CATALOG.principals, "job": job})
    with pytest.raises(Refused, match=why):
        await world.propose(SHORTER, who=who)
    proposal = await world.propose(SHORTER)
    with pytest.raises(Refused, match=why):
        await activate_proposal(world.control, world.admin(who), proposal.id)


async def test_who_is_locked_changes_no_policy(world):
    proposal = await world.propose(SHORTER)
    await lock(world.control, world.admin(), LockKind.PRINCIPAL, "root2", "laptop stolen")
    with pytest.raises(Refused, match="laptop stolen"):
        await activate_proposal(world.control, world.admin("root2"), proposal.id)


@pytest.mark.parametrize("scope", [Scope.REQUEST, Scope.APPROVE, Scope.REVIEW, Scope.AUDIT])
async def test_it_takes_the_right_scope(world, scope):
    actor = Actor(name="root2", scopes=frozenset({scope}))
    proposal = await world.propose(SHORTER)
    base = await in_force(world)
    for act in (
        lambda: propose_policy(world.control, actor, {"p.yaml": SHORTER}, "x", base=base, effects=Effects()),
        lambda: activate_proposal(world.control, actor, proposal.id),
        lambda: reject_proposal(world.control, actor, proposal.id, "x"),
        lambda: withdraw_proposal(world.control, actor, proposal.id),
    ):
        with pytest.raises(Refused, match="may not do this"):
            await act()


async def test_what_was_shown_must_be_what_happens(world):
    """A proposal for a base that is no longer in force would do something else than its effects say."""
    first, second = await world.propose(SHORTER), await world.propose(POLICY.replace("8h", "9h"))
    await activate_proposal(world.control, world.admin("root2"), first.id)
    assert stale(second, await world.read(lambda r: r.active_policy()))
    with pytest.raises(Refused, match="another policy came into force"):
        await activate_proposal(world.control, world.admin("root2"), second.id)
    assert (await withdraw_proposal(world.control, world.admin(), second.id)).state is ProposalState.WITHDRAWN


async def test_effects_that_were_computed_for_another_policy_are_refused(world):
    old = await in_force(world)
    await world.change_policy(SHORTER)
    with pytest.raises(Conflict, match="changed meanwhile"):
        await propose_policy(
            world.control, world.admin(), {"p.yaml": POLICY}, "back", base=old, effects=Effects(diff=DiffEffect())
        )


async def test_a_refuted_claim_blocks_whatever_is_said(world):
    proposal = await world.propose(CLAIMING, effects=saying(ProofOutcome.REFUTED))
    with pytest.raises(Refused, match="`nobody-stays` is refuted"):
        await activate_proposal(world.control, world.admin("root2"), proposal.id, accept_unknown="we know")


async def test_an_unknown_claim_is_accepted_with_a_reason_that_is_recorded(world):
    proposal = await world.propose(CLAIMING, effects=saying(ProofOutcome.UNKNOWN))
    with pytest.raises(Refused, match="nobody knows whether the claim `nobody-stays` holds") as caught:
        await activate_proposal(world.control, world.admin("root2"), proposal.id)
    assert "--accept-unknown" in caught.value.hint
    await activate_proposal(world.control, world.admin("root2"), proposal.id, accept_unknown="checked by hand")
    entry = (await entries(world))[-1]
    assert entry.context["accepted_unknown"] == "checked by hand"
    assert entry.context["unknown_claims"] == ["nobody-stays"]


async def test_a_claim_that_nobody_tried_to_prove_is_unknown(world):
    proposal = await world.propose(CLAIMING, effects=Effects())
    with pytest.raises(Refused, match="nobody knows"):
        await activate_proposal(world.control, world.admin("root2"), proposal.id)


async def test_a_proved_claim_needs_no_word(world):
    proposal = await world.propose(CLAIMING, effects=saying(ProofOutcome.PROVED))
    await activate_proposal(world.control, world.admin("root2"), proposal.id)
    assert (await entries(world))[-1].context["unknown_claims"] == []


async def test_a_proposal_is_decided_once(world):
    proposal = await world.propose(SHORTER)
    await reject_proposal(world.control, world.admin("root2"), proposal.id, "too short for restores")
    rejected = (await entries(world))[-1]
    assert (rejected.type, rejected.after["decision_reason"]) == ("policy.rejected", "too short for restores")
    for act in (
        activate_proposal(world.control, world.admin("root2"), proposal.id),
        reject_proposal(world.control, world.admin("root2"), proposal.id, "again"),
        withdraw_proposal(world.control, world.admin(), proposal.id),
    ):
        with pytest.raises(Refused, match="rejected"):
            await act


async def test_nobody_withdraws_for_another(world):
    proposal = await world.propose(SHORTER)
    with pytest.raises(Refused, match="did not propose"):
        await withdraw_proposal(world.control, world.admin("root2"), proposal.id)


async def test_a_proposer_who_left_is_still_the_proposer(world):
    await world.change_catalog(principals={**CATALOG.principals, "root-alias": SECOND_NAMES["root-alias"]})
    proposal = await world.propose(SHORTER, who="root-alias")
    gone = replace(CATALOG.principals["root"], active=False)
    await world.change_catalog(principals={**CATALOG.principals, **SECOND_NAMES, "root": gone})
    with pytest.raises(Refused):
        await activate_proposal(world.control, world.admin("root"), proposal.id)
    await activate_proposal(world.control, world.admin("root2"), proposal.id)


async def test_nonsense_is_refused_in_a_sentence(world):
    base = await in_force(world)
    with pytest.raises(InvalidInput, match="a proposal needs a reason"):
        await propose_policy(world.control, world.admin(), {"p": SHORTER}, "  ", base=base, effects=Effects())
    with pytest.raises(InvalidInput, match="there is no key"):
        await world.propose(SHORTER.replace("offers", "offfers"))
    with pytest.raises(Refused, match="in force already"):
        await world.propose(POLICY)
    with pytest.raises(NotFound):
        await activate_proposal(world.control, world.admin("root2"), "pro_none")
    proposal = await world.propose(SHORTER)
    with pytest.raises(InvalidInput, match="a rejection needs a reason"):
        await reject_proposal(world.control, world.admin("root2"), proposal.id, "")


async def test_without_a_policy_there_is_nothing_to_propose_against():
    world = World()
    await world.store.write(lambda tx: tx.replace_catalog(CATALOG))
    with pytest.raises(Refused, match="no policy is in force yet"):
        await propose_policy(world.control, world.admin(), {"p": POLICY}, "start", base="", effects=Effects())


async def test_a_request_made_before_is_decided_under_the_new_policy(world):
    request = await world.ask(hours=1)
    await world.change_policy(SHORTER.replace("group:dba", "olga"))
    with pytest.raises(Refused, match="policy changed"):
        await approve(world.control, world.actor("bob"), request.id)


def test_effects_say_something_of_every_claim():
    from lapse.domain.data import to_data
    from lapse.policy import parse

    policy = parse({"p.yaml": CLAIMING})
    assert claims_of(policy, {})[0].outcome is ProofOutcome.UNKNOWN
    assert claims_of(policy, to_data(saying(ProofOutcome.PROVED)))[0].outcome is ProofOutcome.PROVED


async def test_the_other_administrators_are_told_of_a_proposal():
    world = await World.create()
    control, system = world.control, system_actor("test")
    for name in ("root", "root2", "alice-admin"):
        await issue_token(control, system, name, [Scope.ADMIN], life=timedelta(days=1))
    await issue_token(control, system, "bob", [Scope.AUDIT], life=timedelta(days=1))
    await world.propose(POLICY.replace("4h", "3h"), "alice-admin")
    assert world.notices[-1].to == ("root", "root2")
