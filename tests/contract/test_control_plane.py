"""What every `ports.ControlPlane` does for gateways."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.domain.errors import Conflict, Refused
from lapse.domain.holds import HoldState
from lapse.domain.sessions import SessionEnd, SessionState, SessionUse
from lapse.ports import Attempt, CancelQuery, Cut, Decided
from lapse.protocols.ssh.keys import public_text, read_public_key
from support.planes import GATEWAY, fake_world, gateway_world
from support.sessions import a_segment
from support.stores import opened

HOUR = timedelta(hours=1)
USE = SessionUse(statements=3, rows=7, kinds={"SELECT": 3})


@pytest.fixture(params=["fake", "sqlite"])
async def world(request, tmp_path):
    if request.param == "fake":
        yield await fake_world()
        return
    async with opened("sqlite", tmp_path, None) as store:
        yield await gateway_world(store)


def attempt(credential, session_id="ses_a", **fields):
    return Attempt(
        credential_id=credential.id, protocol="postgresql", client="192.0.2.7:5", session_id=session_id, **fields
    )


async def admitted(world, session_id="ses_a"):
    credential = await world.credential()
    return (await world.plane.admit(GATEWAY, attempt(credential, session_id))).session


async def first_order(plane, gateway=GATEWAY):
    async with asyncio.timeout(10), aclosing(plane.orders(gateway)) as orders:
        return await anext(orders)


async def test_gateways_have_numbers_of_their_own_and_keep_them(world):
    first = await world.plane.register("gw-1/0")
    second = await world.plane.register("gw-1/1")
    assert first != second
    assert await world.plane.register("gw-1/0") == first


async def test_the_ca_of_users_is_a_key_that_stays(world):
    text = await world.plane.ssh_user_ca()
    assert public_text(read_public_key(text)) == text
    assert await world.plane.ssh_user_ca() == text


async def test_a_credential_is_found_by_its_login(world):
    credential = await world.credential()
    assert await world.plane.credential(credential.login, "postgresql") == credential
    assert await world.plane.credential(credential.login + "x", "postgresql") is None


async def test_a_session_ends_with_its_grant_and_is_on_record_before_it_begins(world):
    credential = await world.credential()
    admission = await world.plane.admit(GATEWAY, attempt(credential, program="psql", place="orders"))
    session = admission.session
    assert await world.session(session.id) == session
    assert session.deadline == credential.expires_at
    assert (session.gateway, session.program, session.place) == (GATEWAY, "psql", "orders")
    assert len(admission.recording_key) == 32


async def test_recordings_of_two_sessions_have_different_keys(world):
    credential = await world.credential()
    one = await world.plane.admit(GATEWAY, attempt(credential, "ses_a"))
    other = await world.plane.admit(GATEWAY, attempt(credential, "ses_b"))
    assert one.recording_key != other.recording_key


async def test_no_two_sessions_have_one_id(world):
    credential = await world.credential()
    await world.plane.admit(GATEWAY, attempt(credential))
    with pytest.raises(Conflict):
        await world.plane.admit(GATEWAY, attempt(credential))


async def test_a_credential_for_one_session_opens_one(world):
    credential = await world.credential(single_use=True)
    await world.plane.admit(GATEWAY, attempt(credential))
    with pytest.raises(Refused):
        await world.plane.admit(GATEWAY, attempt(credential, "ses_b"))


async def test_an_unknown_credential_opens_nothing(world):
    credential = replace(await world.credential(), id="cre_unknown")
    with pytest.raises(Refused):
        await world.plane.admit(GATEWAY, attempt(credential))


async def test_after_the_deadline_a_credential_opens_nothing(world):
    credential = await world.credential()
    await world.clock.advance(credential.expires_at - world.clock.now())
    assert await world.plane.credential(credential.login, "postgresql") is None
    with pytest.raises(Refused):
        await world.plane.admit(GATEWAY, attempt(credential))


async def test_an_end_is_recorded_once(world):
    session = await admitted(world)
    at = world.clock.now()
    await world.plane.finish(session.id, SessionEnd.CLIENT, at, USE, recorded=True)
    await world.plane.finish(session.id, SessionEnd.FAILED, at + HOUR, SessionUse(), recorded=False)
    ended = await world.session(session.id)
    assert (ended.state, ended.end_reason, ended.use, ended.recorded) == (
        SessionState.ENDED,
        SessionEnd.CLIENT,
        USE,
        True,
    )


async def test_an_end_of_a_session_that_never_was_changes_nothing(world):
    await world.plane.finish("ses_none", SessionEnd.FAILED, world.clock.now(), SessionUse(), recorded=False)


async def test_what_a_gateway_held_before_it_began_anew_is_lost(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    await world.plane.register(GATEWAY)
    assert (await world.session(session.id)).end_reason is SessionEnd.LOST


async def test_what_was_lost_is_to_be_cut_if_it_still_runs_and_its_true_end_is_recorded(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    await world.plane.register(GATEWAY)
    assert await first_order(world.plane) == Cut(session_id=session.id, reason=SessionEnd.LOST)
    await world.plane.finish(session.id, SessionEnd.SERVER, world.clock.now(), USE, recorded=True)
    ended = await world.session(session.id)
    assert (ended.end_reason, ended.use, ended.recorded) == (SessionEnd.SERVER, USE, True)


async def test_a_revoked_grant_cuts_its_sessions_and_opens_none(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    credential = await world.credential()
    await world.revoke(session)
    assert await first_order(world.plane) == Cut(session_id=session.id, reason=SessionEnd.REVOKED)
    with pytest.raises(Refused):
        await world.plane.admit(GATEWAY, attempt(credential, "ses_b"))


async def test_a_gateway_that_listens_is_told_at_once(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    listening = asyncio.create_task(first_order(world.plane))
    await asyncio.sleep(0)
    await world.revoke(session)
    assert (await listening).session_id == session.id


async def test_a_held_statement_is_answered_by_an_order(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    held = await world.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    assert (held.session_id, held.state, held.statement) == (session.id, HoldState.WAITING, "DELETE FROM orders")
    assert held.expires_at <= session.deadline
    decided = await world.decide(held, allow=True)
    assert await first_order(world.plane) == Decided(hold=decided)


async def test_of_a_hold_that_was_dropped_nobody_is_told_and_dropping_it_again_changes_nothing(world):
    await world.plane.register(GATEWAY)
    session = await admitted(world)
    dropped = await world.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    for _ in range(2):
        await world.plane.drop(dropped.id)
    other = await world.plane.hold(session.id, "DELETE FROM orders", "deletes need approval")
    decided = await world.decide(other, allow=False)
    assert await first_order(world.plane) == Decided(hold=decided)


async def test_a_sealed_piece_may_be_told_again(world):
    session = await admitted(world)
    segment = a_segment(session_id=session.id)
    await world.plane.sealed(segment)
    await world.plane.sealed(segment)


async def test_what_is_shipped_twice_is_there_once(world):
    await world.plane.ship("pg-prod/ses_a/0", 0, b"abc")
    await world.plane.ship("pg-prod/ses_a/0", 3, b"def")
    await world.plane.ship("pg-prod/ses_a/0", 3, b"def")


async def test_cancel_requests_find_the_other_gateway(world):
    number = await world.plane.register(GATEWAY)
    if hasattr(world.plane, "cancels"):
        await world.plane.cancel_elsewhere(number, b"key")
        assert world.plane.cancels == [(number, b"key")]
        return
    listening = asyncio.create_task(first_order(world.plane))
    while not listening.done():
        await world.plane.cancel_elsewhere(number, b"key")
        await asyncio.wait({listening}, timeout=0.05)
    assert await listening == CancelQuery(process=number, key=b"key")
