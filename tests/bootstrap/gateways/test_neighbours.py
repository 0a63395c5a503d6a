"""Cancel requests reach every other process of the machine, and hold up nobody."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from lapse.bootstrap.gateways.neighbours import LONGEST_KEY, heard, pass_on
from lapse.bootstrap.gateways.places import taken_place
from lapse.ports import CancelQuery

KEY = CancelQuery(process=0, key=b"\0\0\0\7secret!!")


class Neighbours:
    """Processes that listen, and what each heard."""

    def __init__(self, stack, folder, number):
        self.places = [stack.enter_context(taken_place(folder)) for _ in range(number)]
        self.heard = [[] for _ in self.places]
        for place, kept in zip(self.places, self.heard, strict=True):
            stack.enter_context(heard(place, kept.append))


async def test_every_other_process_hears_of_it(tmp_path):
    with ExitStack() as stack:
        here = Neighbours(stack, tmp_path, 3)
        assert pass_on(here.places[0], KEY) == 2
        assert pass_on(here.places[1], CancelQuery(process=9, key=b"another")) == 2
        await until(lambda: sum(map(len, here.heard)) == 4)
    other = CancelQuery(process=9, key=b"another")
    assert here.heard == [[other], [KEY], [KEY, other]]


async def test_a_process_that_is_gone_is_passed_by(tmp_path):
    with ExitStack() as stack:
        here = Neighbours(stack, tmp_path, 2)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
            left_behind.bind(str(tmp_path / "9.sock"))
        assert pass_on(here.places[0], KEY) == 1
        await until(lambda: here.heard[1] == [KEY])


async def test_what_a_killed_process_left_is_taken_over(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
        left_behind.bind(str(tmp_path / "0.sock"))
    with ExitStack() as stack:
        here = Neighbours(stack, tmp_path, 2)
        pass_on(here.places[1], KEY)
        await until(lambda: here.heard[0] == [KEY])
    assert list(tmp_path.glob("*.sock")) == []


async def test_a_neighbour_that_does_not_listen_holds_up_nobody(tmp_path):
    with ExitStack() as stack:
        here = Neighbours(stack, tmp_path, 2)
        for _ in range(5_000):
            pass_on(here.places[0], KEY)
        await until(lambda: here.heard[1])
    assert set(map(repr, here.heard[1])) == {repr(KEY)}


async def test_a_key_that_is_too_long_is_no_key(tmp_path):
    with ExitStack() as stack:
        here = Neighbours(stack, tmp_path, 2)
        assert pass_on(here.places[0], CancelQuery(process=0, key=bytes(LONGEST_KEY + 1))) == 0


async def test_a_deep_folder_is_no_hindrance(tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with ExitStack() as stack:
        here = Neighbours(stack, deep, 2)
        assert pass_on(here.places[0], KEY) == 1
        await until(lambda: here.heard[1] == [KEY])


async def until(true):
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)
