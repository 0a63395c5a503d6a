from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control.decisions import approve, deny
from lapse.control.grants import issue_credential, release, revoke
from lapse.control.locks import lock, unlock
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_request, expire_requests, extend_grant, preview_request
from lapse.domain.actors import Actor
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Refused
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.requests import RequestState
from support.clock import START
from support.world import CATALOG, POLICY, World


@pytest.fixture
async def world():
    return await World.create()


def recorded(world):
    return [entry.type for entry in world.store.recorded]


async def test_a_request_waits_for_an_approver_and_pins_its_terms(world):
    request = await world.ask()

    assert request.state is RequestState.PENDING
    assert request.terms.offer == "readers"
    assert request.policy_version.startswith("sha256:")
    assert recorded(world)[-1] == "request.created"
    assert world.store.recorded[-1].context["ask"]["entitlement"]["name"] == "pg-prod/reader"


async def test_approval_schedules_a_grant_for_the_time_asked(world):
    request = await world.ask(hours=3)
    approved = await approve(world.control, world.actor("bob"), request.id)
    grant = await world.grant_of(request)

    assert approved.state is RequestState.APPROVED
    assert (grant.state, grant.duration, grant.ends_at) == (GrantState.SCHEDULED, timedelta(hours=3), None)
    assert recorded(world)[-3:] == ["decision.approve", "request.approved", "grant.scheduled"]


async def test_an_offer_without_stages_approves_at_once(world):
    request = await world.ask(what="pg-prod/metrics", hours=0.5)
    assert request.state is RequestState.APPROVED
    assert (await world.grant_of(request)).state is GrantState.SCHEDULED


async def test_a_request_that_no_offer_fits_is_refused_with_the_reason_and_recorded(world):
    with pytest.raises(Refused, match="4h"):
        await world.ask(hours=5)
    assert recorded(world)[-1] == "request.refused"
    assert await world.read(lambda r: r.requests(_page())) == []


async def test_a_preview_records_nothing(world):
    before = recorded(world)
    wanted = NewRequest(entitlement="pg-prod/reader", duration=timedelta(hours=5))
    assert not (await preview_request(world.control, world.actor("alice"), wanted)).allowed
    assert recorded(world) == before


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"what": "pg-prod/nothing"}, NotFound, "pg-prod/reader"),
        ({"what": "pg-prod"}, InvalidInput, "resource/role"),
        ({"what": "nowhere/reader"}, NotFound, "nowhere"),
        ({"who": "nobody"}, Refused, "catalog"),
        ({"who": "gone"}, Refused, "not active"),
        ({"hours": 0}, InvalidInput, "longer than zero"),
        ({"hours": -1}, InvalidInput, "longer than zero"),
        ({"hours": 24 * 365_000}, InvalidInput, "366 days"),
        ({"starts_at": START - timedelta(hours=1)}, InvalidInput, "in the past"),
        ({"starts_at": START + timedelta(days=400)}, InvalidInput, "days away"),
        ({"beneficiary": "carol"}, Refused, "does not let `alice` ask for `carol`"),
        ({"beneficiary": "unknown"}, NotFound, "unknown"),
    ],
)
async def test_bad_input_is_one_clear_sentence_and_leaves_nothing(world, change, error, words):
    with pytest.raises(error) as caught:
        await world.ask(**change)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert await world.read(lambda r: r.requests(_page())) == []


async def test_a_megabyte_of_justification_is_refused(world):
    wanted = NewRequest(entitlement="pg-prod/reader", duration=timedelta(hours=1), justification="x" * 1_000_000)
    with pytest.raises(InvalidInput, match="justification has 1000000 characters"):
        await create_request(world.control, world.actor("alice"), wanted)


async def test_without_a_policy_nothing_is_allowed():
    world = World()
    await world.store.write(lambda tx: tx.replace_catalog(CATALOG))
    with pytest.raises(Refused, match=r"no target|no policy"):
        await world.ask()


