from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.recorder import FakeRecorder
from lapse.domain.guards import GatewayRules, Guard
from lapse.domain.sessions import Session, SessionEnd, SessionUse
from lapse.enforcement.clock import SystemClock
from lapse.gateway.live import CUT_GRACE, Ending, LiveSession, LiveSessions
from lapse.ports import Admission, Cut, Upstream
from support.clock import START, HandClock

MINUTE = timedelta(minutes=1)
_ids = count()


def a_session(*, ends_in=timedelta(hours=1), start=START, **rules):
    admission = Admission(
        session=Session(
            id=f"ses_{next(_ids)}",
            grant_id="grt_1",
            credential_id="crd_1",
            resource="pg-prod",
            entitlement="pg-prod/reader",
            principal="alice",
            account="app",
            protocol="postgresql",
            gateway="gw-1/0",
            client="127.0.0.1:5000",
            started_at=start,
            deadline=start + ends_in,
        ),
        native={},
        guard=Guard(),
        rules=GatewayRules(**rules),
        upstream=Upstream(host="db", port=5432, user="app"),
        recording_key=bytes(32),
    )
    return LiveSession(admission, FakeRecorder().begin(admission))


@dataclass
class Told:
    """What sessions were told, and when."""

    clock: object
    cuts: list = field(default_factory=list)
    warnings: list = field(default_factory=list)

    def watch(self, session):
        session.when_cut(lambda cut: self.cuts.append((session.id, cut.reason, self.clock.now())))
        session.on_warning = lambda ending: self.warnings.append((session.id, ending, self.clock.now()))
        return session

    @property
    def reasons(self):
        return [reason for _, reason, _ in self.cuts]


@asynccontextmanager
async def kept(clock, **more):
    live, stop = LiveSessions(clock, **more), asyncio.Event()
    task = asyncio.create_task(live.keep_deadlines(stop))
    await settle()
    try:
        yield live
    finally:
        stop.set()
        await task


async def settle():
    """Let the loop do what it has to do now."""
    for _ in range(8):
        await asyncio.sleep(0)


async def pass_time(clock, by):
    await clock.advance(by)
    await settle()


async def test_it_is_cut_at_its_deadline_and_warned_before():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        live.add(told.watch(a_session(ends_in=15 * MINUTE)))
        for _ in range(16 * 6):
            await pass_time(clock, timedelta(seconds=10))
    assert [(ending.left, at - START) for _, ending, at in told.warnings] == [
        (10 * MINUTE, 5 * MINUTE),
        (2 * MINUTE, 13 * MINUTE),
        (timedelta(seconds=30), 15 * MINUTE - timedelta(seconds=30)),
    ]
    assert [(reason, at - START) for _, reason, at in told.cuts] == [(SessionEnd.ELAPSED, 15 * MINUTE)]


async def test_a_warning_whose_time_has_passed_is_not_given():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        live.add(told.watch(a_session(ends_in=MINUTE)))
        await settle()
        assert told.warnings == []
        await pass_time(clock, 2 * MINUTE)
    assert [ending.left.seconds for _, ending, _ in told.warnings] == [30]
    assert told.reasons == [SessionEnd.ELAPSED]


async def test_one_that_is_over_its_deadline_already_is_cut_at_once():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        live.add(told.watch(a_session(ends_in=-MINUTE)))
        await settle()
        assert told.reasons == [SessionEnd.ELAPSED]


async def test_an_earlier_deadline_that_comes_later_is_kept_too():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        live.add(told.watch(a_session(ends_in=timedelta(hours=9))))
        await settle()
        early = told.watch(a_session(ends_in=MINUTE))
        live.add(early)
        await settle()
        await pass_time(clock, MINUTE)
        assert [session for session, *_ in told.cuts] == [early.id]


