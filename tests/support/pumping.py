"""An established session between two ends that a test holds, with a pump in the middle, and what was recorded of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lapse.domain.errors import Unavailable
from lapse.gateway.pump import Attachment, Farewells, Flow, Pump
from lapse.gateway.recording import FrameKind
from lapse.protocols.pieces import Direction, Piece, unpacked
from lapse.protocols.postgres.framing import message

FAREWELLS = Farewells(
    deadline=message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mdeadline\0\0"),
    idle=message(b"E", b"SFATAL\0VFATAL\0C57P05\0Midle\0\0"),
    broken=message(b"E", b"SFATAL\0VFATAL\0C08P01\0Mbroken\0\0"),
)
READY = message(b"Z", b"I")
NOTICE = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0Mtwo minutes left\0\0")


@dataclass
class Kept:
    """A recording in memory. `full` makes it fall behind until `drain`, `broken` makes writing fail."""

    full: bool = False
    broken: bool = False
    frames: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, kind: FrameKind, data: Any, at: Any = None) -> None:
        if self.broken:
            raise Unavailable("no space")
        assert kind is FrameKind.PIECES
        assert isinstance(data, bytes)
        self.frames.append(data)

    @property
    def behind(self) -> bool:
        return self.full

    async def caught_up(self) -> None:
        self.asked.set()
        await self.room.wait()

    def drain(self) -> None:
        self.full = False
        self.room.set()

    async def close(self) -> bool:
        return True

    @property
    def pieces(self) -> list[Piece]:
        return [piece for frame in self.frames for piece in unpacked(frame)]

    def stream(self, direction: Direction) -> bytes:
        """What was kept of one direction."""
        return b"".join(piece.data for piece in self.pieces if piece.direction is direction)

    @property
    def client(self) -> bytes:
        return self.stream(Direction.CLIENT)

    @property
    def server(self) -> bytes:
        return self.stream(Direction.SERVER)


class End:
    """The test's end of one connection: not blocking, awaited."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def recv(self, size: int = 65_536) -> bytes:
        return await self._loop.sock_recv(self.sock, size)

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes, or what came before the end."""
        got = bytearray()
        while len(got) < size and (more := await self.recv(min(size - len(got), 1 << 20))):
            got += more
        return bytes(got)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, which a reset is too."""
        got = bytearray()
        try:
            while more := await self.recv(1 << 20):
                got += more
        except ConnectionResetError:
            pass
        return bytes(got)

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()


def tcp_pair(buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection over loopback; `buffer` bounds what the kernel keeps of it."""
    with socket.socket() as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        near = socket.socket()
        if buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
    if buffer:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    for sock in (near, far):
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@dataclass
class Session:
    """A pumped session: the client's and the server's end are the test's."""

    client: End
    server: End
    flow: Flow
    recording: Kept

    async def ended(self) -> Any:
        return await asyncio.wait_for(asyncio.shield(self.flow.done), 10)

    def close(self) -> None:
        self.client.close()
        self.server.close()


async def attached(pump: Pump, *, buffer: int = 0, recording: Kept | None = None, **more: Any) -> Session:
    """A session on `pump`; what is said in `more` goes into its `Attachment`."""
    client, client_leg = tcp_pair(buffer)
    server_leg, server = tcp_pair(buffer)
    kept = recording or Kept()
    settings: dict[str, Any] = {"ends_in": timedelta(hours=1), "farewells": FAREWELLS} | more
    flow = await pump.attach(Attachment(client=client_leg, server=server_leg, recording=kept, **settings))
    return Session(End(client), End(server), flow, kept)


def query(sql: bytes) -> bytes:
    return message(b"Q", sql + b"\0")


def answer(tag: bytes = b"SELECT 1", rows: Iterable[bytes] = ()) -> bytes:
    """What a server says to a query."""
    data = b"".join(message(b"D", row) for row in rows)
    return message(b"T", b"\0\0") + data + message(b"C", tag + b"\0") + READY


def kept_of_answer(tag: bytes = b"SELECT 1") -> bytes:
    """What is kept of `answer`."""
    return message(b"C", tag + b"\0") + READY
