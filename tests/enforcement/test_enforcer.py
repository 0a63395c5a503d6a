from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.connector import Fault
from lapse.control.grants import end_grants
from lapse.control.locks import lock
from lapse.domain.errors import Unavailable
from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.principals import Principal
from lapse.domain.resources import OnDrift
from lapse.domain.targets import DriftKind
from lapse.enforcement.reconcile import plan_resource, reconcile_resource
from support.clock import START
from support.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
async def world():
    return await World.create()


async def scheduled(world, who="alice", role="reader", starts=START, duration=HOUR, **facts):
    grant = Grant(
        id=world.new_id("gra"),
        request_id="req_0",
        beneficiary=who,
        entitlement=f"pg-prod/{role}",
        starts_at=starts,
        duration=duration,
        policy_version="v1",
        created_at=world.clock.now(),
        **facts,
    )
    await world.store.write(lambda tx: tx.add_grants([grant]))
    return grant.id


async def active(world, **facts):
    grant_id = await scheduled(world, **facts)
    await world.enforcer.tick()
    grant = await world.grant(grant_id)
    assert grant.state is GrantState.ACTIVE
    return grant_id


async def state(world, grant_id):
    return (await world.grant(grant_id)).state


def entries(world, subject):
    return [entry for entry in world.store.recorded if entry.subject == subject]


async def test_a_scheduled_grant_becomes_active_with_one_deadline(world):
    grant = await world.grant(await active(world))
    assert (grant.activated_at, grant.ends_at, grant.held_before) == (START, START + HOUR, False)
    assert world.target.holds("alice_login", "app_reader")


async def test_the_deadline_ends_it_and_the_proof_is_recorded(world):
    grant_id = await active(world)
    await world.clock.advance(HOUR)
    await world.enforcer.tick()

    grant = await world.grant(grant_id)
    assert (grant.state, grant.end_reason, grant.ended_at) == (GrantState.ENDED, EndReason.ELAPSED, START + HOUR)
    assert not world.target.holds("alice_login", "app_reader")
    assert [e.type for e in entries(world, grant_id)] == [
        "grant.activating",
        "grant.active",
        "grant.revoking",
        "grant.ended",
    ]
    assert entries(world, grant_id)[-1].context["proof"] == ["catalog: not a member"]


async def test_nothing_happens_a_moment_before_the_deadline(world):
    grant_id = await active(world)
    await world.clock.advance(HOUR - timedelta(microseconds=1))
    assert await world.enforcer.tick() == 0
    assert await state(world, grant_id) is GrantState.ACTIVE


async def test_sessions_are_cut_and_counted(world):
    grant_id = await active(world)
    world.target.target.open_session("alice_login")
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert entries(world, grant_id)[-1].context["sessions_cut"] == 1


@pytest.mark.parametrize("fault", [Fault.NOT_APPLIED, Fault.APPLIED, Fault.UNREACHABLE, Fault.NONSENSE])
async def test_a_removal_that_fails_is_tried_again_until_the_target_refuses(world, fault):
    grant_id = await active(world)
    world.target.inject(fault, on="remove", times=3)
    await world.clock.advance(HOUR)
    for _ in range(3):
        await world.enforcer.tick()
        assert await state(world, grant_id) is GrantState.REVOKE_FAILED
        await world.clock.advance(timedelta(minutes=1))
    await world.enforcer.tick()

    grant = await world.grant(grant_id)
    assert grant.state is GrantState.ENDED
    assert grant.ended_at == world.clock.now()
    assert not world.target.holds("alice_login", "app_reader")
    assert [text for subject, text in world.troubles if subject == grant_id]


async def test_the_same_failure_again_is_saved_and_not_recorded_twice(world):
    grant_id = await active(world)
    world.target.inject(Fault.UNREACHABLE, on="remove", times=None)
    await world.clock.advance(HOUR)
    for _ in range(5):
        await world.enforcer.tick()
        await world.clock.advance(timedelta(minutes=1))
    assert (await world.grant(grant_id)).attempts == 5
    assert [e.type for e in entries(world, grant_id)].count("grant.revoke_failed") == 1


