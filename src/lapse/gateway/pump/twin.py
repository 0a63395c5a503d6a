"""The pump in Python, on asyncio transports: for TLS, and wherever the compiled one is not built.

It behaves as `pump.c` does; `tests/gateway/pump` runs the same suite over both. Nothing of a message is gathered: what
comes in goes out in the same turn of the loop; a side that does not take it stops the other side of its own session.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TypeVar

from lapse.gateway.parting import Parting
from lapse.gateway.pump.interface import Attachment, Counters, Ended, FlowEnd, Leg
from lapse.gateway.pump.keeping import FLUSH_AFTER, Keeper
from lapse.gateway.pump.scan import SYNCS, Replicates, Stream
from lapse.protocols.pieces import Direction

MESSAGE_GRACE = 0.05
"""Seconds that a message on its way to the client has to end when its session is cut."""
SERVER_PACE = 0.000_25
"""Seconds between the ends of two server connections, where many sessions are cut at once."""
LINGER = 1.0
"""Seconds that a client has to close its side after the end, so that it gets the last words."""


_Flow = TypeVar("_Flow", bound="TwinFlow")


class TwinPump:
    """Runs in the event loop. `native` is False."""

    native = False

    def __init__(self) -> None:
        self._flows: set[TwinFlow] = set()
        self._dirty: list[TwinFlow] = []
        self._all_closed = asyncio.Event()
        self.parting = Parting(SERVER_PACE)

    async def attach(self, attachment: Attachment) -> TwinFlow:
        """Take over both connections."""
        return await self.take(TwinFlow(self, attachment))

    async def take(self, flow: _Flow) -> _Flow:
        """Start a flow that was made for this pump."""
        self._flows.add(flow)
        await flow.start()
        return flow

    async def close(self) -> None:
        """Cut every flow without a word."""
        flows = list(self._flows)
        for flow in flows:
            flow.cut()
        await asyncio.gather(*(flow.done for flow in flows))
        for flow in flows:
            flow.leave_client()
        if self._flows:
            self._all_closed.clear()
            await self._all_closed.wait()

    def forget(self, flow: TwinFlow) -> None:
        """Both connections of `flow` are closed."""
        self._flows.discard(flow)
        if not self._flows:
            self._all_closed.set()

    def flush_soon(self, flow: TwinFlow) -> None:
        """Let `flow` give what it has kept to its recording in a moment, with all others."""
        if not self._dirty:
            asyncio.get_running_loop().call_later(FLUSH_AFTER, self._flush)
        self._dirty.append(flow)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for flow in dirty:
            flow.keeper.flush()


class _Side(asyncio.Protocol):
    """One connection of a flow, and whether it takes what is written to it."""

    def __init__(self, flow: TwinFlow, direction: Direction) -> None:
        self._flow = flow
        self.direction = direction
        self.transport: asyncio.Transport
        self.full = False
        self.gone = False
        """Closed, or about to be."""
        self.reading = False
        self.early = b""
        """What came although it was not to be read yet: not every event loop can be told so at once."""

    async def take(self, leg: Leg) -> None:
        """Become the protocol of `leg`, which is not read until `read(True)`."""
        if isinstance(leg, socket.socket):
            await asyncio.get_running_loop().create_connection(lambda: self, sock=leg)
        else:
            leg.set_protocol(self)
            self.connection_made(leg)
        if not self.gone and self.transport.is_reading():
            self.transport.pause_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # streams have no other
        if transport.is_closing():
            self.gone = True
        else:
            self.transport.pause_reading()

    @property
    def plain(self) -> bool:
        """Whether it can say that it ends and still be read."""
        return self.transport.can_write_eof()

    def read(self, wanted: bool) -> None:
        """Read, or do not."""
        if wanted != self.reading and not self.gone:
            self.reading = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def write(self, data: bytes) -> None:
        """Send, unless nobody is there."""
        if data and not self.gone:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._flow.started:
            self._flow.received(self.direction, data)
        else:
            self.early += data

    def eof_received(self) -> bool:
        if not self._flow.started:
            self.gone = True
            return False
        self._flow.said_all(self.direction)
        return self.plain

    def pause_writing(self) -> None:
        self.full = True
        self._flow.regulate()

    def resume_writing(self) -> None:
        self.full = False
        self._flow.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self._flow.started:
            self._flow.lost(self.direction, reset=exc is not None)
            self._flow.closed()


class TwinFlow:
    """One session. `_end` is set when it is told to end, `done` when it is over.

    A flow that looks into messages overrides `relay`, and sets `client_waits` and `server_waits` while one side must
    not be read.
    """

    client_waits = server_waits = False

    def __init__(self, pump: TwinPump, attachment: Attachment) -> None:
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Ended] = loop.create_future()
        self.started = False
        self._pump, self._attachment, self._loop = pump, attachment, loop
        self._client, self._server = _Side(self, Direction.CLIENT), _Side(self, Direction.SERVER)
        self._in = Stream(Direction.CLIENT, redact=attachment.redact)
        self._out = Stream(Direction.SERVER)
        self._bytes_in = self._bytes_out = 0
        self._inserts: list[bytes] = []
        self._end: FlowEnd | None = None
        self._farewell = b""
        self._closing = self._parted = self._all_sent = False
        self._client_said_all = False
        self._ends_at = time.monotonic_ns() + round(attachment.ends_in.total_seconds() * 1e9)
        self._seen_at = time.monotonic_ns()
        self._timer: asyncio.TimerHandle | None = None
        self.keeper = Keeper(
            attachment.recording,
            on_behind=self.regulate,
            on_failed=lambda: self._finish(FlowEnd.NOT_RECORDED, attachment.farewells.broken),
        )

    async def start(self) -> None:
        """Take the connections, pass on what was read before, and begin."""
        await self._client.take(self._attachment.client)
        await self._server.take(self._attachment.server)
        self.started = True
        if before := self._attachment.from_server + self._server.early:
            self.received(Direction.SERVER, before)
        if before := self._attachment.from_client + self._client.early:
            self.received(Direction.CLIENT, before)
        for side in (self._client, self._server):
            if side.gone:
                self.lost(side.direction, reset=True)
                self.closed()
        self._watch()
        self.regulate()

    @property
    def counters(self) -> Counters:
        """What passed so far."""
        sent, answered = self._in.kinds, self._out.kinds
        return Counters(
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            statements=sent[ord("Q")] + sent[ord("E")] + sent[ord("F")],
            rows=answered[ord("D")],
            copied=sent[ord("d")] + answered[ord("d")],
            errors=answered[ord("E")],
            notifications=answered[ord("A")],
        )

    @property
    def busy(self) -> bool:
        """Whether the server has not answered all that it was asked."""
        asked = sum(self._in.kinds[kind] for kind in SYNCS)
        return self._in.unsynced or asked != self._out.kinds[ord("Z")]

    def cut(self, farewell: bytes = b"") -> None:
        """End it now."""
        self._finish(FlowEnd.CUT, farewell)

    def insert(self, data: bytes) -> None:
        """Send whole messages to the client between two of the server's."""
        if self._end is not None:
            return
        if self._out.left:
            self._inserts.append(data)
        else:
            self._client.write(data)

    def received(self, direction: Direction, data: bytes) -> None:
        """Something came from one side."""
        if self.done.done() or self._closing:
            return
        self._seen_at = time.monotonic_ns()
        if direction is Direction.CLIENT:
            self._from_client(data)
        else:
            self._from_server(data)

    def _from_client(self, data: bytes) -> None:
        if self._end is not None:
            return
        passed = self._in.feed(data)
        self._keep(Direction.CLIENT, passed.kept)
        self._bytes_in += len(passed.data)
        self.relay(passed.data)
        if passed.fault:
            self._finish(FlowEnd.BAD_CLIENT, self._attachment.farewells.broken)

    def relay(self, data: bytes) -> None:
        """Send on what the client sent: whole messages, or the beginning of one whose header is checked."""
        self._server.write(data)

    def _from_server(self, data: bytes) -> None:
        if self._end is not None:
            data = data[: self._out.left]
        passed = self._out.feed(data)
        self._keep(Direction.SERVER, passed.kept)
        self._bytes_out += len(passed.data)
        if self._inserts and passed.end >= 0:
            self._client.write(passed.data[: passed.end])
            self._client.write(b"".join(self._inserts))
            self._inserts.clear()
            self._client.write(passed.data[passed.end :])
        else:
            self._client.write(passed.data)
        if passed.fault:
            end = FlowEnd.REPLICATION if isinstance(passed.fault, Replicates) else FlowEnd.BAD_SERVER
            self._finish(end, self._attachment.farewells.broken)
        elif self._end is not None and not self._out.left:
            self._leave()

    def _keep(self, direction: Direction, kept: list[bytes]) -> None:
        if kept and self.keeper.keep(direction, kept):
            self._pump.flush_soon(self)

    def said_all(self, direction: Direction) -> None:
        """One side will send nothing more."""
        if direction is Direction.SERVER:
            self._finish(self._whose_end, b"")
            return
        self._client_said_all = True
        if not self._server.gone and self._end is None:
            if self._server.plain:
                self._server.transport.write_eof()
            else:
                self._server.transport.close()

    @property
    def _whose_end(self) -> FlowEnd:
        """Whose wish it is that the server leaves: a client that said goodbye is left by it."""
        said_goodbye = self._client_said_all or self._in.kinds[ord("X")] > 0
        return FlowEnd.CLIENT if said_goodbye else FlowEnd.SERVER

    def lost(self, direction: Direction, *, reset: bool) -> None:
        """A connection is gone."""
        if direction is Direction.SERVER:
            self._finish(self._whose_end, b"")
        elif self._closing:
            self._part()
        elif reset:
            self._finish(FlowEnd.CLIENT, b"")
        elif not self._client_said_all:
            self.said_all(direction)

    def regulate(self) -> None:
        """Read each side only while the other takes what comes, and the recording too."""
        if self.done.done() or self._closing:
            if self._closing and not self._client.full:
                self._sent()
            return
        wait = self.keeper.behind and self._end is None
        self._client.read(self._end is None and not self._server.full and not wait and not self.client_waits)
        self._server.read(not self._client.full and not wait and not (self.server_waits and self._end is None))

    def _finish(self, end: FlowEnd, farewell: bytes) -> None:
        """Begin to end it, for the first reason that comes."""
        if self._end is not None:
            if self._end in {FlowEnd.CLIENT, FlowEnd.SERVER} and end in {FlowEnd.CUT, FlowEnd.DEADLINE, FlowEnd.IDLE}:
                self._abort()
            elif self._server.gone:
                self._leave()
            return
        self._end, self._farewell = end, farewell
        self._inserts.clear()
        if self._out.left and farewell and not self._server.gone and not self._client.gone:
            self._timed(MESSAGE_GRACE, self._leave)
            self.regulate()
        else:
            self._leave()

    def _leave(self) -> None:
        """Say the farewell if no message is open, close the server, and let the client read what is left."""
        if self._closing:
            return
        self._closing = True
        if not self._out.left:
            self._client.write(self._farewell)
        if self._client.gone:
            self._part()
            return
        if self._end not in {FlowEnd.CLIENT, FlowEnd.SERVER}:
            self._timed(self._pump.parting.turn(), self._part)
        else:
            self._close_server()
            if self._timer is None or self._timer.cancelled():
                self._watch()
        if self._client.plain:
            self._client.transport.set_write_buffer_limits(high=0)
            self._client.transport.write_eof()
            if not self._client.transport.get_write_buffer_size():
                self._sent()
        else:
            self._client.transport.close()

    def _part(self) -> None:
        """Close the server's connection: the last that is done for a client that has its farewell."""
        self._close_server()
        if self._client.gone:
            self._over()
            return
        self._timed(MESSAGE_GRACE, self._abort)
        if self._all_sent:
            self._sent()

    def _sent(self) -> None:
        """Everything has left for the client."""
        self._all_sent = True
        if self._client.plain and self._parted and not self.done.done():
            self._over()
            self._client.read(wanted=True)

    def _close_server(self) -> None:
        self._parted = True
        self._server.transport.abort()

    def _abort(self) -> None:
        self._closing = True
        self._close_server()
        self._client.transport.abort()
        self._over()

    def _over(self) -> None:
        """The flow is over; what is left of the connections is only waited for."""
        if self.done.done():
            return
        if self._timer:
            self._timer.cancel()
        self.keeper.close()
        if not self._client.gone:
            self._timer = self._loop.call_later(LINGER, self._client.transport.abort)
        self.done.set_result(Ended(self._end or FlowEnd.CUT, self.counters, busy=self.busy))

    def leave_client(self) -> None:
        """Close the client's connection without waiting for the client to do so."""
        if self._timer:
            self._timer.cancel()
        self._client.transport.abort()

    def closed(self) -> None:
        """A connection is closed; after the second one nothing is left."""
        if self.done.done() and self._client.gone and self._server.gone:
            if self._timer:
                self._timer.cancel()
            self._pump.forget(self)

    def _timed(self, seconds: float, call: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, call)  # type: ignore[arg-type]

    def _watch(self) -> None:
        """End the flow at its deadline or when it is idle for too long; else look again then."""
        now = time.monotonic_ns()
        idle = self._attachment.idle
        idle_at = self._seen_at + round(idle.total_seconds() * 1e9) if idle else self._ends_at
        if now >= self._ends_at:
            self._finish(FlowEnd.DEADLINE, self._attachment.farewells.deadline)
        elif now >= idle_at:
            self._finish(FlowEnd.IDLE, self._attachment.farewells.idle)
        else:
            self._timed(max((min(self._ends_at, idle_at) - now) / 1e9, 0.001), self._watch)
