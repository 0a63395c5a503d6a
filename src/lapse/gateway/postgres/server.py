"""`ProtocolServer` for PostgreSQL: a login, then a session or a cancel request. One a process."""

from __future__ import annotations

import asyncio
import socket
from typing import ClassVar

from lapse.domain.errors import LapseError
from lapse.gateway.context import Connection, GatewayContext
from lapse.gateway.postgres.cancels import Cancels, packed, unpacked
from lapse.gateway.postgres.client import PROTOCOL, Cancelling, receive
from lapse.gateway.postgres.guards import Guards
from lapse.gateway.postgres.session import Relaying, run_session
from lapse.gateway.postgres.wires import PlainWire
from lapse.gateway.pump import make_pump
from lapse.ports import CancelQuery
from lapse.protocols.postgres.startup import CancelRequest

STRAY_CANCELS = 20
"""Cancel requests for no session of this process that are passed on to others at one time; more are dropped."""


class PostgresServer:
    """Speaks PostgreSQL with clients, in the event loop in which it is made."""

    protocol: ClassVar[str] = PROTOCOL

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._shared = Relaying(context=context, pump=make_pump(), cancels=Cancels(), guards=Guards(context))
        self._strays = asyncio.Semaphore(STRAY_CANCELS)
        self._passed_on: set[asyncio.Task[bool]] = set()

    async def serve(self, connection: Connection) -> None:
        """See `ProtocolServer`."""
        # The pump closes the socket by itself, perhaps after this returns.
        sock = socket.socket(fileno=connection.sock.detach())
        sock.settimeout(0)
        found = await receive(connection, PlainWire(sock), self._context)
        if isinstance(found, Cancelling):
            # Its connection closes when the server has acted: until then a client waits with its next statement.
            try:
                await self._cancel(found.request)
                await found.wire.hang_up()
            finally:
                found.wire.abort()
        elif found is not None:
            await run_session(self._shared, found, connection.client)

    def cancel_query(self, query: CancelQuery) -> None:
        """Another process was asked to cancel what may run here."""
        request = unpacked(query.key)
        if request is not None:
            task = asyncio.get_running_loop().create_task(self._shared.cancels.cancel(request))
            self._passed_on.add(task)
            task.add_done_callback(self._passed_on.discard)

    async def close(self) -> None:
        """See `ProtocolServer`."""
        for task in self._passed_on:
            task.cancel()
        await asyncio.gather(self._shared.pump.close(), self._shared.guards.close())

    async def _cancel(self, request: CancelRequest) -> None:
        if await self._shared.cancels.cancel(request) or self._strays.locked():
            return
        async with self._strays:
            try:
                await self._context.door.plane.cancel_elsewhere(0, packed(request))
            except LapseError as error:
                self._context.log.info("cancel request not passed on", reason=error.message)
