"""Connections that are forwarded, either way: what comes out of one side goes into the other, and is counted.

Used by `session`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncssh

OnClose = Callable[[dict[str, int]], None]
Connect = Callable[[Callable[[], "_Side"]], Awaitable[object]]
"""Opens the connection whose session is what the function that it is given makes."""


async def joined(connect: Connect, *, on_close: OnClose, passing: Callable[[], bool]) -> _Side:
    """The near side of a connection whose far side `connect` opens. Data passes while `passing` says so.

    Raises:
        asyncssh.ChannelOpenError: the far side does not connect.
    """
    near, far = _Side(passing, on_close), _Side(passing)
    near.other, far.other = far, near
    await connect(lambda: far)
    return near


class _Side(asyncssh.SSHTCPSession[bytes]):
    """One side: what comes goes to the other; one that is full stops the other. What comes early waits."""

    def __init__(self, passing: Callable[[], bool], on_close: OnClose | None = None) -> None:
        self._passing = passing
        self._on_close = on_close
        self.other: _Side
        self._chan: asyncssh.SSHTCPChannel[bytes] | None = None
        self._early: list[Callable[[asyncssh.SSHTCPChannel[bytes]], None]] = []
        self.passed = 0

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The channel is open."""
        self._chan = chan
        for call in self._early:
            call(chan)
        self._early.clear()

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        """Pass it on."""
        if not self._passing():
            return
        self.passed += len(data)
        self.other.do(lambda chan: chan.write(data))

    def eof_received(self) -> bool:
        """This side has said all."""
        self.other.do(lambda chan: chan.write_eof())
        return True

    def pause_writing(self) -> None:
        """This side does not take more."""
        self.other.do(lambda chan: chan.pause_reading())

    def resume_writing(self) -> None:
        """This side takes more."""
        self.other.do(lambda chan: chan.resume_reading())

    def connection_lost(self, _exc: Exception | None) -> None:
        """This side is gone, so the other goes."""
        self.other.do(lambda chan: chan.close())
        if self._on_close is not None:
            self._on_close({"bytes_in": self.passed, "bytes_out": self.other.passed})

    def do(self, call: Callable[[asyncssh.SSHTCPChannel[bytes]], None]) -> None:
        """Do it to this side's channel, as soon as there is one."""
        if self._chan is None:
            self._early.append(call)
        else:
            # A channel that is closing ignores it.
            with suppress(OSError):
                call(self._chan)
