"""Offering less than was asked: who may, what becomes of votes, and what the ledger can derive again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.store import FakeStore
from lapse.control.catalogs import apply
from lapse.control.counters import Less, accept_less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.locks import lock
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_bundle, expire_requests
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, NotFound, Refused
from lapse.domain.locks import LockKind
from lapse.domain.notices import NoticeKind
from lapse.domain.principals import Group
from lapse.domain.requests import RequestState
from lapse.review.replay import Replay
from support.world import CATALOG, World

HOUR = timedelta(hours=1)
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    kinds: [person, agent]
    purpose: looking into orders
    max_duration: 8h
    max_total: 16h
    approvals:
      - {name: team, from: group:dba}
  - name: writers
    entitlements: [pg-prod/writer]
    to: [anyone]
    max_duration: 8h
    max_total: 16h
    approvals:
      - {name: team, from: group:dba, quorum: 2}
      - {name: own, from: owner}
  - name: metrics
    entitlements: [pg-prod/metrics]
    to: [anyone]
    max_duration: 1h
    auto_approve: true
"""


@pytest.fixture
async def world():
    world = await World.create(FakeStore(), catalog=Catalog(), policy=POLICY)
    await apply(world.control, world.admin(), CATALOG)
    return world


async def offer(world, who, request, **less):
    return await offer_less(world.control, world.actor(who), request.id, Less(**{"reason": "enough", **less}))


async def accept(world, request, who="alice"):
    return await accept_less(world.control, world.actor(who), request.id)


async def yes(world, who, request):
    return await approve(world.control, world.actor(who), request.id)


async def check_replay(world, request, state):
    replay = Replay({p.version: p.files for p in await world.read(lambda r: r.policies())})
    for entry in world.store.recorded:
        replay.feed(entry)
    (found,) = replay.results([(request.id, state)])
    assert (found.outcome, found.derived, found.differences) == ("same", state, ())


async def test_a_shorter_time_is_offered_accepted_and_granted(world):
    request = await world.ask(hours=4)
    offered = await offer(world, "bob", request, duration=HOUR)
    assert (offered.state, offered.counter.duration, offered.counter.approver) == (RequestState.PENDING, HOUR, "bob")
    assert world.notices[-1].kind is NoticeKind.COUNTER_OFFER
    assert "`bob` offers `pg-prod/reader` for 1h instead of" in world.notices[-1].text

    accepted = await accept(world, request)
    assert (accepted.state, accepted.requested_duration, accepted.counter) == (RequestState.APPROVED, HOUR, None)
    assert (await world.grant_of(request)).duration == HOUR
    (vote,) = await world.read(lambda r: r.decisions(request.id))
    assert (vote.approver, vote.stage, vote.reason) == ("bob", "team", "enough")
    kinds = [e.type for e in world.store.recorded if e.subject == request.id]
    assert kinds == ["request.created", "request.countered", "request.reduced", "decision.approve", "request.approved"]
    await check_replay(world, request, "approved")


async def test_a_narrower_role_comes_with_its_own_terms(world):
    request = await world.ask(what="pg-prod/writer", hours=4)
    await yes(world, "carol", request)
    await offer(world, "bob", request, entitlement="pg-prod/reader")
    accepted = await accept(world, request)

    assert (accepted.state, accepted.terms.offer) == (RequestState.APPROVED, "readers")
    assert (await world.grant_of(request)).entitlement == "pg-prod/reader"
    await check_replay(world, request, "approved")


async def test_a_yes_to_more_time_is_a_yes_to_less(world):
    request = await world.ask(what="pg-prod/writer", hours=4)
    await yes(world, "carol", request)
    await offer(world, "bob", request, duration=HOUR)
    accepted = await accept(world, request)

    assert accepted.state is RequestState.PENDING
    assert accepted.void == ()
    assert (await yes(world, "olga", request)).state is RequestState.APPROVED
    await check_replay(world, request, "approved")


