"""Every write of the gateway's side may fail: without having happened, or after it happened unheard."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.store import FakeStore
from lapse.control.credentials import give_credential, revoke_credential
from lapse.control.gateways import beat, end_gateway, lose_silent_gateways, register_gateway
from lapse.control.holds import decide_hold, drop_hold, expire_holds, hold_statement
from lapse.control.retention import remove_due_recordings
from lapse.control.sessions import (
    Over,
    finish_session,
    kill_session,
    lose_overdue_sessions,
    open_session,
    record_segment,
)
from lapse.domain.errors import Conflict, Refused, Unavailable
from lapse.domain.guards import GatewayRules
from lapse.domain.sessions import SessionEnd, SessionState
from lapse.ledger.canonical import decode
from lapse.ports import Attempt, Page
from support.planes import GATEWAY, KeptBlobs, gateway_world
from support.sessions import a_segment
from support.shaky import ShakyStore

HOUR = timedelta(hours=1)
ALL = Page(limit=1_000, newest_first=False)


async def company():
    return await gateway_world(ShakyStore(FakeStore()), GatewayRules(keep_for=HOUR))


@pytest.fixture
async def lapse():
    return await company()


def given(lapse, _=None, **more):
    return give_credential(lapse.world.control, lapse.world.actor("alice"), lapse.grant_id, **more)


async def one_use(lapse):
    return (await given(lapse, single_use=True)).credential


def admit(lapse, credential):
    attempt = Attempt(credential_id=credential.id, protocol="postgresql", client="192.0.2.7:5", session_id="ses_1")
    return open_session(lapse.world.control, GATEWAY, attempt)


async def registered(lapse):
    await register_gateway(lapse.world.control, GATEWAY)


async def session(lapse):
    await registered(lapse)
    return (await admit(lapse, await one_use(lapse)))[0]


async def overdue(lapse):
    await session(lapse)
    await lapse.clock.advance(3 * HOUR)


async def sealed(lapse):
    kept = a_segment(session_id=(await session(lapse)).id)
    await record_segment(lapse.world.control, kept)
    await lapse.clock.advance(24 * HOUR)
    return KeptBlobs({kept.place: bytearray(b"sealed")})


async def held(lapse):
    return await hold_statement(lapse.world.control, (await session(lapse)).id, "DELETE FROM orders", "deletes")


async def forgotten(lapse):
    await held(lapse)
    await lapse.clock.advance(HOUR)


async def lost(lapse):
    one = await session(lapse)
    await registered(lapse)
    return one


def finish(lapse, one):
    return finish_session(lapse.world.control, one.id, Over(reason=SessionEnd.CLIENT, at=lapse.clock.now()))


async def nothing(_lapse):
    return None


USE_CASES = {
    "give out": (nothing, given),
    "no longer": (one_use, lambda w, c: revoke_credential(w.world.control, w.world.actor("alice"), c.id)),
    "open": (one_use, admit),
    "finish": (session, finish),
    "find the end": (lost, finish),
    "kill": (session, lambda w, s: kill_session(w.world.control, w.world.admin(), s.id, "runs away")),
    "seal": (session, lambda w, s: record_segment(w.world.control, a_segment(session_id=s.id))),
    "remove": (sealed, lambda w, blobs: remove_due_recordings(w.world.control, blobs)),
    "hold": (session, lambda w, s: hold_statement(w.world.control, s.id, "DELETE FROM orders", "deletes")),
    "decide": (held, lambda w, h: decide_hold(w.world.control, w.world.actor("olga"), h.id, allow=True)),
    "drop": (held, lambda w, h: drop_hold(w.world.control, h.id)),
    "expire": (forgotten, lambda w, _: expire_holds(w.world.control)),
    "register": (nothing, lambda w, _: registered(w)),
    "register anew": (session, lambda w, _: registered(w)),
    "beat after silence": (forgotten, lambda w, _: beat(w.world.control, GATEWAY)),
    "end in order": (registered, lambda w, _: end_gateway(w.world.control, GATEWAY)),
    "lose the silent": (forgotten, lambda w, _: lose_silent_gateways(w.world.control)),
    "lose the overdue": (overdue, lambda w, _: lose_overdue_sessions(w.world.control)),
}
use_cases = pytest.mark.parametrize("name", USE_CASES)


async def everything(lapse):
    """All of the gateway's side, without what is random, and the ledger."""

    async def work(reader):
        sessions = await reader.sessions(ALL)
        return (
            [replace(one, login="", verifier="") for one in await reader.credentials(ALL)],
            sessions,
            [await reader.segments(one.id) for one in sessions],
            await reader.holds(ALL),
            await reader.gateway_runs(open_only=False),
        )

    entries = [decode(body) for _, body in await lapse.world.store.ledger.pending(10_000)]
    return await lapse.world.store.read(work), [_without_login(entry) for entry in entries]


