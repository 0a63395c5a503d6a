"""What the flow of a PostgreSQL session knows of pumps: it attaches two connections and gets a `Flow`.

A pump owns both connections from then on. It moves their bytes, gives what must be kept to the recording, and ends the
flow by itself at its deadline, whatever the rest of the process does.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from lapse.gateway.recording import Recording

Leg = asyncio.Transport | socket.socket
"""One connection: a transport that nobody reads (`pause_reading`), or a non-blocking socket."""


class FlowEnd(StrEnum):
    """Why a flow ended.

    `bad_client` and `bad_server`: what came is no message that may be at this place. `replication`: the server began
    to copy in both directions, which is not recorded and so not allowed. `not_recorded`: the recording failed.
    """

    CLIENT = "client"
    SERVER = "server"
    DEADLINE = "deadline"
    IDLE = "idle"
    CUT = "cut"
    BAD_CLIENT = "bad_client"
    BAD_SERVER = "bad_server"
    REPLICATION = "replication"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Counters:
    """What passed so far. `rows` are rows of results, `copied` messages of COPY data, both ways.

    `statements` are simple queries, executions and function calls that the client sent; `errors` are the server's.
    """

    bytes_in: int = 0
    bytes_out: int = 0
    statements: int = 0
    rows: int = 0
    copied: int = 0
    errors: int = 0
    notifications: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A flow is over: why, and what had passed."""

    end: FlowEnd
    counters: Counters
    busy: bool = False
    """Whether the server had not answered all that it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewells:
    """The last message (whole, an `ErrorResponse` of severity `FATAL`) that the client gets, by what ends the flow.

    `broken` is for every end that is nobody's wish: a bad message, replication, a failed recording.
    """

    deadline: bytes = b""
    idle: bytes = b""
    broken: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An established session, after the login: the server waits for messages of the client.

    Both connections must not be read by anybody else. `from_client` and `from_server` were read
    already, and not passed on. The flow ends after `ends_in`, or after `idle` without any byte in either direction.
    With `redact`, values of parameters are not kept: of a Bind (`B`) the recording has a message `b` with the names of
    portal and statement, of a FunctionCall (`F`) a `k` with the function's OID.
    """

    client: Leg
    server: Leg
    recording: Recording
    ends_in: timedelta
    from_client: bytes = b""
    from_server: bytes = b""
    idle: timedelta | None = None
    redact: bool = False
    farewells: Farewells = field(default_factory=Farewells)


class Flow(Protocol):
    """One attached session."""

    @property
    def done(self) -> asyncio.Future[Ended]:
        """Comes when the client can get nothing more, the server is closed and the recording has all of it."""
        ...

    @property
    def counters(self) -> Counters:
        """What passed so far; at most a moment old."""
        ...

    def cut(self, farewell: bytes = b"") -> None:
        """End it now: nothing more goes to the server, the client gets `farewell` if it can be at a message's end.

        A message that is on its way to the client has 50 ms to end. Of several cuts the first stands.
        """
        ...

    def insert(self, data: bytes) -> None:
        """Send whole messages (a notice) to the client, after the message that is on its way."""
        ...


class Pump(Protocol):
    """Moves the bytes of all sessions of one process. `TwinPump` and `NativePump` behave alike."""

    @property
    def native(self) -> bool:
        """Whether the compiled pump moves plain TCP connections."""
        ...

    async def attach(self, attachment: Attachment) -> Flow:
        """Take over both connections once what was written to them is sent. They are closed by the pump alone."""
        ...

    async def close(self) -> None:
        """Cut every flow without a word, and return when all are done."""
        ...