@pytest.mark.parametrize("fault", [Fault.NOT_APPLIED, Fault.APPLIED, Fault.UNREACHABLE])
async def test_an_activation_that_fails_is_tried_again_on_the_same_deadline(world, fault):
    grant_id = await scheduled(world)
    world.target.inject(fault, on="apply")
    await world.enforcer.tick()
    waiting = await world.grant(grant_id)
    assert waiting.state is GrantState.ACTIVATING
    await world.clock.advance(timedelta(minutes=1))
    await world.enforcer.tick()
    grant = await world.grant(grant_id)
    assert (grant.state, grant.ends_at) == (GrantState.ACTIVE, waiting.ends_at)


async def test_an_activation_that_may_have_been_applied_ends_at_the_deadline_like_any_other(world):
    grant_id = await scheduled(world)
    world.target.inject(Fault.APPLIED, on="apply", times=None)
    await world.enforcer.tick()
    assert world.target.holds("alice_login", "app_reader")
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert await state(world, grant_id) is GrantState.ENDED
    assert not world.target.holds("alice_login", "app_reader")


async def test_an_activation_that_certainly_left_nothing_is_given_up(world):
    world.target.target.absent.add("alice_login")
    grant_id = await scheduled(world)
    for _ in range(5):
        await world.enforcer.tick()
        await world.clock.advance(timedelta(minutes=1))
    grant = await world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ACTIVATION_FAILED, None)
    assert "does not exist" in grant.last_error


async def test_the_clock_of_a_grant_starts_when_the_target_can_be_reached(world):
    world.target.inject(Fault.UNREACHABLE, on="look", times=2)
    grant_id = await scheduled(world)
    for _ in range(3):
        await world.enforcer.tick()
        await world.clock.advance(timedelta(minutes=1))
    grant = await world.grant(grant_id)
    assert (grant.state, grant.ends_at) == (GrantState.ACTIVE, START + timedelta(minutes=2) + HOUR)


async def test_a_window_that_passes_while_the_target_is_away_is_over(world):
    world.target.inject(Fault.UNREACHABLE, on="look", times=None)
    grant_id = await scheduled(world)
    await world.enforcer.tick()
    await world.clock.advance(HOUR)
    world.target.heal()
    await world.enforcer.tick()
    grant = await world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.ELAPSED)
    assert not world.target.holds("alice_login", "app_reader")


async def test_what_was_there_before_is_left_as_it_was_found(world):
    world.target.target.grant("alice_login", "app_reader")
    grant_id = await active(world)
    assert (await world.grant(grant_id)).held_before is True
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert await state(world, grant_id) is GrantState.ENDED
    assert world.target.holds("alice_login", "app_reader")
    assert "left as found" in entries(world, grant_id)[-1].context["proof"][0]
    (drift,) = (await plan_resource(world.parts, "pg-prod")).plan.found
    assert drift.kind is DriftKind.STANDING


async def test_overlapping_grants_of_one_role_hold_it_until_the_last_ends(world):
    short, long = await active(world, duration=HOUR), await active(world, duration=2 * HOUR)
    assert (await world.grant(long)).held_before is False
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert (await state(world, short), await state(world, long)) == (GrantState.ENDED, GrantState.ACTIVE)
    assert world.target.holds("alice_login", "app_reader")
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert not world.target.holds("alice_login", "app_reader")


async def test_a_lock_put_on_before_the_start_keeps_the_grant_from_starting(world):
    grant_id = await scheduled(world, starts=START + HOUR)
    await lock(world.control, world.admin(), LockKind.RESOURCE, "pg-prod", "breach")
    later = await scheduled(world)
    await world.enforcer.tick()
    held = [await world.grant(name) for name in (grant_id, later)]
    assert [(grant.state, bool(grant.suspended_by)) for grant in held] == [(GrantState.SCHEDULED, True)] * 2
    await world.clock.advance(3 * HOUR)
    await world.enforcer.tick()
    assert {(await world.grant(grant.id)).end_reason for grant in held} == {EndReason.LOCKED}
    assert not world.target.holds("alice_login", "app_reader")


