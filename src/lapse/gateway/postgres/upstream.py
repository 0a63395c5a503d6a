"""The gateway as a client of the target's server: connect, log in, and cancel. Called by `session`.

Guarantees: what fails is said in one sentence without a secret, and leaves no connection open.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from lapse.domain.errors import LapseError, Unavailable
from lapse.gateway.postgres.upstream_tls import UpstreamTls, upstream_tls
from lapse.gateway.postgres.wires import PlainWire, Wire, connect_tls
from lapse.ports import Upstream
from lapse.protocols.postgres.accepting import YES
from lapse.protocols.postgres.connecting import Channel, Demands, ServerLogin
from lapse.protocols.postgres.framing import HEADER, LENGTH_SIZE, LONGEST_LOGIN_MESSAGE, Message, ProtocolViolation
from lapse.protocols.postgres.startup import TLS_REQUEST, CancelRequest

CANCEL_SECONDS = 5.0
ON_DISK = ".s.PGSQL."


@dataclass
class Server:
    """A server that is logged in to: its connection, and what it said."""

    wire: Wire
    login: ServerLogin


async def log_in(upstream: Upstream, parameters: Mapping[str, str]) -> Server:
    """Connect as the upstream says and log in, with these parameters of the session.

    Raises:
        Unavailable: the server is not reached, or breaks off.
        ServerRefused: it says no.
        ProtocolViolation: it does not speak the protocol, or must not be trusted.
        InvalidInput: the upstream's parameters cannot be used.
    """
    demands = Demands.of(upstream.parameters)
    wire, channel = await _connected(upstream)
    try:
        login = ServerLogin(upstream.user, upstream.secret, channel=channel, demands=demands)
        await wire.write(login.begin(parameters))
        while not login.ready:
            if answer := login.receive(await read_message(wire)):
                await wire.write(answer)
    except OSError as error:
        wire.abort()
        raise _broken(upstream, error) from None
    except BaseException:
        wire.abort()
        raise
    return Server(wire, login)


async def cancel(upstream: Upstream, request: CancelRequest) -> None:
    """Ask the server to cancel what a session runs. Nobody is told whether it did; failures are silent."""
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            wire, _ = await _connected(upstream)
            try:
                await wire.write(request.encode())
                await wire.read(1)
            finally:
                wire.abort()
    except (OSError, LapseError, TimeoutError):
        return


async def _connected(upstream: Upstream) -> tuple[Wire, Channel]:
    """A connection, encrypted if the upstream says so."""
    wanted = upstream_tls(upstream)
    plain = await _socket(upstream)
    try:
        if wanted.context is None:
            return plain, Channel()
        await plain.write(TLS_REQUEST)
        if await plain.read(1) == YES:
            return await _encrypted(plain, wanted, upstream.host)
    except OSError as error:
        plain.abort()
        raise _broken(upstream, error) from None
    except BaseException:
        plain.abort()
        raise
    if wanted.required:
        plain.abort()
        raise Unavailable(f"the server at {upstream.host}:{upstream.port} speaks no TLS", hint="set `ssl = on` there")
    return plain, Channel()


async def _encrypted(plain: PlainWire, wanted: UpstreamTls, host: str) -> tuple[Wire, Channel]:
    if wanted.context is None:
        raise ValueError("no TLS is wanted")
    wire = await connect_tls(plain, wanted.context, host)
    return wire, Channel(encrypted=True, verified=wanted.verified, end_point=wire.peer_end_point)


async def _socket(upstream: Upstream) -> PlainWire:
    loop = asyncio.get_running_loop()
    try:
        if upstream.host.startswith("/"):
            return await _to(socket.AF_UNIX, f"{upstream.host}/{ON_DISK}{upstream.port}")
        found = await loop.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
        problem: OSError = OSError("it has no address")
        for family, _, _, _, address in found:
            try:
                return await _to(family, address)
            except OSError as error:
                problem = error
        raise problem
    except OSError as error:
        raise _broken(upstream, error) from None


async def _to(family: int, address: str | tuple[object, ...]) -> PlainWire:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return PlainWire(sock)


async def read_message(wire: Wire) -> Message:
    """The next message of a server that is not trusted with long ones. Raises `ProtocolViolation`."""
    kind, length = HEADER.unpack(await wire.read(HEADER.size))
    if not LENGTH_SIZE <= length <= LONGEST_LOGIN_MESSAGE:
        raise ProtocolViolation(f"the server sends a message of {length} bytes where none may be")
    return Message(kind, await wire.read(length - LENGTH_SIZE))


def _broken(upstream: Upstream, error: OSError) -> Unavailable:
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", "") or (error.reason or "the handshake failed").replace("_", " ")
    else:
        reason = error.strerror or str(error)
    where = f"{upstream.host}:{upstream.port}"
    return Unavailable(f"the server at {where} is not reached: {reason.lower()}", hint="look at the target")