async def test_the_first_reason_stands():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        session = told.watch(a_session(ends_in=MINUTE))
        live.add(session)
        assert live.cut(Cut(session_id=session.id, reason=SessionEnd.REVOKED, by="bob"))
        live.cut(Cut(session_id=session.id, reason=SessionEnd.LOCKED))
        live.cut_all(SessionEnd.DRAINED)
        await pass_time(clock, MINUTE)
    assert told.reasons == [SessionEnd.REVOKED]
    assert session.cut_by == Cut(session_id=session.id, reason=SessionEnd.REVOKED, by="bob")


async def test_who_asks_late_is_told_at_once():
    session, told = a_session(), []
    session.cut(Cut(session_id=session.id, reason=SessionEnd.KILLED))
    session.when_cut(told.append)
    assert [cut.reason for cut in told] == [SessionEnd.KILLED]


async def test_a_cut_for_a_session_of_another_process_is_not_for_here():
    live = LiveSessions(HandClock())
    assert not live.cut(Cut(session_id="ses_elsewhere", reason=SessionEnd.REVOKED))


async def test_a_warning_is_not_given_to_one_that_was_cut():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        session = told.watch(a_session(ends_in=11 * MINUTE))
        live.add(session)
        session.cut(Cut(session_id=session.id, reason=SessionEnd.CLIENT))
        await pass_time(clock, 2 * MINUTE)
    assert told.warnings == []


async def test_a_protocol_that_fails_when_told_keeps_no_other_session_from_its_end():
    clock, troubles, forced = HandClock(), [], []
    told = Told(clock)
    async with kept(clock, on_trouble=lambda session, error: troubles.append((session, error))) as live:
        bad, good = a_session(ends_in=MINUTE), told.watch(a_session(ends_in=MINUTE))
        bad.when_cut(lambda _cut: 1 / 0)
        bad.on_warning = lambda _ending: 1 / 0
        bad.by_force = lambda: forced.append(clock.now())
        live.add(bad)
        live.add(good)
        await pass_time(clock, MINUTE / 2)
        await pass_time(clock, MINUTE / 2)
    assert [session for session, _ in troubles] == [bad.id, bad.id]
    assert forced == [START + MINUTE], "it cannot end by itself, so it is ended at once"
    assert told.reasons == [SessionEnd.ELAPSED]


@pytest.mark.parametrize("says_so", [False, True], ids=["silent", "said that it was ending"])
async def test_one_that_does_not_end_when_it_must_is_ended_by_force_again_and_again(says_so):
    clock, forced = HandClock(), []
    async with kept(clock) as live:
        session = a_session(ends_in=MINUTE)
        session.by_force = lambda: forced.append(clock.now() - START)
        live.add(session)
        if says_so:
            session.cut(Cut(session_id=session.id, reason=SessionEnd.CLIENT))
        await pass_time(clock, MINUTE)
        assert forced == []
        await pass_time(clock, CUT_GRACE)
        await pass_time(clock, CUT_GRACE)
        assert forced == [MINUTE + CUT_GRACE, MINUTE + 2 * CUT_GRACE]
        live.discard(session)
        await pass_time(clock, 5 * CUT_GRACE)
    assert len(forced) == 2


async def test_an_idle_session_is_cut_and_a_busy_one_is_not():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        idle, busy = (told.watch(a_session(idle_timeout=8 * MINUTE)) for _ in range(2))
        idle.use = SessionUse(bytes_in=7)
        moved = count(1)
        busy.counting = lambda: SessionUse(bytes_out=next(moved))
        live.add(idle)
        live.add(busy)
        for _ in range(8):
            await pass_time(clock, MINUTE)
            assert told.cuts == []
        await pass_time(clock, MINUTE)
        await pass_time(clock, 10 * MINUTE)
    assert [(session, reason) for session, reason, _ in told.cuts] == [(idle.id, SessionEnd.IDLE)]


async def test_all_are_warned_of_a_drain_but_those_that_end_before():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        soon, later = told.watch(a_session(ends_in=MINUTE)), told.watch(a_session())
        live.add(soon)
        live.add(later)
        live.warn_all(Ending(5 * MINUTE, SessionEnd.DRAINED))
    assert [(session, ending) for session, ending, _ in told.warnings] == [
        (later.id, Ending(5 * MINUTE, SessionEnd.DRAINED))
    ]