async def test_a_leaver_gets_nothing_that_was_scheduled(world):
    grant_id = await scheduled(world)
    principals = (await world.read(lambda r: r.catalog())).principals
    await world.change_catalog(principals={**principals, "alice": Principal(name="alice", active=False)})
    await world.enforcer.tick()
    assert (await world.grant(grant_id)).end_reason is EndReason.POLICY_CHANGED


async def test_access_ends_although_the_store_is_down(world, monkeypatch):
    grant_id = await active(world)
    await world.clock.advance(HOUR)

    async def down(_work):
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "write", down)
        tick = asyncio.create_task(world.enforcer.tick())
        await settle(lambda: ("pg-prod", "the disk is full") in world.troubles)
        assert not world.target.holds("alice_login", "app_reader")
    await world.clock.advance(timedelta(minutes=1))
    await tick
    await world.enforcer.tick()
    assert await state(world, grant_id) is GrantState.ENDED


async def test_somebody_releasing_at_the_deadline_changes_nothing(world):
    grant_id = await active(world)
    await world.clock.advance(HOUR)
    world.target.inject(Fault.SLOW, on="remove")
    tick = asyncio.create_task(world.enforcer.tick())
    await settle(lambda: any(e.type == "grant.revoking" for e in entries(world, grant_id)))
    grant = await world.grant(grant_id)
    await world.store.write(lambda tx: end_grants(tx, [grant], EndReason.RELEASED, at=START, actor="alice"))
    world.target.release()
    await tick
    ended = await world.grant(grant_id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.ELAPSED)


async def test_an_enforcer_that_lost_the_race_decides_anew(world):
    grant_id = await active(world)
    stale = await world.grant(grant_id)
    await world.store.write(lambda tx: end_grants(tx, [stale], EndReason.RELEASED, at=START, actor="alice"))
    from lapse.enforcement.ending import end_batch

    await end_batch(world.parts, "pg-prod", [replace(stale, ends_at=START)])
    ended = await world.grant(grant_id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, EndReason.RELEASED)


async def test_the_loop_wakes_at_the_deadline_and_when_told(world):
    stop = asyncio.Event()
    running = asyncio.create_task(world.enforcer.run(stop))
    grant_id = await scheduled(world)
    world.enforcer.wake()
    await until_state(world, grant_id, GrantState.ACTIVE)
    await world.clock.advance(HOUR)
    await until_state(world, grant_id, GrantState.ENDED)
    stop.set()
    await running


async def test_a_target_that_hangs_does_not_delay_another():
    world = await World.create()
    catalog = await world.read(lambda r: r.catalog())
    other = replace(catalog.resources["pg-prod"], name="pg-two", entitlements=tuple(
        replace(e, resource="pg-two") for e in catalog.resources["pg-prod"].entitlements
    ))  # fmt: skip
    alice = catalog.principals["alice"]
    alice = replace(alice, accounts=(*alice.accounts, replace(alice.accounts[0], resource="pg-two")))
    await world.change_catalog(
        resources={**catalog.resources, "pg-two": other}, principals={**catalog.principals, "alice": alice}
    )
    from fakes.connector import FakeConnector

    connectors = {"pg-prod": world.target, "pg-two": FakeConnector(resource="pg-two", clock=world.clock)}
    parts = replace(world.parts, connector=connectors.__getitem__)
    from lapse.enforcement.enforcer import Enforcer

    enforcer, stop = Enforcer(parts), asyncio.Event()
    hung = await scheduled(world)
    world.target.inject(Fault.SLOW, on="look")
    running = asyncio.create_task(enforcer.run(stop))
    await settle(lambda: ("look", (hung,)) in world.target.calls)
    good = await scheduled(world)
    fine = await world.grant(good)
    await world.store.write(lambda tx: tx.save_grants([replace(fine, entitlement="pg-two/reader", version=1)]))
    enforcer.wake()
    await until_state(world, good, GrantState.ACTIVE)
    assert await state(world, hung) is GrantState.SCHEDULED
    world.target.release()
    await until_state(world, hung, GrantState.ACTIVE)
    stop.set()
    await running


