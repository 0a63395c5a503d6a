"""A real HTTP server on this machine that answers as a test says, also wrongly, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered; `behaviour` is `answer`, `never`, `endless`, `nonsense` or `hang_up`."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    behaviour: str = "answer"


@dataclass
class WebServer:
    """`answer` gives the reply to a request; `asked` is every request so far."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Reply] = lambda _asked: Reply(404)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def always(self, status: int = 200, body: Any = b"", **options: Any) -> None:
        """Answer everything alike."""
        self.answer = lambda _asked: Reply(status, body, **options)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            while asked := await _read(reader):
                self.asked.append(asked)
                if not await _reply(writer, self.answer(asked)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
            self.tasks.discard(asyncio.current_task())


@asynccontextmanager
async def web_server(context: ssl.SSLContext | None = None) -> AsyncIterator[WebServer]:
    """A server that runs while the body does."""
    server = WebServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        tasks = list(server.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


async def _reply(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    match reply.behaviour:
        case "never":
            await asyncio.Event().wait()
        case "nonsense":
            writer.write(b"\x00\xff this is no HTTP \r\n\r\n")
        case "endless":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
            for _ in range(100_000):
                writer.write(b"1," * 32_768)
                await writer.drain()
        case "answer":
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            headers = {"Content-Length": str(len(body)), **reply.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode() + body)
            await writer.drain()
            return True
    return False


@contextmanager
def web_server_beside() -> Iterator[WebServer]:
    """A server in a thread of its own, for tests that are not asynchronous themselves."""
    ready: Future[tuple[WebServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        async with web_server() as server:
            over = asyncio.Event()
            ready.set_result((server, asyncio.get_running_loop(), over))
            await over.wait()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    server, loop, over = ready.result(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=10)