@pytest.mark.parametrize("who", ["alice", "alice-admin", "dave", "gone", "bot"])
async def test_who_asked_who_is_no_approver_and_who_is_no_person_cannot_decide(world, who):
    request = await world.ask()
    with pytest.raises(Refused):
        await approve(world.control, world.actor(who), request.id)
    assert (await world.read(lambda r: r.request(request.id))).state is RequestState.PENDING


async def test_an_agents_sponsor_cannot_approve_for_it(world):
    request = await world.ask(who="bob", beneficiary="bot")
    with pytest.raises(Refused, match="own request"):
        await approve(world.control, world.actor("bob"), request.id)
    await approve(world.control, world.actor("carol"), request.id)
    assert (await world.grant_of(request)).beneficiary == "bot"


async def test_stages_are_ordered_and_each_needs_its_own_person(world):
    request = await world.ask(what="pg-prod/writer", hours=1)
    with pytest.raises(Refused, match="stage `first`"):
        await approve(world.control, world.actor("olga"), request.id)
    half = await approve(world.control, world.actor("bob"), request.id)
    assert half.state is RequestState.PENDING
    with pytest.raises(Refused, match="already"):
        await approve(world.control, world.actor("bob"), request.id)
    assert (await approve(world.control, world.actor("olga"), request.id)).state is RequestState.APPROVED


async def test_a_denial_needs_a_reason_and_is_final(world):
    request = await world.ask()
    with pytest.raises(InvalidInput, match="needs a reason"):
        await deny(world.control, world.actor("bob"), request.id, "  ")
    denied = await deny(world.control, world.actor("bob"), request.id, "use the replica")
    assert (denied.state, denied.close_reason) == (RequestState.DENIED, "use the replica")
    with pytest.raises(Refused, match="denied already"):
        await approve(world.control, world.actor("carol"), request.id)
    assert await world.grants() == []


async def test_nobody_can_approve_what_too_few_could_ever_approve():
    world = await World.create(policy=POLICY.replace("from: [group:dba]", "from: [alice]", 1))
    with pytest.raises(Refused, match="nobody could approve"):
        await world.ask()


async def test_a_request_expires_when_nobody_decides_in_time(world):
    request = await world.ask()
    await world.clock.advance(timedelta(hours=25))
    with pytest.raises(Refused, match="expired"):
        await approve(world.control, world.actor("bob"), request.id)
    assert await expire_requests(world.control) == 1
    assert (await world.read(lambda r: r.request(request.id))).state is RequestState.EXPIRED


async def test_only_its_people_or_an_administrator_cancel_a_request(world):
    request = await world.ask()
    with pytest.raises(Refused, match="not yours"):
        await cancel_request(world.control, world.actor("dave"), request.id)
    assert (await cancel_request(world.control, world.actor("alice"), request.id)).state is RequestState.CANCELLED


async def test_an_old_request_is_no_way_round_a_new_rule(world):
    request = await world.ask(hours=4)
    await world.change_policy(POLICY.replace("max_duration: 4h", "max_duration: 1h"))
    with pytest.raises(Refused, match="policy changed"):
        await approve(world.control, world.actor("bob"), request.id)
    assert (await deny(world.control, world.actor("bob"), request.id, "ask again")).state is RequestState.DENIED


async def active_grant(world, hours=2):
    request = await world.ask(hours=hours)
    await approve(world.control, world.actor("bob"), request.id)
    await world.enforcer.tick()
    return await world.grant_of(request)


async def test_an_extension_is_a_new_request_under_a_cap_on_the_total(world):
    grant = await active_grant(world, hours=4)
    request = await extend_grant(
        world.control, world.actor("alice"), grant.id, timedelta(hours=3), "still failing over"
    )
    assert request.extends == grant.id
    with pytest.raises(Refused, match="8h"):
        await extend_grant(world.control, world.actor("alice"), grant.id, timedelta(hours=4, seconds=1), "more, please")


