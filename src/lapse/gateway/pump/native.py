"""The compiled pump from Python's side: hands it connections and commands, gives its frames to the recordings.

Guarantees: a flow of two plain sockets is moved without Python; every other flow goes to the twin. A frame is given to
its recording in the order in which it was made, and is acknowledged to the pump when the recording is not behind, so
that a slow recording stops its own session. `NativePump` raises `FileNotFoundError` where nothing was compiled.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import time
from pathlib import Path
from typing import Any

from lapse.domain.errors import Unavailable
from lapse.gateway.pump.interface import Attachment, Counters, Ended, Flow, FlowEnd
from lapse.gateway.pump.keeping import Keeper
from lapse.gateway.pump.twin import TwinPump

LIBRARY = Path(__file__).with_name("_pump.so")
VERSION = 2
"""Of the calls and structures that both sides know."""
ENDS = (
    FlowEnd.CUT,
    FlowEnd.CLIENT,
    FlowEnd.SERVER,
    FlowEnd.DEADLINE,
    FlowEnd.IDLE,
    FlowEnd.CUT,
    FlowEnd.BAD_CLIENT,
    FlowEnd.BAD_SERVER,
    FlowEnd.REPLICATION,
    FlowEnd.NOT_RECORDED,
)
"""By their number in `pump.c`."""
FRAME, DONE, CLOSED = range(3)
BUSY = 256
COUNTERS = 9


class _Event(ctypes.Structure):
    _fields_ = (
        ("next", ctypes.c_void_p),
        ("flow", ctypes.c_void_p),
        ("kind", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
    )


def _load(path: Path) -> ctypes.CDLL:
    """The compiled functions with their types.

    Raises:
        FileNotFoundError: there is no such file, or it is of another version.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    library = ctypes.CDLL(str(path))
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "pump_version": (ctypes.c_uint32, []),
        "pump_open": (pointer, []),
        "pump_events_fd": (number, [pointer]),
        "pump_events": (pointer, [pointer]),
        "pump_forget": (None, [pointer]),
        "pump_close": (None, [pointer]),
        "pump_flow": (pointer, [pointer, number, number, ctypes.c_int64, ctypes.c_int64, ctypes.c_bool]),
        "pump_give": (None, [pointer, number, ctypes.c_char_p, size]),
        "pump_attach": (None, [pointer]),
        "pump_finish": (None, [pointer, number, ctypes.c_char_p, size]),
        "pump_insert": (None, [pointer, ctypes.c_char_p, size]),
        "pump_taken": (None, [pointer, size]),
        "pump_quit": (None, [pointer]),
        "pump_free": (None, [pointer]),
        "pump_counters": (None, [pointer, ctypes.POINTER(ctypes.c_uint64)]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.pump_version() != VERSION:
        raise FileNotFoundError(path)
    return library


class NativePump:
    """A thread of C for all plain flows of the process, and a twin for the others. `native` is True."""

    native = True

    def __init__(self, library: Path = LIBRARY) -> None:
        self._calls = _load(library)
        self._twin = TwinPump()
        self._pump: int | None = None
        self._flows: dict[int, NativeFlow] = {}
        self._all_closed = asyncio.Event()

    async def attach(self, attachment: Attachment) -> Flow:
        """Take over both connections.

        Raises:
            Unavailable: the system has no thread or no descriptors left.
        """
        client, server = attachment.client, attachment.server
        if not isinstance(client, socket.socket) or not isinstance(server, socket.socket):
            return await self._twin.attach(attachment)
        pump = self._pump or self._open()
        handle = self._calls.pump_flow(
            pump,
            client.detach(),
            server.detach(),
            time.monotonic_ns() + _nanoseconds(attachment.ends_in.total_seconds()),
            _nanoseconds(attachment.idle.total_seconds()) if attachment.idle else 0,
            attachment.redact,
        )
        flow = self._flows[handle] = NativeFlow(self._calls, handle, attachment)
        return flow

    async def close(self) -> None:
        """Cut every flow without a word."""
        await self._twin.close()
        if self._pump is None:
            return
        flows = list(self._flows.values())
        for flow in flows:
            flow.cut()
        await asyncio.gather(*(flow.done for flow in flows))
        for flow in flows:
            flow.leave_client()
        while self._flows:
            self._all_closed.clear()
            await self._all_closed.wait()
        if self._pump is not None:
            asyncio.get_running_loop().remove_reader(self._calls.pump_events_fd(self._pump))
            self._calls.pump_close(self._pump)
            self._pump = None

    def _open(self) -> int:
        pump = self._calls.pump_open()
        if pump is None:
            raise Unavailable("the gateway's pump cannot start", hint="look at the limits of threads and open files")
        self._pump = int(pump)
        asyncio.get_running_loop().add_reader(self._calls.pump_events_fd(pump), self._take)
        return self._pump

    def _take(self) -> None:
        """Everything that the pump has to say."""
        first = at = self._calls.pump_events(self._pump)
        while at:
            event = _Event.from_address(at)
            self._tell(self._flows[event.flow], event, at + ctypes.sizeof(_Event))
            at = event.next
        self._calls.pump_forget(first)

    def _tell(self, flow: NativeFlow, event: _Event, data: int) -> None:
        if event.kind == FRAME:
            flow.frame(ctypes.string_at(data, event.size))
        elif event.kind == DONE:
            flow.over(ENDS[event.size & ~BUSY], busy=bool(event.size & BUSY))
        else:
            del self._flows[event.flow]
            flow.forget()
            if not self._flows:
                self._all_closed.set()


class NativeFlow:
    """One session in the compiled pump."""

    def __init__(self, calls: ctypes.CDLL, handle: int, attachment: Attachment) -> None:
        self.done: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._calls, self._handle = calls, handle
        self._counted = Counters()
        self._open = True
        self._owed = 0
        self._broken = attachment.farewells.broken
        self._keeper = Keeper(attachment.recording, on_behind=self._acknowledge, on_failed=self._not_recorded)
        farewells = attachment.farewells
        given = (attachment.from_client, attachment.from_server, farewells.deadline, farewells.idle, farewells.broken)
        for which, data in enumerate(given):
            calls.pump_give(handle, which, data, len(data))
        calls.pump_attach(handle)

    @property
    def counters(self) -> Counters:
        """What passed so far."""
        if not self._open:
            return self._counted
        values = (ctypes.c_uint64 * COUNTERS)()
        self._calls.pump_counters(self._handle, values)
        _, statements, rows, copied, errors, notifications, _, bytes_in, bytes_out = values
        return Counters(bytes_in, bytes_out, statements, rows, copied, errors, notifications)

    def cut(self, farewell: bytes = b"") -> None:
        """End it now."""
        self._finish(FlowEnd.CUT, farewell)

    def insert(self, data: bytes) -> None:
        """Send whole messages to the client between two of the server's."""
        if not self.done.done():
            self._calls.pump_insert(self._handle, data, len(data))

    def frame(self, data: bytes) -> None:
        """The pump kept this."""
        self._owed += len(data)
        self._keeper.write(data)
        self._acknowledge()

    def over(self, end: FlowEnd, *, busy: bool) -> None:
        """The pump is done, and has given all frames."""
        self._keeper.close()
        if not self.done.done():
            self.done.set_result(Ended(end, self.counters, busy=busy))

    def leave_client(self) -> None:
        """Close the client's connection without waiting for the client to do so."""
        if self._open:
            self._calls.pump_quit(self._handle)

    def forget(self) -> None:
        """Both connections are closed; the pump has nothing of this flow any more."""
        self._counted = self.counters
        self._open = False
        self._calls.pump_free(self._handle)

    def _finish(self, end: FlowEnd, farewell: bytes) -> None:
        if not self.done.done():
            self._calls.pump_finish(self._handle, ENDS.index(end, 1), farewell, len(farewell))

    def _not_recorded(self) -> None:
        self._finish(FlowEnd.NOT_RECORDED, self._broken)

    def _acknowledge(self) -> None:
        if self._owed and self._open and not self._keeper.behind:
            self._calls.pump_taken(self._handle, self._owed)
            self._owed = 0


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