async def test_reconcile_reports_unknown_access_once_and_leaves_it(world):
    await reconcile_resource(world.parts, "pg-prod")
    world.target.target.grant("mallory", "app_writer")
    first = await reconcile_resource(world.parts, "pg-prod")
    second = await reconcile_resource(world.parts, "pg-prod")
    assert [d.kind for d in first.plan.new] == [DriftKind.UNKNOWN_ACCESS]
    assert second.plan.new == ()
    assert world.target.holds("mallory", "app_writer")
    assert [e.type for e in world.store.recorded].count("drift.found") == 1


async def test_what_is_gone_from_a_target_is_recorded_when_that_is_seen(world):
    world.target.target.grant("old", "app_writer")
    await reconcile_resource(world.parts, "pg-prod")
    world.target.target.revoke("old", "app_writer")
    await world.clock.advance(HOUR)
    await reconcile_resource(world.parts, "pg-prod")
    (cleared,) = [entry for entry in world.store.recorded if entry.type == "drift.cleared"]
    assert cleared.at == world.clock.now()


async def test_reconcile_removes_unknown_access_where_the_resource_says_so_but_not_what_was_there_first(world):
    resources = (await world.read(lambda r: r.catalog())).resources
    await world.change_catalog(resources={"pg-prod": replace(resources["pg-prod"], on_drift=OnDrift.REMOVE)})
    world.target.target.grant("old", "app_writer")
    await reconcile_resource(world.parts, "pg-prod")
    world.target.target.grant("mallory", "app_writer")
    result = await reconcile_resource(world.parts, "pg-prod")
    assert [r.grant_id for r in result.removed] == [d.id for d in result.to_remove]
    assert not world.target.holds("mallory", "app_writer")
    assert world.target.holds("old", "app_writer")
    open_drift = await world.read(lambda r: r.drifts(resource="pg-prod"))
    assert [d.account for d in open_drift] == ["old"]


async def test_access_that_somebody_took_away_ends_the_grant_and_is_not_given_again(world):
    grant_id = await active(world)
    world.target.target.revoke("alice_login", "app_reader")
    await reconcile_resource(world.parts, "pg-prod")
    await world.enforcer.tick()
    grant = await world.grant(grant_id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.DRIFT)
    assert not world.target.holds("alice_login", "app_reader")


async def test_a_plan_changes_nothing(world):
    world.target.target.grant("mallory", "app_writer")
    before = len(world.store.recorded)
    result = await plan_resource(world.parts, "pg-prod")
    assert len(result.plan.found) == 1
    assert len(world.store.recorded) == before


SPANS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=SPANS, standing=st.booleans())
async def test_what_is_held_is_the_union_of_the_active_grants(spans, standing):
    """Invariant 5, minute by minute, for any overlap of grants of one role to one account."""
    world = await World.create()
    if standing:
        world.target.target.grant("alice_login", "app_reader")
    minute = timedelta(minutes=1)
    for start, length in spans:
        await scheduled(world, starts=START + start * minute, duration=length * minute)
    for now in range(14):
        await world.enforcer.tick()
        wanted = standing or any(start <= now < start + length for start, length in spans)
        assert world.target.holds("alice_login", "app_reader") == wanted
        await world.clock.advance(minute)


async def settle(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def until_state(world, grant_id, wanted):
    async with asyncio.timeout(10):
        while await state(world, grant_id) is not wanted:
            await asyncio.sleep(0)
