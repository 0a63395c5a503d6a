"""Group commit, seen from the statements that reach the database."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from lapse.domain.errors import Unavailable
from lapse.storage import groupcommit
from lapse.storage.groupcommit import GroupCommitter

WHO = ContextVar("WHO", default="nobody")


class FakeSession:
    """Notes what it is told, and fails where it is asked to."""

    def __init__(self):
        self.log = []
        self.fails = {}
        self.in_transaction = False
        self.link = None

    async def run(self, sql):
        self.log.append(sql)
        await asyncio.sleep(0)
        if sql in self.fails:
            raise self.fails.pop(sql)
        if sql in {"COMMIT", "ROLLBACK"}:
            self.in_transaction = False
        if sql == "BEGIN IMMEDIATE":
            self.in_transaction = True

    async def close(self):
        self.log.append("close")


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
async def committer(session):
    async def connect():
        session.log.append("connect")
        return session

    committer = GroupCommitter(connect)
    yield committer
    await committer.close()


def work(result, log=None):
    async def do(unit):
        if log is not None:
            log.append(result)
        if isinstance(result, Exception):
            raise result
        return result

    return do


async def test_a_lone_work_is_committed_at_once_without_savepoint(committer, session):
    assert await committer.run(work("a", session.log)) == "a"
    assert session.log == ["connect", "BEGIN IMMEDIATE", "a", "COMMIT"]


async def test_works_that_arrive_together_share_one_commit(committer, session):
    results = await asyncio.gather(*(committer.run(work(name, session.log)) for name in "abc"))
    assert results == ["a", "b", "c"]
    assert session.log == [
        "connect",
        "BEGIN IMMEDIATE",
        "a",
        *("SAVEPOINT work", "b", "RELEASE work"),
        *("SAVEPOINT work", "c", "RELEASE work"),
        "COMMIT",
    ]


async def test_a_work_that_fails_takes_nothing_with_it(committer, session):
    results = await asyncio.gather(
        committer.run(work("a")),
        committer.run(work(ValueError("b"))),
        committer.run(work("c")),
        return_exceptions=True,
    )
    assert results[0] == "a"
    assert isinstance(results[1], ValueError)
    assert results[2] == "c"
    assert session.log[2:] == [
        *("SAVEPOINT work", "ROLLBACK TO work", "RELEASE work"),
        *("SAVEPOINT work", "RELEASE work"),
        "COMMIT",
    ]


async def test_a_first_work_that_fails_begins_again(committer, session):
    results = await asyncio.gather(
        committer.run(work(ValueError("a"))), committer.run(work("b")), return_exceptions=True
    )
    assert isinstance(results[0], ValueError)
    assert results[1] == "b"
    assert session.log[1:] == ["BEGIN IMMEDIATE", "ROLLBACK", "BEGIN IMMEDIATE", "COMMIT"]


async def test_nobody_hears_of_success_before_the_commit(committer, session):
    order = session.log
    task = asyncio.ensure_future(committer.run(work("a", order)))
    task.add_done_callback(lambda _: order.append("told"))
    await task
    await asyncio.sleep(0)
    assert order.index("COMMIT") < order.index("told")


@pytest.mark.parametrize("at", ["COMMIT", "RELEASE work", "SAVEPOINT work", "BEGIN IMMEDIATE"])
async def test_a_transaction_that_is_lost_is_told_to_all_and_a_new_connection_is_made(committer, session, at):
    session.fails[at] = Unavailable("the disk under the database is full")
    results = await asyncio.gather(*(committer.run(work(n)) for n in "ab"), return_exceptions=True)
    lost = [result for result in results if isinstance(result, Unavailable)]
    assert len(lost) == (1 if at == "BEGIN IMMEDIATE" else 2)
    assert await committer.run(work("next")) == "next"
    assert session.log.count("connect") == 2


async def test_a_roll_back_by_the_database_itself_is_noticed(committer, session):
    async def breaks(unit):
        session.in_transaction = False
        raise Unavailable("the disk under the database is full")

    results = await asyncio.gather(committer.run(work("a")), committer.run(breaks), return_exceptions=True)
    assert [str(result) for result in results] == ["the disk under the database is full"] * 2
    assert "COMMIT" not in session.log


async def test_a_caller_that_leaves_while_waiting_is_not_served(committer, session):
    gate = asyncio.Event()

    async def slow(unit):
        await gate.wait()

    first = asyncio.create_task(committer.run(slow))
    second = asyncio.create_task(committer.run(work("second", session.log)))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    await first
    assert "second" not in session.log


async def test_a_caller_that_leaves_during_its_work_undoes_it(committer, session):
    started = asyncio.Event()

    async def slow(unit):
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(committer.run(slow))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await committer.run(work("next")) == "next"
    assert session.log[1:3] == ["BEGIN IMMEDIATE", "ROLLBACK"]


async def test_a_work_that_takes_too_long_is_given_up(committer, monkeypatch):
    monkeypatch.setattr(groupcommit, "WORK_SECONDS", 0.01)
    with pytest.raises(Unavailable, match="too long"):
        await committer.run(lambda unit: asyncio.Event().wait())
    assert await committer.run(work("next")) == "next"


async def test_a_work_that_cancels_itself_fails_alone(committer):
    async def cancels(unit):
        raise asyncio.CancelledError

    with pytest.raises(Unavailable, match="cancelled"):
        await committer.run(cancels)
    assert await committer.run(work("next")) == "next"


async def test_a_work_runs_in_the_context_of_its_caller(committer):
    async def who(unit):
        return WHO.get()

    WHO.set("ann")
    assert await committer.run(who) == "ann"


async def test_closing_finishes_what_runs_and_refuses_what_waits(session):
    async def connect():
        return session

    committer = GroupCommitter(connect)
    gate = asyncio.Event()

    async def slow(unit):
        await gate.wait()
        return "done"

    running = asyncio.create_task(committer.run(slow))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(committer.close())
    await asyncio.sleep(0.01)
    gate.set()
    await closing
    assert await running == "done"
    with pytest.raises(Unavailable, match="closed"):
        await committer.run(work("late"))
    assert session.log[-2:] == ["COMMIT", "close"]


async def test_a_group_stops_taking_works_when_it_is_old(committer, session, monkeypatch):
    monkeypatch.setattr(groupcommit, "GROUP_SECONDS", 0.0)
    await asyncio.gather(*(committer.run(work(name)) for name in "abc"))
    assert session.log.count("COMMIT") == 3
