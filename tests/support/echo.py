"""A protocol as small as one can be, for tests of gateway processes: a login in one line, then an echo.

    LOGIN <login>     ->  in, or `no: WHY`
    anything else     ->  the same
    bye               ->  the end

A warning comes as `warning: …`, a cut as `cut: …`; then the connection is closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import ClassVar

from lapse.domain.errors import LapseError
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.recording import FrameKind
from lapse.gateway.telling import told_end, told_ending
from lapse.ports import Attempt, Cut

PROTOCOL = "echo"


class EchoServer:
    """Implements `ProtocolServer`."""

    protocol: ClassVar[str] = PROTOCOL

    def __init__(self, context):
        self.context = context
        self.cancelled = []
        self.decided = []
        self.closed = False

    async def serve(self, connection):
        reader, writer = await asyncio.open_connection(sock=connection.sock.dup())
        try:
            await self._serve(connection, reader, writer)
        finally:
            writer.close()

    async def _serve(self, connection, reader, writer):
        login = (await reader.readline()).decode().strip().removeprefix("LOGIN ")
        credential = await self.context.door.plane.credential(login, PROTOCOL)
        if credential is None:
            writer.write(b"no: who are you?\n")
            return
        connection.authenticated()
        attempt = Attempt(credential_id=credential.id, protocol=PROTOCOL, client=connection.client)
        try:
            async with self.context.door.open(attempt) as session:
                await self._session(session, reader, writer)
        except LapseError as error:
            writer.write(f"no: {error.message}\n".encode())

    async def _session(self, session, reader, writer):
        over = asyncio.Event()

        def cut(order):
            writer.write(f"cut: {told_end(order)}\n".encode())
            over.set()

        session.on_warning = lambda ending: writer.write(f"warning: {told_ending(ending)}\n".encode())
        session.on_decided = self.decided.append
        session.when_cut(cut)
        writer.write(b"in\n")
        echoing = asyncio.create_task(self._echo(session, reader, writer))
        await asyncio.wait({echoing, asyncio.create_task(over.wait())}, return_when=asyncio.FIRST_COMPLETED)
        echoing.cancel()
        over.set()

    async def _echo(self, session, reader, writer):
        while (line := await reader.readline()) and line != b"bye\n":
            session.recording.write(FrameKind.CLIENT_WIRE, line)
            writer.write(line)
            session.use = SessionUse(bytes_in=session.use.bytes_in + len(line), statements=session.use.statements + 1)
        session.cut(Cut(session_id=session.id, reason=SessionEnd.CLIENT))

    def cancel_query(self, query):
        self.cancelled.append(query)

    async def close(self):
        self.closed = True


@dataclass
class EchoClient:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[str] = field(default_factory=list)

    @classmethod
    async def connect(cls, address):
        return cls(*await asyncio.open_connection(*address))

    @classmethod
    async def logged_in(cls, address, login):
        client = await cls.connect(address)
        client.say(f"LOGIN {login}")
        assert await client.line() == "in"
        return client

    def say(self, text):
        self.writer.write(f"{text}\n".encode())

    async def line(self):
        """The next line; empty at the end."""
        async with asyncio.timeout(20):
            try:
                return (await self.reader.readline()).decode().rstrip("\n")
            except ConnectionError:
                return ""

    async def echoes(self, text="hello"):
        self.say(text)
        return await self.line() == text

    async def rest(self):
        """What comes until the connection is closed."""
        lines = []
        while line := await self.line():
            lines.append(line)
        self.close()
        return lines

    def close(self):
        self.writer.close()