async def test_a_yes_to_another_role_is_no_yes_to_this_one(world):
    wide = POLICY.replace("- {name: team, from: group:dba}", "- {name: team, from: group:dba, quorum: 2}")
    await world.change_policy(wide)
    request = await world.ask(what="pg-prod/writer", hours=4)
    first = await yes(world, "carol", request)
    await offer(world, "bob", request, entitlement="pg-prod/reader")
    accepted = await accept(world, request)
    assert first.void == ()
    assert (accepted.state, len(accepted.void)) == (RequestState.PENDING, 1)

    assert (await yes(world, "carol", request)).state is RequestState.APPROVED
    await check_replay(world, request, "approved")


async def test_a_yes_in_a_stage_that_is_not_there_any_more_counts_no_more(world):
    request = await world.ask(what="pg-prod/writer", hours=4)
    await yes(world, "carol", request)
    await offer(world, "bob", request, duration=HOUR)
    await world.change_policy(
        POLICY.replace("{name: team, from: group:dba, quorum: 2}", "{name: dbas, from: group:dba}")
    )
    accepted = await accept(world, request)

    assert (accepted.state, len(accepted.void)) == (RequestState.PENDING, 1)
    votes = await world.read(lambda r: r.decisions(request.id))
    assert [(vote.approver, vote.stage) for vote in votes] == [("carol", "team"), ("bob", "dbas")]
    assert (await yes(world, "olga", request)).state is RequestState.APPROVED
    await check_replay(world, request, "approved")


async def test_while_an_offer_waits_nobody_approves_and_anybody_who_may_denies(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=HOUR)
    for attempt in (yes(world, "carol", request), offer(world, "carol", request, duration=2 * HOUR)):
        with pytest.raises(Refused, match="`bob` offered less"):
            await attempt
    denied = await deny(world.control, world.actor("carol"), request.id, "not at all")
    assert (denied.state, denied.counter) == (RequestState.DENIED, None)
    with pytest.raises(Refused, match="nothing is offered"):
        await accept(world, request)


async def test_who_does_not_want_less_cancels(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=HOUR)
    assert (await cancel_request(world.control, world.actor("alice"), request.id)).state is RequestState.CANCELLED
    with pytest.raises(Refused):
        await accept(world, request)


async def test_an_offer_that_nobody_answers_expires_with_the_request(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=HOUR)
    await world.clock.advance(timedelta(hours=25))
    with pytest.raises(Refused, match="expired"):
        await accept(world, request)
    assert await expire_requests(world.control) == 1


@pytest.mark.parametrize("who", ["bob", "dave", "olga", "root"])
async def test_only_who_asked_accepts(world, who):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=HOUR)
    with pytest.raises(Refused, match="not yours"):
        await accept(world, request, who)
    assert (await accept(world, request, "alice-admin")).state is RequestState.APPROVED


async def test_a_sponsor_accepts_for_the_agent(world):
    request = await world.ask("bot", hours=4)
    with pytest.raises(Refused, match="own request"):
        await offer(world, "bob", request, duration=HOUR)
    await offer(world, "carol", request, duration=HOUR)
    assert (await accept(world, request, "bob")).state is RequestState.APPROVED


@pytest.mark.parametrize("who", ["alice", "alice-admin", "dave", "bot"])
async def test_only_who_may_say_yes_offers(world, who):
    request = await world.ask(hours=4)
    with pytest.raises(Refused):
        await offer(world, who, request, duration=HOUR)


@pytest.mark.parametrize(
    ("less", "error", "words"),
    [
        ({}, InvalidInput, "what was asked for"),
        ({"duration": 4 * HOUR}, InvalidInput, "what was asked for"),
        ({"duration": 5 * HOUR}, InvalidInput, "longer than the 4h"),
        ({"duration": timedelta(0)}, InvalidInput, "longer than zero"),
        ({"entitlement": "pg-prod/nothing"}, NotFound, "pg-prod/nothing"),
        ({"entitlement": "elsewhere/reader"}, NotFound, "elsewhere"),
        ({"entitlement": "pg-prod/metrics"}, Refused, "does not allow `pg-prod/metrics` for 4h"),
        ({"duration": HOUR, "reason": " "}, InvalidInput, "needs a reason"),
    ],
)
async def test_what_is_not_less_or_not_allowed_is_not_offered(world, less, error, words):
    request = await world.ask(what="pg-prod/reader", hours=4)
    with pytest.raises(error) as caught:
        await offer(world, "bob", request, **less)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert (await world.read(lambda r: r.request(request.id))).counter is None


