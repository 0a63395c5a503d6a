"""`ssh -J gateway host`: the connection that a client opens through the gateway ends in the gateway, not on the host.

So that what it does is permitted and recorded like everything else. The channel's bytes go to one end of a socket pair;
the other end is served like a connection from outside. Used by `server`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import asyncssh


def through(serve: Callable[[socket.socket], Awaitable[None]]) -> Jump:
    """A channel whose other end is a connection for `serve`."""
    return Jump(serve)


class Jump(asyncssh.SSHTCPSession[bytes]):
    """A channel that carries a whole SSH connection."""

    def __init__(self, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._serve = serve
        self._waiting = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._chan: asyncssh.SSHTCPChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The channel is open: serve what comes through it."""
        self._chan = chan
        chan.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._begin(), name="jump")

    def session_started(self) -> None:
        """Nothing."""

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        """Bytes of the inner connection, from the client."""
        if self._transport is None:
            self._waiting += data
        else:
            self._transport.write(data)

    def eof_received(self) -> bool:
        """The client has said all."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """The client does not take more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client takes more."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The outer connection is gone, and with it the inner one."""
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()

    async def _begin(self) -> None:
        mine, theirs = socket.socketpair()
        mine.settimeout(0)
        theirs.settimeout(0)
        chan = self._chan
        if chan is None:
            return
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Inner(chan), sock=mine)
        self._transport = transport
        transport.write(bytes(self._waiting))
        self._waiting.clear()
        chan.resume_reading()
        try:
            await self._serve(theirs)
        finally:
            transport.abort()


class _Inner(asyncio.Protocol):
    """The gateway's end of the pair: what the inner connection says goes into the channel."""

    def __init__(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self._chan = chan
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # streams have no other

    def data_received(self, data: bytes) -> None:
        self._chan.write(data)

    def pause_writing(self) -> None:
        self._chan.pause_reading()

    def resume_writing(self) -> None:
        self._chan.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  as asyncio calls it
        self._chan.close()