async def test_timers_of_sessions_that_are_over_do_not_pile_up():
    clock = HandClock()
    async with kept(clock) as live:
        stays = a_session(ends_in=timedelta(hours=8))
        live.add(stays)
        for _ in range(5_000):
            session = a_session(ends_in=timedelta(hours=8), idle_timeout=MINUTE)
            live.add(session)
            live.discard(session)
            assert live.timers < 200
        assert list(live) == [stays]
        assert live.get(stays.id) is stays


async def test_discarding_twice_or_a_stranger_changes_nothing():
    live = LiveSessions(HandClock())
    session = a_session()
    live.add(session)
    live.discard(a_session())
    assert len(live) == 1
    live.discard(session)
    live.discard(session)
    assert len(live) == 0


async def test_all_that_are_due_are_cut_in_one_turn():
    clock = HandClock()
    told = Told(clock)
    async with kept(clock) as live:
        for _ in range(2_000):
            live.add(told.watch(a_session(ends_in=MINUTE)))
        await clock.advance(MINUTE)
        await settle()
    assert told.reasons == [SessionEnd.ELAPSED] * 2_000


async def test_setting_the_wall_clock_back_keeps_the_deadline_and_forward_brings_it_near():
    wall, elapsed = START, 0.0
    clock = SystemClock(wall=lambda: wall, monotonic=lambda: elapsed)
    told = Told(clock)
    async with kept(clock) as live:
        live.add(told.watch(a_session(ends_in=timedelta(seconds=20))))
        wall -= timedelta(hours=2)
        elapsed += 19
        await asyncio.sleep(0)
        assert told.cuts == []
        wall += timedelta(hours=4)
        async with asyncio.timeout(5):
            while not told.cuts:
                await asyncio.sleep(0.02)
    assert told.reasons == [SessionEnd.ELAPSED]


async def test_with_real_time_none_is_cut_early_and_none_is_forgotten():
    clock = SystemClock()
    told, start = Told(clock), clock.now()
    async with kept(clock) as live:
        sessions = {}
        for n in range(600):
            session = told.watch(a_session(start=start, ends_in=timedelta(milliseconds=100 + n)))
            sessions[session.id] = session
            live.add(session)
        async with asyncio.timeout(20):
            while len(told.cuts) < len(sessions):
                await asyncio.sleep(0.01)
    late = [(at - sessions[i].admission.session.deadline).total_seconds() for i, _, at in told.cuts]
    assert min(late) >= 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(-5, 60)),
        st.tuples(st.just("pass"), st.integers(1, 25)),
        st.tuples(st.just("over"), st.integers(0, 30)),
        st.tuples(st.just("revoke"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_each_is_cut_once_at_its_deadline_and_not_before(story):
    asyncio.run(_played(story))


async def _played(story):
    clock = HandClock()
    told, added, over, revoked = Told(clock), [], set(), set()
    async with kept(clock) as live:
        for what, number in story:
            if what == "add":
                added.append(told.watch(a_session(start=clock.now(), ends_in=timedelta(seconds=number))))
                live.add(added[-1])
            elif what == "pass":
                await clock.advance(timedelta(seconds=number))
            elif added:
                session = added[number % len(added)]
                if what == "over":
                    over.add(session.id)
                    live.discard(session)
                elif live.cut(Cut(session_id=session.id, reason=SessionEnd.REVOKED)):
                    revoked.add(session.id)
            await settle()
            now = clock.now()
            cut = {session: reason for session, reason, _ in told.cuts}
            assert len(cut) == len(told.cuts), "nobody is told twice"
            for session in added:
                due = session.admission.session.deadline <= now
                if session.id not in over and due:
                    assert session.id in cut
                if cut.get(session.id) is SessionEnd.ELAPSED:
                    assert due
                assert session.id in revoked or cut.get(session.id) is not SessionEnd.REVOKED
        assert live.timers <= 64 + 2 * 5 * len(live) + 5