async def test_an_extended_grant_continues_without_a_gap_to_one_later_deadline(world):
    grant = await active_grant(world, hours=4)
    request = await extend_grant(
        world.control, world.actor("alice"), grant.id, timedelta(hours=3), "still failing over"
    )
    await approve(world.control, world.actor("carol"), request.id)
    await world.enforcer.tick()
    longer = await world.grant_of(request)
    assert longer.ends_at == grant.ends_at + timedelta(hours=3)

    await world.clock.advance(timedelta(hours=4))
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ENDED
    assert world.target.holds("alice_login", "app_reader")

    await world.clock.advance(timedelta(hours=3))
    await world.enforcer.tick()
    assert not world.target.holds("alice_login", "app_reader")


async def test_a_grant_is_extended_once_and_only_while_it_lives(world):
    grant = await active_grant(world)
    await release(world.control, world.actor("alice"), grant.id)
    with pytest.raises(Refused, match="no time to extend"):
        await extend_grant(world.control, world.actor("alice"), grant.id, timedelta(hours=1), "more of the same")


async def test_release_ends_an_own_grant_and_nobody_elses(world):
    grant = await active_grant(world)
    with pytest.raises(Refused, match="not yours"):
        await release(world.control, world.actor("dave"), grant.id)
    assert (await release(world.control, world.actor("alice"), grant.id)).end_reason is EndReason.RELEASED
    again = await release(world.control, world.actor("alice"), grant.id)
    assert again.state is GrantState.REVOKING


async def test_the_owner_revokes_with_a_reason(world):
    grant = await active_grant(world)
    with pytest.raises(InvalidInput, match="reason"):
        await revoke(world.control, world.actor("olga"), grant.id, "")
    with pytest.raises(Refused, match="neither owns"):
        await revoke(world.control, world.actor("dave"), grant.id, "I do not like it")
    assert (await revoke(world.control, world.actor("olga"), grant.id, "incident over")).state is GrantState.REVOKING


async def test_a_scheduled_grant_ends_without_touching_the_target(world):
    request = await world.ask(starts_at=START + timedelta(days=1))
    await approve(world.control, world.actor("bob"), request.id)
    grant = await world.grant_of(request)
    ended = await revoke(world.control, world.admin(), grant.id, "not needed any more")
    assert (ended.state, ended.ended_at) == (GrantState.ENDED, START)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (LockKind.PRINCIPAL, "alice"),
        (LockKind.RESOURCE, "pg-prod"),
        (LockKind.ENTITLEMENT, "pg-prod/reader"),
        (LockKind.EVERYTHING, ""),
    ],
)
async def test_a_lock_ends_what_it_covers_and_refuses_what_is_new(world, kind, name):
    grant = await active_grant(world)
    waiting = await world.ask(hours=1)
    _, effect = await lock(world.control, world.admin(), kind, name, "laptop stolen")
    assert [(g.id, g.end_reason) for g in effect.ends] == [(grant.id, EndReason.LOCKED)]
    with pytest.raises(Refused, match="locked: laptop stolen"):
        await world.ask()
    with pytest.raises(Refused, match="locked"):
        await approve(world.control, world.actor("bob"), waiting.id)
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ENDED


async def test_a_lock_on_something_else_changes_nothing(world):
    grant = await active_grant(world)
    await lock(world.control, world.admin(), LockKind.PRINCIPAL, "dave", "on leave")
    await world.ask(hours=1)
    assert (await world.grant(grant.id)).state is GrantState.ACTIVE


async def test_a_lock_is_removed_by_another_person(world):
    made, _ = await lock(world.control, world.admin(), LockKind.EVERYTHING, "", "breach")
    with pytest.raises(Refused, match="set lock"):
        await unlock(world.control, world.admin(), made.id)
    await unlock(world.control, world.admin("root2"), made.id)
    assert (await world.ask()).state is RequestState.PENDING
    with pytest.raises(Refused, match="removed already"):
        await unlock(world.control, world.admin("root2"), made.id)


