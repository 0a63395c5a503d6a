"""Accepts connections for one protocol server, within bounds, and sees to it that each is closed.

Several processes may listen on one address (SO_REUSEPORT): workers share it, and a new process listens before the old
one stops. Who does not prove in time who they are is dropped; strangers of one address make room for one another, so
that nobody keeps others out by connecting. Made by `bootstrap` for each address.
"""

from __future__ import annotations

import asyncio
import socket

from lapse.domain.errors import LapseError, Unavailable
from lapse.gateway.context import Connection, GatewayContext, ProtocolServer
from lapse.gateway.strangers import Strangers

BACKLOG = 4_096
AT_ONCE = 64
"""Connections that are accepted before others in the event loop get their turn."""

ASK_AGAIN = 2.0
"""Seconds until a connection that did not end when it was cancelled is cancelled again."""

_PAUSE = 0.2


def listen(host: str, port: int, *, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket that other processes of this user may share.

    Raises:
        Unavailable: the address is in use, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=backlog, reuse_port=True)
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise Unavailable(f"cannot listen on {host}:{port}: {reason}", hint="choose another address") from None
    listener.settimeout(0)
    return listener


class Listener:
    """Accepts from `sock` for `server`, and owns both the socket and the connections."""

    def __init__(self, sock: socket.socket, server: ProtocolServer, context: GatewayContext) -> None:
        self._sock = sock
        self._server = server
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers = Strangers(context.limits)
        self.address: tuple[str, int] = sock.getsockname()[:2]

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def strangers(self) -> int:
        """How many connections have not proved who they are."""
        return len(self._strangers)

    def start(self) -> None:
        """Accept from now on."""
        self._loop.add_reader(self._sock, self._accept)

    def stop(self) -> None:
        """Accept what already waits, then no more; the connections go on."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        while self._accepted() is not None:
            continue
        self._sock.close()

    async def close(self) -> None:
        """Accept no more and end every connection."""
        self.stop()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks), timeout=ASK_AGAIN)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if self._accepted() is None:
                return

    def _accepted(self) -> socket.socket | None:
        """One connection, taken in or turned away; None if no other waits."""
        while True:
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return None
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(error)
                return None
            self._take(sock, peer)
            return sock

    def _pause(self, error: OSError) -> None:
        """No more descriptors, say: leave the others in the queue for a moment."""
        self._context.log.warning("cannot accept", protocol=self._server.protocol, reason=str(error.strerror).lower())
        self._loop.remove_reader(self._sock)
        self._loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self.start()

    def _take(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        host = peer[0].removeprefix("::ffff:")
        if len(self._tasks) >= self._context.limits.connections or not self._strangers.room_for(host):
            self._context.metrics.connection(self._server.protocol, "too_many")
            sock.close()
            return
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, host, peer[1])
        task = self._loop.create_task(self._served(connection), name=f"{self._server.protocol} {connection.client}")
        self._tasks.add(task)
        self._strangers.add(host, task)
        task.add_done_callback(self._gone)
        # Here, since a task that is cancelled before its first step closes nothing.
        task.add_done_callback(lambda _task: sock.close())
        self._counted()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._known(task)

    def _known(self, task: asyncio.Task[None]) -> None:
        self._strangers.discard(task)
        self._counted()

    def _counted(self) -> None:
        self._context.metrics.unauthenticated(self._server.protocol, len(self._strangers))

    async def _served(self, connection: Connection) -> None:
        protocol = self._server.protocol
        with self._context.traces.span(protocol, client=connection.client):
            try:
                await self._bounded(connection)
            except TimeoutError:
                self._context.metrics.connection(protocol, "timeout")
            except LapseError as error:
                self._context.log.info("connection refused", client=connection.client, reason=error.message)
            except OSError as error:
                self._context.log.info("connection lost", client=connection.client, reason=str(error))
            except Exception as error:
                self._context.log.warning("bug", protocol=protocol, client=connection.client, exc_info=error)

    async def _bounded(self, connection: Connection) -> None:
        """Serve it; until it has proved who it is, it may take so long and no longer."""
        task = asyncio.current_task()
        async with asyncio.timeout(self._context.limits.login_timeout.total_seconds()) as bound:

            def passed() -> None:
                if task is not None and task in self._strangers and not bound.expired():
                    bound.reschedule(None)
                    self._known(task)

            connection.on_authenticated = passed
            await self._server.serve(connection)
