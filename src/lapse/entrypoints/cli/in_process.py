"""The API in this process as a transport for the client: what it answers is passed on while it is being worked out.

httpx has such a transport, which hands an answer over only when it is complete: progress would come too late.
Imported only when a command talks to the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx

_PEER = ("127.0.0.1", 0)
_WAITING = 16
"""Messages of an answer that may wait to be read."""

Message = MutableMapping[str, Any]


def in_process(asgi: Any) -> httpx.AsyncBaseTransport:
    """A transport to an ASGI application."""
    return _InProcess(asgi)


class _InProcess(httpx.AsyncBaseTransport):
    def __init__(self, asgi: Any) -> None:
        self._asgi = asgi

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Start the call, and answer as soon as it begins to."""
        answer = _Answer(asyncio.Queue(_WAITING))
        call = asyncio.create_task(self._call(_scope(request), await request.aread(), answer))
        answer.call = call
        start = await answer.message()
        return httpx.Response(start["status"], headers=start["headers"], stream=answer)

    async def _call(self, scope: Message, body: bytes, answer: _Answer) -> None:
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            await asyncio.Event().wait()  # the caller stays until the answer is complete
            raise RuntimeError("nobody sets this event")

        await self._asgi(scope, receive, answer.queue.put)


class _Answer(httpx.AsyncByteStream):
    """The messages of one answer, in order; an error of the application is raised to whoever reads."""

    def __init__(self, queue: asyncio.Queue[Message]) -> None:
        self.queue = queue
        self.call: asyncio.Task[None] | None = None
        self._more = True

    async def message(self) -> Message:
        """The next message."""
        call = self.call
        if call is None:
            raise RuntimeError("the call has not begun")
        getting = asyncio.create_task(self.queue.get())
        await asyncio.wait({getting, call}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done() or not self.queue.empty():
            return await getting
        getting.cancel()
        await call
        raise httpx.RemoteProtocolError("the application ended without an answer")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._more:
            message = await self.message()
            self._more = bool(message.get("more_body", False))
            yield message.get("body", b"")

    async def aclose(self) -> None:
        """Let the call end; one whose answer nobody reads to its end is stopped."""
        if self.call is None:
            return
        if self._more:
            self.call.cancel()
        await asyncio.gather(self.call, return_exceptions=True)


def _scope(request: httpx.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": _PEER,
        "root_path": "",
    }