async def test_lock_targets_must_exist_and_reasons_be_given(world):
    with pytest.raises(NotFound):
        await lock(world.control, world.admin(), LockKind.RESOURCE, "nowhere", "because")
    with pytest.raises(InvalidInput):
        await lock(world.control, world.admin(), LockKind.EVERYTHING, "pg-prod", "because")
    with pytest.raises(InvalidInput):
        await lock(world.control, world.admin(), LockKind.EVERYTHING, "", " ")


async def test_nobody_but_the_beneficiary_gets_a_credential(world):
    grant = await active_grant(world)
    for who in (
        world.actor("olga"),
        Actor(name="root", scopes=frozenset(world.admin().scopes | world.actor("x").scopes)),
    ):
        with pytest.raises(Refused, match="not yours"):
            await issue_credential(world.control, who, grant.id)


async def test_use_cases_ask_for_their_scope(world):
    nobody = Actor(name="alice")
    grant = await active_grant(world)
    request = await world.ask(hours=1)
    for call in (
        create_request(world.control, nobody, NewRequest(entitlement="pg-prod/reader", duration=timedelta(hours=1))),
        approve(world.control, nobody, request.id),
        release(world.control, nobody, grant.id),
        revoke(world.control, nobody, grant.id, "because"),
        lock(world.control, nobody, LockKind.EVERYTHING, "", "because"),
        issue_credential(world.control, nobody, grant.id),
        cancel_request(world.control, nobody, request.id),
    ):
        with pytest.raises(Refused, match="may not do this"):
            await call


async def test_a_failed_write_of_the_ledger_undoes_the_change(world, monkeypatch):
    from lapse.ledger import entry as entries

    def refuse(*_args, **_more):
        raise Conflict("no")

    before = len(recorded(world))
    monkeypatch.setattr("lapse.control.requests.created", refuse)
    with pytest.raises(Conflict):
        await world.ask()
    assert entries is not None
    assert len(recorded(world)) == before
    assert await world.read(lambda r: r.requests(_page())) == []


async def test_two_votes_at_once_lose_nothing(world):
    import asyncio

    request = await world.ask(what="pg-prod/writer", hours=1)
    results = await asyncio.gather(
        approve(world.control, world.actor("bob"), request.id),
        approve(world.control, world.actor("carol"), request.id),
        return_exceptions=True,
    )
    votes = await world.read(lambda r: r.decisions(request.id))
    refused = [r for r in results if isinstance(r, Refused)]
    assert len(votes) + len(refused) == 2
    assert (await world.read(lambda r: r.request(request.id))).version == len(votes)


def test_the_world_has_a_policy_for_each_role():
    assert {e.role for e in CATALOG.entitlements()} == {"reader", "writer", "metrics"}
    assert replace(CATALOG) == CATALOG


def _page():
    from lapse.ports import Page

    return Page()


async def test_an_old_request_is_no_way_round_leaving_a_group():
    world = await World.create(policy=POLICY.replace("to: [anyone]", "to: [group:dba]", 1))
    request = await world.ask("bob")
    dba = CATALOG.groups["dba"]
    await world.change_catalog(groups={"dba": replace(dba, members=("carol", "gone"))})
    with pytest.raises(Refused, match=r"things changed since .* no offer is about"):
        await approve(world.control, world.actor("carol"), request.id)
    assert (await deny(world.control, world.actor("carol"), request.id, "ask again")).state is RequestState.DENIED


async def test_a_late_approval_counts_the_time_from_when_the_access_really_begins(world):
    """Two requests for 4 h that do not touch when they are made would be 8 h in a row by the second vote."""
    await world.change_policy(POLICY.replace("max_total: 8h", "max_total: 6h"))
    first = await world.ask(hours=4)
    later = await world.ask(hours=4, starts_at=world.clock.now() + timedelta(hours=8))
    await approve(world.control, world.actor("bob"), later.id)
    await world.clock.advance(timedelta(hours=4))
    with pytest.raises(Refused, match="another answer"):
        await approve(world.control, world.actor("bob"), first.id)
