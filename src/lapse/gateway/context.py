"""What a protocol server is given, and what it has to be: the seam between the gateway process and its protocols.

`gateway.listeners` accepts and counts connections, bounds the time to log in, and hands each to a `ProtocolServer`.
The server proves who is there (`Door.plane.credential`), asks `Door.open` for a session, and relays until it is cut.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from lapse.gateway.door import Door
from lapse.gateway.measures import Metrics, NoMetrics, NoTraces, Traces
from lapse.gateway.tls import ServerTls
from lapse.ports import Clock


class Log(Protocol):
    """An event and its facts; never a secret, never a statement's text."""

    def info(self, event: str, **facts: Any) -> Any:
        """Something happened as it should."""
        ...

    def warning(self, event: str, **facts: Any) -> Any:
        """Something did not work."""
        ...

    def error(self, event: str, **facts: Any) -> Any:
        """Something is wrong that nobody expected."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one gateway process, of each protocol.

    `unauthenticated` counts connections that have not proved who they are. At its bound the oldest one of the busiest
    address makes room; an address at `unauthenticated_per_address` gets no further one.
    """

    connections: int = 10_000
    unauthenticated: int = 1_000
    unauthenticated_per_address: int = 200
    login_timeout: timedelta = timedelta(seconds=30)
    connect_timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class GatewayContext:
    """One gateway process, as its protocol servers see it.

    `number` is the process's own (1 to 32,767), for cancel keys. `tls` is None where no certificate is wanted;
    `require_tls` refuses clients in clear text. `public` is the host name that clients use. `login_secret` makes
    logins that nobody has look the same whenever they are asked for: all processes of an installation share one.
    """

    door: Door
    clock: Clock
    number: int
    log: Log
    tls: ServerTls | None = None
    require_tls: bool = False
    public: str = ""
    login_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=NoMetrics)
    traces: Traces = field(default_factory=NoTraces)


@dataclass(eq=False)
class Connection:
    """One accepted connection: a non-blocking TCP socket without delay, and who is at its other end.

    The listener closes `sock` when the server returns, unless the server has detached it.
    """

    sock: socket.socket
    host: str
    port: int
    on_authenticated: Callable[[], None] = lambda: None

    @property
    def client(self) -> str:
        """`host:port`, as sessions record it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def authenticated(self) -> None:
        """It has proved who it is: it no longer counts as a stranger, and its time to log in is not bounded."""
        self.on_authenticated()


class ProtocolServer(Protocol):
    """Speaks one protocol with clients. Made by a function that takes a `GatewayContext`."""

    protocol: ClassVar[str]

    async def serve(self, connection: Connection) -> None:
        """Serve one connection until it is over.

        Cancelled when it has not called `Connection.authenticated` in time, or when the process ends: whatever it
        opened must be closed then. What it raises is logged and ends this connection only.
        """
        ...

    async def close(self) -> None:
        """Release what the server itself holds; no connection is served any more."""
        ...
