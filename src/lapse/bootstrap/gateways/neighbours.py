"""Cancel requests between the gateway processes of one machine, which share their addresses.

A client's cancel request is a connection of its own, so it may arrive at another process than its session. It is then
passed to every neighbour; whoever knows the key cancels. Datagrams in a folder that only this user can enter: what
cannot be delivered at once is dropped, as a network may do. Made by `assembly`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lapse.bootstrap.gateways.places import Place
from lapse.ports import CancelQuery

LONGEST_KEY = 1_024
_AT_ONCE = 64
_NUMBER_BYTES = 2

OnCancel = Callable[[CancelQuery], None]


@contextmanager
def heard(place: Place, on_cancel: OnCancel) -> Iterator[None]:
    """Hear of the neighbours' cancel requests while the body runs, in this event loop."""
    place.socket_file.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(0)
        with _short(place.socket_file) as path:
            ear.bind(path)
        place.socket_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        loop = asyncio.get_running_loop()
        loop.add_reader(ear, _hear, ear, on_cancel)
        try:
            yield
        finally:
            loop.remove_reader(ear)
            place.socket_file.unlink(missing_ok=True)


def pass_on(place: Place, query: CancelQuery) -> int:
    """Pass a cancel request to every other process here; how many took it."""
    message = query.process.to_bytes(_NUMBER_BYTES, "big") + query.key
    if len(query.key) > LONGEST_KEY:
        return 0
    others = [path for path in place.folder.glob("*.sock") if path != place.socket_file]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.settimeout(0)
        return sum(_said(mouth, path, message) for path in others)


def _said(mouth: socket.socket, path: Path, message: bytes) -> bool:
    """Whether a process took it: not one that is gone, and not one that has no time."""
    with suppress(OSError), _short(path) as short:
        mouth.sendto(message, short)
        return True
    return False


def _hear(ear: socket.socket, on_cancel: OnCancel) -> None:
    with suppress(BlockingIOError):
        for _ in range(_AT_ONCE):
            data = ear.recv(_NUMBER_BYTES + LONGEST_KEY)
            if len(data) > _NUMBER_BYTES:
                number = int.from_bytes(data[:_NUMBER_BYTES], "big")
                on_cancel(CancelQuery(process=number, key=data[_NUMBER_BYTES:]))


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the socket that fits an address: the system takes 107 bytes, a folder may be deeper."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
