"""Deciding again from the ledger alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.store import FakeStore
from lapse.control.catalogs import apply
from lapse.control.decisions import approve, deny
from lapse.control.requests import cancel_request
from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group
from lapse.policy import version_of
from lapse.review.replay import Replay
from support.world import CATALOG, POLICY, World


@pytest.fixture
async def world():
    world = await World.create(FakeStore(), catalog=Catalog())
    await apply(world.control, world.admin(), CATALOG)
    return world


async def replayed(world, change=lambda entry: entry):
    policies = {p.version: p.files for p in await world.read(lambda r: r.policies())}
    replay = Replay(policies)
    for entry in world.store.recorded:
        replay.feed(change(entry))
    return replay


async def outcome(world, request, state="approved", change=lambda entry: entry):
    (found,) = (await replayed(world, change)).results([(request.id, state)])
    return found


async def test_what_was_decided_properly_re_derives(world):
    approved = await world.ask()
    await approve(world.control, world.actor("bob"), approved.id)
    denied = await world.ask()
    await deny(world.control, world.actor("carol"), denied.id, "not now")
    cancelled = await world.ask()
    await cancel_request(world.control, world.actor("alice"), cancelled.id)
    alone = await world.ask(what="pg-prod/metrics", hours=0.25)
    states = [(approved.id, "approved"), (denied.id, "denied"), (cancelled.id, "cancelled"), (alone.id, "approved")]
    found = list((await replayed(world)).results(states))
    assert [(one.outcome, one.derived) for one in found] == [("same", state) for _, state in states]


async def test_who_could_vote_is_what_the_catalog_was_then_not_what_it_is(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)
    without_bob = replace(CATALOG, groups={"dba": Group(name="dba", members=("carol",))})
    await apply(world.control, world.admin(), without_bob)
    assert (await outcome(world, request)).outcome == "same"
    assert "bob" in (await replayed(world)).approver_sets(request.id)["dba"]


LATER = POLICY.replace("max_duration: 1h", "max_duration: 45m")


async def test_a_request_of_one_policy_that_is_decided_under_another_re_derives_from_both(world):
    request = await world.ask()
    await world.change_policy(LATER)
    await approve(world.control, world.actor("bob"), request.id)
    (made, vote) = (
        next(entry for entry in world.store.recorded if entry.type == kind)
        for kind in ("request.created", "decision.approve")
    )
    versions = [version_of({"policy.yaml": text}) for text in (POLICY, LATER)]
    assert [made.policy_version, vote.context["policy_then"]] == versions
    assert made.context["ask"]["at"] == vote.context["asked_again"]["at"]
    assert (await outcome(world, request)).outcome == "same"


async def test_a_vote_that_the_policy_of_its_day_did_not_allow_does_not_re_derive(world):
    request = await world.ask()
    await world.change_policy(LATER)
    await approve(world.control, world.actor("bob"), request.id)

    def forged(entry):
        if entry.type != "decision.approve":
            return entry
        asked = {**entry.context["asked_again"], "duration": "PT9H", "total_duration": "PT9H"}
        return replace(entry, context={**entry.context, "asked_again": asked})

    found = await outcome(world, request, change=forged)
    assert (found.outcome, found.differences[0][:22]) == ("different", "when it was approved, ")

    def unknown(entry):
        if entry.type != "decision.approve":
            return entry
        return replace(entry, context={**entry.context, "policy_then": "sha256:none"})

    assert (await outcome(world, request, change=unknown)).outcome == "not derivable"


async def test_a_vote_of_somebody_who_is_no_approver_does_not_re_derive(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)

    def forged(entry):
        if entry.type == "decision.approve":
            return replace(entry, after={**entry.after, "approver": "dave", "person": "dave"})
        return entry

    found = await outcome(world, request, change=forged)
    assert (found.outcome, found.derived) == ("different", "pending")
    assert "the votes do not suffice" in found.differences[0]


async def test_terms_that_the_policy_did_not_give_do_not_re_derive(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)

    def forged(entry):
        if entry.type == "request.created":
            return replace(entry, after={**entry.after, "terms": {**entry.after["terms"], "max_total": "P9D"}})
        return entry

    found = await outcome(world, request, change=forged)
    assert found.differences[0] == "the terms differ in max_total"


async def test_store_and_ledger_that_disagree_are_a_difference(world):
    request = await world.ask()
    found = await outcome(world, request, state="approved")
    assert found.outcome == "different"
    assert "the store says approved, the ledger pending" in found.differences


async def test_a_record_that_does_not_suffice_is_not_derivable(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)
    no_catalog = await outcome(world, request, change=lambda e: replace(e, type=e.type.replace("catalog.", "x.")))
    assert no_catalog.outcome == "not derivable"
    assert "who could vote" in no_catalog.differences[0]
    replay = Replay({})
    for entry in world.store.recorded:
        replay.feed(entry)
    (no_policy,) = replay.results([(request.id, "approved")])
    assert "is not on record" in no_policy.differences[0]
    (unheard,) = replay.results([("req_unheard", "approved")])
    assert "no entry of its creation" in unheard.differences[0]


async def test_policy_files_that_are_not_those_of_the_version_derive_nothing(world):
    request = await world.ask()
    (policy,) = await world.read(lambda r: r.policies())
    replay = Replay({policy.version: {"policy.yaml": policy.files["policy.yaml"] + "# changed\n"}})
    for entry in world.store.recorded:
        replay.feed(entry)
    (found,) = replay.results([(request.id, "pending")])
    assert "are not those of that version" in found.differences[0]


async def test_an_entry_that_cannot_be_read_breaks_its_request_alone(world):
    request, other = await world.ask(), await world.ask("dave")

    def broken(entry):
        return replace(entry, context={}) if entry.subject == request.id else entry

    found = {
        one.request_id: one
        for one in (await replayed(world, broken)).results([(request.id, "pending"), (other.id, "pending")])
    }
    assert found[request.id].outcome == "not derivable"
    assert found[other.id].outcome == "same"


async def test_what_was_recorded_before_votes_said_so_much_re_derives_too(world):
    request = await world.ask(what="pg-prod/writer", hours=1)
    for who in ("bob", "olga"):
        await approve(world.control, world.actor(who), request.id)
    new = {"on_call", "acts_for", "on_behalf_of", "delegation", "void", "told", "counter"}

    def older(entry):
        return replace(entry, after={k: v for k, v in (entry.after or {}).items() if k not in new})

    found = await outcome(world, request, change=older)
    assert (found.outcome, found.derived) == ("same", "approved")
