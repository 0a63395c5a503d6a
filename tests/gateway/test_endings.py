"""Ends of sessions reach lapse, whatever happens on the way: each at least once, none lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fakes.control_plane import FakePlane
from lapse.domain.errors import Conflict, NotFound, Unavailable
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway import endings as endings_module
from lapse.gateway.endings import AT_ONCE, Ended, Endings
from support.clock import START, HandClock

AWAY = Unavailable("lapse cannot be reached")


def an_end(number=1, **more):
    return Ended(session_id=f"ses_{number}", reason=SessionEnd.CLIENT, at=START, **more)


class Told(FakePlane):
    """Remembers what it was told, in order."""

    def __init__(self):
        super().__init__(HandClock())
        self.told = []

    async def finish(self, session_id, reason, at, use, *, recorded, by=""):
        async with self._call("finish"):
            self.told.append(Ended(session_id=session_id, reason=reason, at=at, use=use, recorded=recorded, by=by))
            self.finished.set()


@pytest.fixture
def plane():
    return Told()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "endings.json"


async def test_an_end_is_told_in_full(plane):
    endings = Endings(plane)
    whole = an_end(use=SessionUse(statements=4, kinds={"SELECT": 4}), recorded=True, by="bob")
    endings.put(whole)
    await endings.settled()
    assert plane.told == [whole]
    assert len(endings) == 0


async def test_what_lapse_could_not_be_told_is_on_disk_and_told_when_it_is_back(plane, file):
    plane.away = True
    endings = Endings(plane, file)
    endings.put(an_end())
    await until(file.exists)
    assert plane.told == []
    plane.away = False
    endings.hurry()
    await endings.settled()
    assert plane.told == [an_end()]
    assert not file.exists()


async def test_the_next_start_tells_what_a_killed_process_left(plane, file):
    plane.away = True
    killed = Endings(plane, file)
    ends = [an_end(n, use=SessionUse(bytes_in=n), recorded=True) for n in range(3)]
    for one in ends:
        killed.put(one)
    await until(lambda: file.exists() and file.read_bytes().count(b"ses_") == 3)
    killed._delivering.cancel()  # what kill -9 leaves: the file alone

    plane.away = False
    after = Endings(plane, file)
    assert after.load() == 3
    await after.settled()
    assert sorted(plane.told, key=lambda one: one.session_id) == ends
    assert not file.exists()


async def test_what_a_process_left_whose_place_nobody_takes_is_moved_and_told(plane, file, tmp_path):
    plane.away = True
    gone = Endings(plane, tmp_path / "9.endings")
    gone.put(an_end(9))
    await gone.close(patience=0.05)
    heir = Endings(plane, file)
    assert heir.take_over(tmp_path / "9.endings") == 1
    assert heir.take_over(tmp_path / "9.endings") == 0
    await heir.close(patience=0.05)
    plane.away = False
    after = Endings(plane, file)
    assert after.load() == 1
    await after.settled()
    assert plane.told == [an_end(9)]


async def test_an_end_that_was_told_although_it_seemed_not_is_told_again(plane):
    plane.failing["finish"].append(AWAY)
    plane.although_done = True
    endings = Endings(plane)
    endings.put(an_end())
    await endings.settled()
    assert plane.told == [an_end(), an_end()]


async def test_one_that_can_never_be_told_holds_up_nobody(plane):
    troubles = []
    endings = Endings(plane, on_trouble=lambda what, error: troubles.append((what, error.message)))
    plane.failing["finish"].append(NotFound("there is no such session"))
    endings.put(an_end(1))
    endings.put(an_end(2))
    await endings.settled()
    assert [one.session_id for one in plane.told] == ["ses_2"]
    assert troubles == [("ses_1", "there is no such session")]


async def test_one_that_fails_for_now_lets_the_others_pass(plane):
    plane.failing["finish"].append(Conflict("somebody else was first"))
    endings = Endings(plane)
    for number in range(AT_ONCE + 5):
        endings.put(an_end(number))
    await until(lambda: len(plane.told) == AT_ONCE - 1)
    endings.hurry()
    await endings.settled()
    assert {one.session_id for one in plane.told} == {f"ses_{n}" for n in range(AT_ONCE + 5)}
    assert plane.told[-1].session_id == "ses_0"


async def test_a_defect_elsewhere_loses_no_end(plane, monkeypatch):
    troubles, finish = [], plane.finish
    endings = Endings(plane, on_trouble=lambda what, error: troubles.append((what, type(error))))

    async def fail(*_args, **_more):
        monkeypatch.setattr(plane, "finish", finish)
        raise ZeroDivisionError

    monkeypatch.setattr(plane, "finish", fail)
    endings.put(an_end())
    await until(lambda: troubles)
    endings.hurry()
    await endings.settled()
    assert plane.told == [an_end()]
    assert troubles == [("ses_1", ZeroDivisionError)]


async def test_lapse_that_hangs_is_asked_again(plane, monkeypatch):
    monkeypatch.setattr(endings_module, "CALL_SECONDS", 0.05)
    plane.stuck["finish"] = asyncio.Event()
    troubles = []
    endings = Endings(plane, on_trouble=lambda what, error: troubles.append(type(error)))
    endings.put(an_end())
    await until(lambda: troubles)
    plane.stuck["finish"].set()
    endings.hurry()
    await endings.settled()
    assert plane.told == [an_end()]


async def test_closing_keeps_what_is_left_for_the_next_start(plane, file):
    plane.away = True
    endings = Endings(plane, file)
    endings.put(an_end(1))
    assert await endings.close(patience=0.05) == 1
    plane.away = False
    assert Endings(Told(), file).load() == 1
    await Endings(plane, file).close()


async def test_closing_waits_for_what_is_under_way(plane, file):
    plane.stuck["finish"] = asyncio.Event()
    endings = Endings(plane, file)
    endings.put(an_end())
    closing = asyncio.create_task(endings.close())
    await until(lambda: "finish" in plane.calls)
    plane.stuck["finish"].set()
    assert await closing == 0
    assert plane.told == [an_end()]
    assert not file.exists()


async def test_a_line_that_a_crash_cut_short_counts_for_nothing_and_spoils_no_other(plane, file):
    plane.away = True
    first = Endings(plane, file)
    first.put(an_end(1))
    await first.close(patience=0.05)
    with file.open("ab") as out:
        out.write(b'{"session_id":"ses_2","reas')
    second = Endings(plane, file)
    assert second.load() == 1
    second.put(an_end(3))
    await second.close(patience=0.05)
    third = Endings(plane, file)
    assert third.load() == 2
    await third.close(patience=0.05)


async def test_an_end_that_is_in_the_file_twice_is_told_once_as_it_was_last(plane, file):
    plane.away = True
    for recorded in (False, True):
        endings = Endings(plane, file)
        endings.put(replace(an_end(), recorded=recorded))
        await endings.close(patience=0.05)
    plane.away = False
    endings = Endings(plane, file)
    assert endings.load() == 1
    await endings.settled()
    assert plane.told == [an_end(recorded=True)]


async def test_a_disk_that_is_full_is_said_and_the_end_is_told_all_the_same(plane, tmp_path):
    troubles = []
    plane.away = True
    endings = Endings(plane, tmp_path / "none" / "endings.json", on_trouble=lambda what, _error: troubles.append(what))
    endings.put(an_end())
    await until(lambda: troubles)
    plane.away = False
    endings.hurry()
    await endings.settled()
    assert plane.told == [an_end()]
    assert troubles[0] == "endings"


async def until(true):
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)