async def test_what_needs_nobodys_approval_is_granted_when_it_is_accepted(world):
    request = await world.ask(what="pg-prod/reader", hours=4)
    await offer(world, "bob", request, duration=HOUR, entitlement="pg-prod/metrics")
    assert (await accept(world, request)).state is RequestState.APPROVED
    assert (await world.grant_of(request)).entitlement == "pg-prod/metrics"
    await check_replay(world, request, "approved")


async def test_who_is_no_approver_any_more_offered_nothing_that_counts(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=HOUR)
    await apply(world.control, world.admin(), replace(CATALOG, groups={"dba": Group(name="dba", members=("carol",))}))
    accepted = await accept(world, request)

    assert accepted.state is RequestState.PENDING
    assert await world.read(lambda r: r.decisions(request.id)) == []
    assert (await yes(world, "carol", request)).state is RequestState.APPROVED
    await check_replay(world, request, "approved")


async def test_a_lock_or_a_new_rule_stops_what_was_offered(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=2 * HOUR)
    await world.change_policy(POLICY.replace("max_duration: 8h\n    max_total: 16h", "max_duration: 1h", 1))
    with pytest.raises(Refused, match="does not allow `pg-prod/reader` for 2h"):
        await accept(world, request)
    await lock(world.control, world.admin(), LockKind.RESOURCE, "pg-prod", "breach")
    with pytest.raises(Refused, match="locked"):
        await accept(world, request)


async def test_terms_are_those_of_the_policy_when_it_is_accepted(world):
    request = await world.ask(hours=4)
    await offer(world, "bob", request, duration=2 * HOUR)
    await world.change_policy(POLICY.replace("- {name: team, from: group:dba}", "- {name: own, from: owner}"))
    accepted = await accept(world, request)
    assert [stage.name for stage in accepted.terms.stages] == ["own"]
    assert accepted.policy_version != request.policy_version
    assert (await yes(world, "olga", request)).state is RequestState.APPROVED
    await check_replay(world, request, "approved")


async def test_what_the_smaller_terms_give_no_more_time_for_is_not_accepted(world):
    request = await world.ask(what="pg-prod/writer", hours=4)
    await offer(world, "bob", request, entitlement="pg-prod/reader")
    await world.change_policy(POLICY.replace("max_total: 16h", "max_total: 16h\n    pending_timeout: 1h", 1))
    await world.clock.advance(2 * HOUR)
    with pytest.raises(Refused, match="has expired"):
        await accept(world, request)


async def test_one_of_a_bundle_becomes_less_and_all_are_still_granted_together(world):
    wanted = [
        NewRequest(entitlement=f"pg-prod/{role}", duration=4 * HOUR, justification="incident 4711")
        for role in ("reader", "writer")
    ]
    reader, writer = await create_bundle(world.control, world.actor("alice"), wanted)
    with pytest.raises(Refused, match="in the same bundle already"):
        await offer(world, "bob", writer, entitlement="pg-prod/reader")
    await offer(world, "bob", reader, duration=HOUR)
    assert (await accept(world, reader)).state is RequestState.APPROVED
    assert await world.grants() == []
    for who in ("bob", "carol", "olga"):
        await yes(world, who, writer)
    assert sorted(grant.duration for grant in await world.grants()) == [HOUR, 4 * HOUR]


async def test_an_extension_can_only_become_shorter(world):
    first = await world.ask(hours=4)
    await yes(world, "bob", first)
    await world.enforcer.tick()
    grant = await world.grant_of(first)
    request = await world.ask(hours=4, extends=grant.id)
    with pytest.raises(InvalidInput, match="only its duration"):
        await offer(world, "bob", request, entitlement="pg-prod/metrics", duration=HOUR)
    await offer(world, "bob", request, duration=HOUR)
    assert (await accept(world, request)).state is RequestState.APPROVED
