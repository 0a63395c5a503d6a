"""One connection while a login is spoken on it, in clear text or in TLS: exact reads, then handed over to the pump.

Guarantees: never more is read than was asked for from a plain connection, so that what follows TLS' beginning is TLS;
what a TLS connection has read ahead is handed over with it. Used by both sides of the gateway for PostgreSQL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from cryptography import x509

from lapse.gateway.pump import Leg
from lapse.gateway.tls import end_point_of

HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 1.0
"""How long the other side has to say goodbye, or to take what was written."""
_READ_AHEAD = 65_536


class Wire(Protocol):
    """A connection on which nobody else reads."""

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises `ConnectionError` if the other side has no more to say."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def release(self) -> tuple[Leg, bytes]:
        """The connection for the pump, and what was read of it already. The wire is of no more use."""
        ...

    async def hang_up(self) -> None:
        """Close in order: what was written arrives, and TLS says its goodbye, which libpq waits for."""
        ...

    def abort(self) -> None:
        """Close at once; what was released stays open."""
        ...


class PlainWire:
    """A socket. `sock` is non-blocking, and belongs to the wire from now on."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock: socket.socket | None = sock
        self._loop = asyncio.get_running_loop()

    @property
    def sock(self) -> socket.socket:
        """The socket itself. Raises `ConnectionError` where it was given away."""
        if self._sock is None:
            raise ConnectionAbortedError("the connection was handed over")
        return self._sock

    async def peek(self) -> bytes:
        """The first byte that waits, without taking it; empty at the end."""
        ready: asyncio.Future[None] = self._loop.create_future()
        sock = self.sock
        while True:
            try:
                return sock.recv(1, socket.MSG_PEEK)
            except (BlockingIOError, InterruptedError):
                ready = self._loop.create_future()
                self._loop.add_reader(sock, _resolve, ready)
                try:
                    await ready
                finally:
                    self._loop.remove_reader(sock)

    async def read(self, size: int) -> bytes:
        """See `Wire`."""
        read = bytearray()
        while len(read) < size:
            data = await self._loop.sock_recv(self.sock, size - len(read))
            if not data:
                raise ConnectionResetError("the other side hung up")
            read += data
        return bytes(read)

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        await self._loop.sock_sendall(self.sock, data)

    def release(self) -> tuple[Leg, bytes]:
        """See `Wire`."""
        sock, self._sock = self.sock, None
        return sock, b""

    async def hang_up(self) -> None:
        """See `Wire`."""
        self.abort()

    def abort(self) -> None:
        """See `Wire`."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class TlsWire(asyncio.Protocol):
    """An encrypted connection. Made by `accept_tls` and `connect_tls`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._read = bytearray()
        self._more: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._lost = asyncio.Event()
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]  # streams have no other

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._transport is None:
            return
        self._read += data
        if len(self._read) > _READ_AHEAD:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self._gone = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  as asyncio calls it
        """See `asyncio.Protocol`."""
        self._gone = True
        self._lost.set()
        self._room.set()
        self._wake()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._room.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._room.set()

    @property
    def tls(self) -> ssl.SSLObject:
        """What is known of the encryption."""
        return self._open.get_extra_info("ssl_object")  # type: ignore[no-any-return]  # asyncio's extra infos have no types

    @property
    def peer_end_point(self) -> bytes:
        """The channel binding of the other side's certificate; empty where it has none."""
        der = self.tls.getpeercert(binary_form=True)
        return end_point_of(x509.load_der_x509_certificate(der)) if der else b""

    async def read(self, size: int) -> bytes:
        """See `Wire`."""
        while len(self._read) < size:
            if self._gone:
                raise ConnectionResetError("the other side hung up")
            self._open.resume_reading()
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        await self._room.wait()
        if self._gone:
            raise ConnectionResetError("the other side hung up")
        self._open.write(data)

    def release(self) -> tuple[Leg, bytes]:
        """See `Wire`."""
        transport, self._transport = self._open, None
        if self._gone or transport.is_closing():
            transport.abort()
            raise ConnectionResetError("the other side hung up")
        transport.pause_reading()
        return transport, bytes(self._read)

    async def hang_up(self) -> None:
        """See `Wire`."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        try:
            transport.resume_reading()  # the other side says goodbye, too
            transport.close()
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._lost.wait()
        except (OSError, RuntimeError):
            return
        finally:
            transport.abort()

    def abort(self) -> None:
        """See `Wire`."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    @property
    def _open(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionAbortedError("the connection was handed over")
        return self._transport

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


async def accept_tls(wire: PlainWire, context: ssl.SSLContext) -> TlsWire:
    """Do the server's side of a handshake. Raises `OSError` (`ssl.SSLError`) where it fails."""
    sock, _ = wire.release()
    return await _handshake(
        sock, lambda loop, new: loop.connect_accepted_socket(
            new, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
    )  # fmt: skip


async def connect_tls(wire: PlainWire, context: ssl.SSLContext, server_name: str) -> TlsWire:
    """Do the client's side of a handshake. Raises `OSError` (`ssl.SSLError`) where it fails."""
    sock, _ = wire.release()
    return await _handshake(
        sock, lambda loop, new: loop.create_connection(
            new, sock=sock, ssl=context, server_hostname=server_name, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
    )  # fmt: skip


async def _handshake(sock: Leg, begin: Callable[..., object]) -> TlsWire:
    made = TlsWire()
    try:
        await begin(asyncio.get_running_loop(), lambda: made)  # type: ignore[misc]  # either of the two above
    except BaseException:
        if isinstance(sock, socket.socket):
            sock.close()
        raise
    return made


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
