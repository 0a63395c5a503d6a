"""Servers between a client and a target that misbehave in exactly one way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Proxy:
    """Forwards bytes to a server. `cut_after(text)` arms it: the next message from the client that contains `text`
    is forwarded, the server's answer is awaited and swallowed, and the connection is dropped: applied, and reported
    as a failure. `cut_before(text)` drops the connection instead of forwarding: not applied, and not known.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self._armed: tuple[bytes, bool] | None = None
        self.cuts = 0

    def cut_after(self, text: str) -> None:
        self._armed = (text.encode(), True)

    def cut_before(self, text: str) -> None:
        self._armed = (text.encode(), False)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(_pump(server_reader, writer))
        try:
            while data := await reader.read(1 << 20):
                if self._armed is None or self._armed[0] not in data:
                    server_writer.write(data)
                    continue
                answers.cancel()
                await asyncio.wait([answers])
                await self._cut(data, server_reader, server_writer)
                break
        finally:
            answers.cancel()
            await _closed(server_writer)

    async def _cut(self, data: bytes, server_reader: asyncio.StreamReader, server_writer: asyncio.StreamWriter) -> None:
        forward = self._armed is not None and self._armed[1]
        self._armed = None
        self.cuts += 1
        if forward:
            server_writer.write(data)
            received = b""
            # ReadyForQuery ends every answer: then the server has committed.
            while received[-6:-1] != b"Z\x00\x00\x00\x05":
                received += await server_reader.read(1 << 16)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.transport.abort()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    async with _listening(proxy.handle) as proxy.port:
        yield proxy


@asynccontextmanager
async def speaks_nonsense(answer: bytes | None) -> AsyncIterator[int]:
    """A port that answers every connection with `answer`, or (None) accepts it and never says anything."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            writer.write(answer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                if answer is not None:
                    writer.write(answer)

    async with _listening(handle) as port:
        yield port


@asynccontextmanager
async def _listening(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A port whose connections are all ended, and seen to be ended, when the block is left."""
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        running.add(task)
        try:
            await handle(reader, writer)
        finally:
            await _closed(writer)
            running.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
