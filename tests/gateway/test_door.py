"""The door: whoever comes through is on record, recorded and held; whatever fails leaves nothing open."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from lapse.domain.errors import Conflict, Corrupt, Refused, Unavailable
from lapse.domain.sessions import SessionEnd, SessionState, SessionUse
from lapse.gateway import door as door_module
from lapse.gateway.live import CUT_GRACE
from lapse.gateway.measures import NoMetrics
from lapse.ports import Attempt, Cut
from support.clock import HandClock
from support.live_gateway import GATEWAY, live_gateway

LOGIN = "alice.pg-prod.x7k2m9"
AWAY = Unavailable("lapse cannot be reached")


@pytest.fixture
async def gateway():
    async with live_gateway(clock=HandClock()) as made:
        made.plane.allow(LOGIN)
        yield made


def attempt(gateway, login=LOGIN, **more):
    credential = gateway.plane.allowed[login].credential
    return Attempt(credential_id=credential.id, protocol="postgresql", client="127.0.0.1:5000", **more)


def ended(gateway):
    """The one session that there was, which must be over."""
    (session,) = gateway.plane.sessions.values()
    assert session.state is SessionState.ENDED
    return session


async def come_in(gateway, body=None):
    async with gateway.context.door.open(attempt(gateway)) as session:
        if body is not None:
            await body(session)


async def test_a_session_is_held_and_on_record_while_it_lasts_and_told_when_it_is_over(gateway):
    door = gateway.context.door
    async with door.open(attempt(gateway, program="psql", place="orders")) as session:
        (on_record,) = gateway.plane.open
        assert (on_record.id, on_record.gateway, on_record.program) == (session.id, GATEWAY, "psql")
        assert gateway.live.get(session.id) is session
        session.use = SessionUse(statements=3, bytes_in=70)
        session.cut(Cut(session_id=session.id, reason=SessionEnd.CLIENT))
    await gateway.settled()
    over = ended(gateway)
    assert (over.end_reason, over.recorded, over.use.statements) == (SessionEnd.CLIENT, True, 3)
    assert len(gateway.live) == 0
    assert gateway.recorder.recordings[over.id].closed


async def test_the_gateway_chooses_the_id_so_that_it_can_name_a_session_whose_answer_was_lost(gateway):
    gateway.plane.failing["admit"].append(AWAY)
    gateway.plane.although_done = True
    with pytest.raises(Unavailable):
        await come_in(gateway)
    await gateway.settled()
    assert ended(gateway).end_reason is SessionEnd.FAILED


async def test_an_admission_that_was_not_made_leaves_nothing(gateway):
    gateway.plane.failing["admit"].append(AWAY)
    with pytest.raises(Unavailable):
        await come_in(gateway)
    await gateway.settled()
    assert gateway.plane.sessions == {}
    assert len(gateway.live) == 0


@pytest.mark.parametrize("error", [Refused("a lock is in force"), Conflict("there is one already")])
async def test_a_refusal_is_passed_on_and_nothing_is_opened(gateway, error):
    gateway.plane.failing["admit"].append(error)
    with pytest.raises(type(error), match=error.message):
        await come_in(gateway)
    await gateway.settled()
    assert gateway.recorder.recordings == {}
    assert "finish" not in gateway.plane.calls


async def test_lapse_that_does_not_answer_is_not_waited_for_without_end(gateway, monkeypatch):
    monkeypatch.setattr(door_module, "ADMIT_SECONDS", 0.05)
    gateway.plane.stuck["admit"] = asyncio.Event()
    with pytest.raises(Unavailable, match="does not answer"):
        await come_in(gateway)
    await gateway.settled()
    assert gateway.plane.open == []


async def test_a_caller_that_is_cancelled_while_lapse_is_asked_leaves_no_session_open(gateway):
    gateway.plane.stuck["admit"] = asyncio.Event()
    caller = asyncio.create_task(come_in(gateway))
    await until(lambda: "admit" in gateway.plane.calls)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gateway.plane.stuck["admit"].set()
    await until(lambda: "finish" in gateway.plane.calls)
    await gateway.settled()
    assert ended(gateway).end_reason is SessionEnd.CLIENT
    assert len(gateway.live) == 0


async def test_a_cancelled_caller_whose_attempt_is_refused_afterwards_leaves_nothing_to_tell(gateway):
    gateway.plane.stuck["admit"] = asyncio.Event()
    gateway.plane.allowed[LOGIN].refused = "there are 50 sessions already"
    caller = asyncio.create_task(come_in(gateway))
    await until(lambda: "admit" in gateway.plane.calls)
    caller.cancel()
    gateway.plane.stuck["admit"].set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await gateway.settled()
    assert "finish" not in gateway.plane.calls


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Unavailable("the disk is full"), SessionEnd.NOT_RECORDED), (ZeroDivisionError(), SessionEnd.FAILED)],
)
async def test_what_cannot_be_recorded_is_not_opened(gateway, error, reason):
    gateway.recorder.refusing = error
    with pytest.raises(type(error)):
        await come_in(gateway)
    await gateway.settled()
    assert ended(gateway).end_reason is reason
    assert len(gateway.live) == 0


@pytest.mark.parametrize("trouble", ["unsafe", "failing"])
async def test_a_recording_that_is_not_whole_is_told_and_the_end_nevertheless(gateway, trouble):
    gateway.recorder.unsafe = trouble == "unsafe"
    gateway.recorder.failing = Corrupt("a chunk is missing") if trouble == "failing" else None
    await come_in(gateway)
    await gateway.settled()
    assert ended(gateway).recorded is False


async def test_a_recorder_that_hangs_does_not_keep_the_end_from_being_told(gateway, monkeypatch):
    monkeypatch.setattr(door_module, "CLOSE_SECONDS", 0.05)

    async def hang(session):
        session.recording.close = asyncio.Event().wait

    await come_in(gateway, hang)
    await gateway.settled()
    assert ended(gateway).recorded is False


async def test_a_body_that_fails_fails_the_session(gateway):
    async def fail(_session):
        raise OSError("the target hung up")

    with pytest.raises(OSError, match="hung up"):
        await come_in(gateway, fail)
    await gateway.settled()
    assert ended(gateway).end_reason is SessionEnd.FAILED


async def test_a_body_that_is_cancelled_is_told_in_full_although_it_is_cancelled_again(gateway):
    async def wait(_session):
        await asyncio.Event().wait()

    caller = asyncio.create_task(come_in(gateway, wait))
    await until(lambda: len(gateway.live) == 1)
    caller.cancel()
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await gateway.settled()
    assert ended(gateway).recorded is True
    assert len(gateway.live) == 0


async def test_a_body_that_does_not_end_when_it_is_cut_is_ended_by_force():
    clock = HandClock()
    async with live_gateway(clock=clock) as gateway:
        gateway.plane.allow(LOGIN, life=timedelta(minutes=1))

        async def stay(session):
            session.when_cut(lambda _cut: None)
            await asyncio.Event().wait()

        caller = asyncio.create_task(come_in(gateway, stay))
        await until(lambda: len(gateway.live) == 1)
        for step in (timedelta(minutes=1), CUT_GRACE):
            await clock.advance(step)
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await caller
        await gateway.settled()
        assert ended(gateway).end_reason is SessionEnd.ELAPSED


async def test_who_ended_it_is_told(gateway):
    async def cut(session):
        gateway.live.cut(Cut(session_id=session.id, reason=SessionEnd.REVOKED, by="bob"))

    await come_in(gateway, cut)
    await gateway.settled()
    over = ended(gateway)
    assert (over.end_reason, over.ended_by) == (SessionEnd.REVOKED, "bob")


async def test_a_door_that_is_shut_lets_nobody_in(gateway):
    gateway.context.door.shut = True
    with pytest.raises(Refused, match="shutting down"):
        await come_in(gateway)
    assert gateway.plane.calls == ["register"]


async def test_a_door_that_is_shut_while_lapse_is_asked_opens_nothing(gateway):
    gateway.plane.stuck["admit"] = asyncio.Event()
    caller = asyncio.create_task(come_in(gateway))
    await until(lambda: "admit" in gateway.plane.calls)
    gateway.context.door.shut = True
    gateway.plane.stuck["admit"].set()
    with pytest.raises(Refused, match="shutting down"):
        await caller
    await gateway.settled()
    assert ended(gateway).end_reason is SessionEnd.DRAINED


class Kept(NoMetrics):
    def __init__(self):
        self.late = []

    def ended(self, session, reason, use, late):
        self.late.append((reason, late))


async def test_how_late_an_end_was_is_measured_from_the_deadline_or_from_the_order(gateway):
    gateway.context.door.metrics = kept = Kept()

    async def revoked(session):
        gateway.live.cut(Cut(session_id=session.id, reason=SessionEnd.REVOKED))
        await gateway.context.clock.advance(timedelta(seconds=1))

    async def elapsed(session):
        await gateway.context.clock.advance(timedelta(hours=1, seconds=-1))
        gateway.live.cut(Cut(session_id=session.id, reason=SessionEnd.ELAPSED))
        await gateway.context.clock.advance(timedelta(seconds=3))

    async def left(session):
        session.cut(Cut(session_id=session.id, reason=SessionEnd.CLIENT))

    for body in (left, revoked, elapsed):
        await come_in(gateway, body)
        gateway.plane.allow(LOGIN)
    assert kept.late == [
        (SessionEnd.CLIENT, None),
        (SessionEnd.REVOKED, timedelta(seconds=1)),
        (SessionEnd.ELAPSED, timedelta(seconds=2)),
    ]


async def until(true):
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)
