"""What was there before a grant, what happens while a target is read, and who may still hold anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.connector import Fault
from lapse.control import catalogs
from lapse.control.decisions import approve
from lapse.control.grants import revoke
from lapse.control.requests import extend_grant
from lapse.domain.errors import Refused
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.principals import Account
from lapse.domain.resources import OnDrift
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.reconcile import plan_resource, reconcile_resource
from support.world import CATALOG, World

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world():
    return await World.create()


async def approved(world, who="alice", hours=1, **more):
    request = await world.ask(who, hours=hours, **more)
    await approve(world.control, world.actor("carol"), request.id)
    return await world.grant_of(request)


async def active(world, who="alice", hours=1, **more):
    grant = await approved(world, who, hours, **more)
    await world.enforcer.tick()
    grant = await world.grant(grant.id)
    assert grant.state is GrantState.ACTIVE
    return grant


async def extended(world, grant, hours=1):
    request = await extend_grant(world.control, world.actor("alice"), grant.id, hours * HOUR, "it takes longer")
    await approve(world.control, world.actor("bob"), request.id)
    return await world.grant_of(request)


async def end_of(world, grant):
    now = await world.grant(grant.id)
    return now.state, now.end_reason


# before


async def test_access_held_before_that_goes_away_during_activation_is_not_given_instead(world):
    world.target.target.grant("alice_login", "app_reader")
    world.target.inject(Fault.NOT_APPLIED, on="apply")
    grant = await approved(world)
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ACTIVATING
    world.target.target.revoke("alice_login", "app_reader")
    for _ in range(5):
        await world.clock.advance(MINUTE)
        await world.enforcer.tick()
    failed = await world.grant(grant.id)
    assert (failed.state, "taken away" in failed.last_error) == (GrantState.ACTIVATION_FAILED, True)
    assert not world.target.holds("alice_login", "app_reader")


async def test_access_held_before_that_a_reconciliation_misses_ends_the_grant(world):
    world.target.target.grant("alice_login", "app_reader")
    grant = await active(world)
    world.target.target.revoke("alice_login", "app_reader")
    await reconcile_resource(world.parts, "pg-prod")
    await world.enforcer.tick()
    assert await end_of(world, grant) == (GrantState.ENDED, EndReason.DRIFT)


async def test_what_a_later_grant_puts_in_the_place_of_access_held_before_goes_with_it(world):
    world.target.target.grant("alice_login", "app_reader")
    first = await active(world, hours=4)
    world.target.target.revoke("alice_login", "app_reader")
    second = await active(world, hours=1)
    assert second.held_before is False
    await world.enforcer.tick()
    assert await end_of(world, first) == (GrantState.ENDED, EndReason.DRIFT)
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert not world.target.holds("alice_login", "app_reader")


async def test_one_that_cannot_be_planned_waits_alone(world):
    lost, good = await approved(world, "alice"), await approved(world, "dave")
    nobody = replace(CATALOG.principals["alice"], accounts=())
    await world.change_catalog(principals={**CATALOG.principals, "alice": nobody})
    await world.enforcer.tick()
    assert (await world.grant(good.id)).state is GrantState.ACTIVE
    assert (await world.grant(lost.id)).state is GrantState.SCHEDULED
    await world.change_catalog(principals=CATALOG.principals)
    await world.clock.advance(MINUTE)
    await world.enforcer.tick()
    assert (await world.grant(lost.id)).state is GrantState.ACTIVE


# extensions


async def test_an_extension_is_over_when_it_would_have_ended_and_not_when_its_length_has_passed(world):
    grant = await active(world, hours=4)
    longer = await extended(world, grant, hours=1)
    world.target.inject(Fault.UNREACHABLE, on="look", times=1)
    await world.clock.advance(2 * HOUR)
    await world.enforcer.tick()
    await world.clock.advance(MINUTE)
    await world.enforcer.tick()
    assert (await world.grant(longer.id)).ends_at == grant.ends_at + HOUR


async def test_an_extension_never_starts_after_its_own_end(world):
    """Approved in the instant before the end, seen by the enforcer long after."""
    grant = await active(world, hours=1)
    await world.clock.advance(2 * HOUR)
    longer = await extended(world, grant, hours=1)
    await world.enforcer.tick()
    assert await end_of(world, longer) == (GrantState.ENDED, EndReason.ELAPSED)
    assert (await world.grant(longer.id)).activated_at is None
    assert not world.target.holds("alice_login", "app_reader")


async def test_an_extension_of_what_was_taken_away_does_not_start(world):

    grant = await active(world)
    longer = await extended(world, grant)
    await revoke(world.control, world.admin(), grant.id, "incident over")
    await world.enforcer.tick()
    assert await end_of(world, longer) == (GrantState.ENDED, EndReason.REVOKED)
    await world.enforcer.tick()
    assert not world.target.holds("alice_login", "app_reader")


# people


@pytest.mark.parametrize("leaver", ["alice", "bob"])
async def test_an_alias_and_an_agent_lose_access_with_the_person_behind_them(world, leaver):
    login = (Account(resource="pg-prod", login="second_login"),)
    who = {"alice": "alice-admin", "bob": "bot"}[leaver]
    principals = {**CATALOG.principals, who: replace(CATALOG.principals[who], accounts=login)}
    await world.change_catalog(principals=principals)
    beneficiary = {"beneficiary": "bot"} if leaver == "bob" else {}
    grant = await active(world, "bob" if leaver == "bob" else who, **beneficiary)
    assert world.target.holds("second_login", "app_reader")

    gone = {**principals, leaver: replace(CATALOG.principals[leaver], active=False)}
    await catalogs.apply(world.control, world.admin(), replace(CATALOG, principals=gone))
    await world.enforcer.tick()
    assert await end_of(world, grant) == (GrantState.ENDED, EndReason.POLICY_CHANGED)
    assert not world.target.holds("second_login", "app_reader")
    with pytest.raises(Refused, match="not active"):
        await world.ask("bob" if leaver == "bob" else who, **beneficiary)


async def test_a_request_of_somebody_who_left_meanwhile_cannot_be_approved(world):
    request = await world.ask("dave")
    await world.change_catalog(
        principals={**CATALOG.principals, "dave": replace(CATALOG.principals["dave"], active=False)}
    )
    with pytest.raises(Refused, match="`dave` is not active"):
        await approve(world.control, world.actor("bob"), request.id)


# between reading the target and reading the store


@pytest.fixture
def meanwhile(world, monkeypatch):
    """What happens right after the target was read."""

    def then(happen):
        observe = world.target.observe

        async def observe_then():
            seen = await observe()
            await happen()
            return seen

        monkeypatch.setattr(world.target, "observe", observe_then)

    return then


async def test_a_grant_that_becomes_active_meanwhile_is_not_missing(world, meanwhile):
    grant = await approved(world)

    async def activate():
        await world.clock.advance(MINUTE)
        await world.enforcer.tick()

    meanwhile(activate)
    assert (await reconcile_resource(world.parts, "pg-prod")).plan.missing == ()
    assert (await world.grant(grant.id)).state is GrantState.ACTIVE


async def test_a_grant_that_ends_meanwhile_explains_what_was_seen(world, meanwhile):
    await plan_resource(world.parts, "pg-prod")
    await active(world)

    async def end():
        await world.clock.advance(HOUR)
        await world.enforcer.tick()

    meanwhile(end)
    result = await reconcile_resource(world.parts, "pg-prod")
    assert (result.plan.found, result.plan.missing) == ((), ())


async def test_a_grant_that_begins_meanwhile_keeps_what_would_have_been_removed(world, meanwhile):
    remove = replace(CATALOG.resources["pg-prod"], on_drift=OnDrift.REMOVE)
    await world.change_catalog(resources={"pg-prod": remove})
    await reconcile_resource(world.parts, "pg-prod")
    world.target.target.grant("alice_login", "app_reader")
    meanwhile(lambda: active(world))
    assert (await reconcile_resource(world.parts, "pg-prod")).removed == ()
    assert world.target.holds("alice_login", "app_reader")


# the loop


async def test_an_error_that_nobody_expected_is_told_and_tried_again_later(world, monkeypatch):
    grant = await approved(world)
    with monkeypatch.context() as broken:
        broken.setattr(world.target, "look", _explode)

        enforcer, stop = Enforcer(world.parts), asyncio.Event()
        running = asyncio.create_task(enforcer.run(stop))
        async with asyncio.timeout(10):
            while not world.troubles:
                await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert world.troubles == [("pg-prod", "KeyError: 'what is this'")]
    await world.clock.advance(MINUTE)
    async with asyncio.timeout(10):
        while (await world.grant(grant.id)).state is not GrantState.ACTIVE:
            await asyncio.sleep(0)
    stop.set()
    await running


async def _explode(_assignments):
    raise KeyError("what is this")
