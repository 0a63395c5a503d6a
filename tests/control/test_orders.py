"""Orders follow from what is on record: whoever changed it, in whatever process, and whenever it is looked at."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control.credentials import give_credential
from lapse.control.decisions import approve
from lapse.control.gateways import beat, end_gateway, lose_silent_gateways, register_gateway
from lapse.control.grants import revoke
from lapse.control.holds import decide_hold, drop_hold
from lapse.control.plane import Hub, LocalPlane
from lapse.control.plane.following import TELL_AGAIN
from lapse.control.sessions import kill_session, lose_overdue_sessions
from lapse.domain.gateways import LOST_AFTER
from lapse.domain.holds import HoldState
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.ports import Attempt, Cut, Decided
from support.planes import GATEWAY, gateway_world
from support.stores import opened

HOUR = timedelta(hours=1)


@pytest.fixture
async def lapse():
    lapse = await gateway_world()
    await lapse.plane.register(GATEWAY)
    return lapse


async def admitted(lapse, name="ses_1"):
    credential = await lapse.credential()
    attempt = Attempt(credential_id=credential.id, protocol="postgresql", client="192.0.2.7:5", session_id=name)
    return (await lapse.plane.admit(GATEWAY, attempt)).session


@asynccontextmanager
async def followed(plane, gateway=GATEWAY):
    """A function that waits for the next order."""
    async with aclosing(plane.orders(gateway)) as orders:

        async def order():
            async with asyncio.timeout(10):
                return await anext(orders)

        yield order


def finish(lapse, session, reason=SessionEnd.CLIENT):
    return lapse.plane.finish(session.id, reason, lapse.clock.now(), SessionUse(statements=7), recorded=True)


def another(lapse, control=None):
    """Another server on the same store: nothing that happens here wakes it."""
    return LocalPlane(replace(control or lapse.world.control, wake=lambda: None), Hub())


# cuts


async def test_a_cut_is_told_again_until_the_session_is_over(lapse):
    """The first may come while the gateway is still opening the session, and cannot cut what it does not hold."""
    session = await admitted(lapse)
    await lapse.revoke(session)
    cut = Cut(session_id=session.id, reason=SessionEnd.REVOKED)
    async with followed(lapse.plane) as order:
        assert await order() == cut
        await lapse.clock.advance(TELL_AGAIN)
        assert await order() == cut
        other = await admitted_besides(lapse)
        await finish(lapse, session, SessionEnd.REVOKED)
        await lapse.clock.advance(TELL_AGAIN)
        await kill_session(lapse.world.control, lapse.world.admin(), other.id, "the next one")
        assert (await order()).session_id == other.id


async def admitted_besides(lapse):
    """Another session, of a grant of its own."""
    request = await lapse.world.ask("dave")
    await approve(lapse.world.control, lapse.world.actor("carol"), request.id)
    await lapse.world.enforcer.tick()
    grant = await lapse.world.grant_of(request)
    given = await give_credential(lapse.world.control, lapse.world.actor("dave"), grant.id)
    attempt = Attempt(credential_id=given.credential.id, protocol="postgresql", client="x", session_id="ses_2")
    return (await lapse.plane.admit(GATEWAY, attempt)).session


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_what_another_process_ends_is_cut(kind, request, tmp_path):
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    async with opened(kind, tmp_path, url) as store, opened(kind, tmp_path, url) as elsewhere:
        lapse = await gateway_world(store)
        await lapse.plane.register(GATEWAY)
        session = await admitted(lapse)
        control = replace(lapse.world.control, store=elsewhere, wake=lambda: None)
        async with followed(lapse.plane) as order:
            coming = asyncio.create_task(order())
            await asyncio.sleep(0)
            await revoke(control, lapse.world.admin(), session.grant_id, "no longer needed")
            assert await coming == Cut(session_id=session.id, reason=SessionEnd.REVOKED)


# gateways that were taken for gone


async def test_a_gateway_that_comes_back_cuts_what_was_lost_and_keeps_its_number(lapse):
    """Its sessions ran on while it could not reach lapse, and nobody could have cut them."""
    (before,) = await lapse.world.read(lambda r: r.gateway_runs(name=GATEWAY))
    session = await admitted(lapse)
    await lapse.clock.advance(LOST_AFTER + timedelta(seconds=1))
    assert [lost.id for lost in await lose_silent_gateways(lapse.world.control)] == [session.id]
    async with followed(lapse.plane) as order:
        assert await order() == Cut(session_id=session.id, reason=SessionEnd.LOST)
    (after,) = await lapse.world.read(lambda r: r.gateway_runs(name=GATEWAY))
    assert (after.number, after.first_seen) == (before.number, lapse.clock.now())


async def test_a_gateway_that_was_lost_while_it_followed_is_told_as_well(lapse):
    session, control = await admitted(lapse), lapse.world.control
    async with followed(lapse.plane) as order:
        coming = asyncio.create_task(order())
        await asyncio.sleep(0.05)
        lapse.clock._now += LOST_AFTER + timedelta(seconds=1)
        await lose_silent_gateways(control)
        assert await coming == Cut(session_id=session.id, reason=SessionEnd.LOST)


async def test_the_true_end_of_a_lost_session_is_recorded_and_stands(lapse):
    session = await admitted(lapse)
    await lapse.plane.register(GATEWAY)
    await finish(lapse, session)
    await finish(lapse, session, SessionEnd.FAILED)
    found = await lapse.session(session.id)
    assert (found.end_reason, found.use.statements, found.recorded) == (SessionEnd.CLIENT, 7, True)
    kinds = [entry.type for entry in lapse.world.store.recorded if entry.subject == session.id]
    assert kinds == ["session.opened", "session.ended", "session.found"]


async def test_a_gateway_that_ended_in_order_or_never_was_has_no_run(lapse):
    await end_gateway(lapse.world.control, GATEWAY)
    for name in (GATEWAY, "gw-9/0"):
        assert await beat(lapse.world.control, name)
    assert await lapse.world.read(lambda r: r.gateway_runs()) == []


async def test_what_nobody_ever_finished_is_lost_some_time_after_its_deadline(lapse):
    session = await admitted(lapse)
    await lapse.clock.advance(session.deadline - lapse.clock.now() + LOST_AFTER - timedelta(seconds=1))
    assert await lose_overdue_sessions(lapse.world.control) == []
    await lapse.clock.advance(timedelta(seconds=1))
    (lost,) = await lose_overdue_sessions(lapse.world.control)
    assert (lost.id, lost.end_reason, lost.ended_at) == (session.id, SessionEnd.LOST, session.deadline)


# answers to held statements


async def test_an_answer_comes_from_whichever_server_the_gateway_follows(lapse):
    session = await admitted(lapse)
    asked = await lapse.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    async with followed(another(lapse)) as order:
        coming = asyncio.create_task(order())
        await asyncio.sleep(0.05)
        decided = await decide_hold(lapse.world.control, lapse.world.actor("olga"), asked.id, allow=True)
        assert await coming == Decided(hold=decided)


async def test_an_answer_that_was_given_while_nobody_followed_comes_first(lapse):
    session = await admitted(lapse)
    asked = await lapse.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    decided = await decide_hold(lapse.world.control, lapse.world.actor("olga"), asked.id, allow=False)
    async with followed(another(lapse)) as order:
        assert await order() == Decided(hold=decided)


async def test_an_answer_as_quick_as_can_be_is_told(lapse):
    session = await admitted(lapse)
    async with followed(lapse.plane) as order:
        coming = asyncio.create_task(order())
        await asyncio.sleep(0.05)
        asked = await lapse.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
        await decide_hold(lapse.world.control, lapse.world.actor("olga"), asked.id, allow=True)
        assert (await coming).hold.state is HoldState.ALLOWED


async def test_of_what_was_dropped_and_what_another_gateway_asked_nothing_is_told(lapse):
    session = await admitted(lapse)
    dropped = await lapse.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    await drop_hold(lapse.world.control, dropped.id)
    asked = await lapse.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    await decide_hold(lapse.world.control, lapse.world.actor("olga"), asked.id, allow=True)
    await register_gateway(lapse.world.control, "gw-2/0")
    async with followed(lapse.plane, "gw-2/0") as order:
        waiting = asyncio.create_task(order())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting})
    async with followed(lapse.plane) as order:
        assert (await order()).hold.id == asked.id
