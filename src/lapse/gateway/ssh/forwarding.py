"""Local forwarding: a connection that the host makes for the client, with its bytes counted. Used by `session`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import asyncssh

OnClose = Callable[[dict[str, int]], None]


async def forwarded(
    host: asyncssh.SSHClientConnection, to: str, port: int, *, on_close: OnClose, passing: Callable[[], bool]
) -> _Side:
    """The client's side of a connection to `to` from the host. Data passes while `passing` says so.

    Raises:
        asyncssh.ChannelOpenError: the host does not connect.
    """
    client, far = _Side(passing, on_close), _Side(passing)
    client.other, far.other = far, client
    await host.create_connection(lambda: far, to, port, encoding=None)
    return client


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
