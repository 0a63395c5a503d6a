"""A client's agent, lent to the host: the host's end of it is a socket of this process. Used by `server` and `session`.

The client's library hands out connections to the agent, the host's wants a path to connect to; between them are bytes.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh

_PIECE = 16 << 10
MOST_AT_ONCE = 16

Reached = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def agent_socket() -> AsyncIterator[AgentSocket]:
    """A socket that nobody else can reach, for one session; what connects to it is closed until `reached` is set."""
    with tempfile.TemporaryDirectory(prefix="lapse-agent-") as folder:
        made = AgentSocket(str(Path(folder) / "socket"))
        server = await asyncio.start_unix_server(made.serve, made.path, backlog=MOST_AT_ONCE)
        try:
            yield made
        finally:
            server.close()
            await made.close()


class AgentSocket:
    """`path` leads to the client's agent, by way of `reached`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.reached: Reached | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the host's."""
        task = asyncio.current_task()
        try:
            if task is not None and self.reached is not None and len(self._serving) < MOST_AT_ONCE:
                self._serving.add(task)
                await self.reached(reader, writer)
        finally:
            if task is not None:
                self._serving.discard(task)
            writer.transport.abort()

    async def close(self) -> None:
        """End what goes on."""
        tasks = set(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def passed(reader: Any, writer: Any) -> int:
    """Pass on what is read until there is no more; how many bytes that were."""
    size = 0
    with suppress(OSError, asyncssh.Error):
        while data := await reader.read(_PIECE):
            size += len(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    return size