def _without_login(entry):
    return replace(entry, after={name: value for name, value in (entry.after or {}).items() if name != "login"})


@use_cases
async def test_a_write_that_never_happened_leaves_nothing_and_can_be_made_again(lapse, name):
    prepare, act = USE_CASES[name]
    thing = await prepare(lapse)
    before = await everything(lapse)
    lapse.world.store.fate.append("lost")
    with pytest.raises(Unavailable, match="the disk under the database is full"):
        await act(lapse, thing)
    assert await everything(lapse) == before

    await act(lapse, thing)
    after = await everything(lapse)
    assert after[0] != before[0]
    assert len(after[1]) > len(before[1])


@use_cases
async def test_a_write_that_happened_unheard_is_the_same_as_one_that_was_heard(name):
    outcomes = []
    for fate in ("unheard", "fine"):
        lapse = await company()
        prepare, act = USE_CASES[name]
        thing = await prepare(lapse)
        lapse.world.store.fate.append(fate)
        heard = pytest.raises(Unavailable, match="answer") if fate == "unheard" else contextlib.nullcontext()
        with heard:
            await act(lapse, thing)
        outcomes.append(await everything(lapse))
    assert outcomes[0] == outcomes[1]


SAID_AGAIN = sorted(set(USE_CASES) - {"give out", "open", "hold", "kill"})


@pytest.mark.parametrize("name", [*SAID_AGAIN, "kill"])
async def test_what_happened_unheard_can_be_said_again_and_changes_nothing(lapse, name):
    prepare, act = USE_CASES[name]
    thing = await prepare(lapse)
    lapse.world.store.fate.append("unheard")
    with pytest.raises(Unavailable):
        await act(lapse, thing)
    after = await everything(lapse)
    await act(lapse, thing)
    again = await everything(lapse)
    if name.startswith("register"):
        assert again[0][1] == after[0][1]
    else:
        assert again == after


async def test_a_session_that_was_opened_unheard_is_closed_by_the_gateway_that_chose_its_name(lapse):
    credential = await one_use(lapse)
    lapse.world.store.fate.append("unheard")
    with pytest.raises(Unavailable):
        await admit(lapse, credential)
    with pytest.raises(Refused):
        await admit(lapse, credential)
    await finish_session(lapse.world.control, "ses_1", Over(reason=SessionEnd.FAILED, at=lapse.clock.now()))
    assert (await lapse.session("ses_1")).state is SessionState.ENDED


async def test_no_name_is_used_twice_even_by_a_credential_for_many(lapse):
    credential = (await given(lapse)).credential
    lapse.world.store.fate.append("unheard")
    with pytest.raises(Unavailable):
        await admit(lapse, credential)
    with pytest.raises(Conflict):
        await admit(lapse, credential)


async def test_a_kill_that_was_not_heard_cuts_all_the_same(lapse):
    one = await session(lapse)
    lapse.world.store.fate.append("unheard")
    with pytest.raises(Unavailable):
        await kill_session(lapse.world.control, lapse.world.admin(), one.id, "runs away")
    orders = lapse.plane.orders(GATEWAY)
    assert (await anext(orders)).reason is SessionEnd.KILLED
    await orders.aclose()


async def test_a_piece_that_cannot_be_removed_is_tried_again_and_holds_up_no_other(lapse):
    blobs = await sealed(lapse)
    (kept,) = blobs.there
    await record_segment(lapse.world.control, a_segment("seg_2", session_id="ses_1", number=1, place="pg-prod/ses_1/1"))
    blobs.stuck.add(kept)
    with pytest.raises(Unavailable):
        await remove_due_recordings(lapse.world.control, blobs)
    stuck, removed = await lapse.world.read(lambda r: r.segments("ses_1"))
    assert (stuck.removed_at, removed.removed_at) == (None, lapse.clock.now())
    blobs.stuck.clear()
    assert await remove_due_recordings(lapse.world.control, blobs) == 1
    assert blobs.there == {}
