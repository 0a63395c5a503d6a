"""`ProtocolServer` for SSH on asyncssh: a login, a session at the door, and the host joined to it. One a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, ClassVar

import asyncssh

from lapse.domain.errors import LapseError, Refused
from lapse.domain.sessions import SessionEnd
from lapse.gateway.context import Connection, GatewayContext, ProtocolServer
from lapse.gateway.parting import Parting
from lapse.gateway.ssh.agents import AgentSocket, agent_socket
from lapse.gateway.ssh.channels import NoChannel
from lapse.gateway.ssh.jumping import through
from lapse.gateway.ssh.login import PROTOCOL, Reception, Visitor, user_ca
from lapse.gateway.ssh.session import SshSession
from lapse.gateway.ssh.upstream import CLIENT_CIPHERS, WINDOW, FreshKey, log_in
from lapse.ports import Attempt, Cut
from lapse.protocols.ssh.native import parse_native

LONGEST_PROGRAM = 100
HOST_PACE = 0.002
"""Seconds between the ends of two host connections, where many sessions are cut at once."""
LAST_WORDS = 2.0
"""Seconds that a client who gets no session has to read why."""


def ssh_server(host_key: str) -> Callable[[GatewayContext], ProtocolServer]:
    """A server that shows `host_key` (a private key in OpenSSH's text) to its clients."""
    return lambda context: SshServer(context, host_key)


class SshServer:
    """Speaks SSH with clients, in the event loop in which it is made."""

    protocol: ClassVar[str] = PROTOCOL

    def __init__(self, context: GatewayContext, host_key: str) -> None:
        self._context = context
        self._host_key = asyncssh.import_private_key(host_key)
        self._user_ca: Any = None
        self.parting = Parting(HOST_PACE)

    async def serve(self, connection: Connection) -> None:
        """See `ProtocolServer`."""
        sock = socket.socket(fileno=connection.sock.detach())
        sock.settimeout(0)
        await self.talk(sock, connection.client, connection.authenticated)

    async def close(self) -> None:
        """See `ProtocolServer`."""

    async def talk(
        self, sock: socket.socket, client: str, authenticated: Callable[[], None], jumped: Visitor | None = None, *,
        resource: str = "",
    ) -> None:  # fmt: skip
        """Serve the SSH connection that begins on `sock`. `jumped` came through another one, to reach `resource`."""
        holder = jumped.credential.granted_to if jumped else ""
        reception = Reception(self._context, resource=resource, holder=holder)
        guest = Guest(self, reception, client)
        try:
            talking = await self._begun(sock, guest)
        except (asyncssh.Error, OSError, ValueError) as error:
            sock.close()
            self._context.metrics.connection(PROTOCOL, "login_failed")
            self._context.log.info("login failed", client=client, reason=str(getattr(error, "reason", error))[:200])
            return
        authenticated()
        try:
            await guest.stay(talking)
        finally:
            talking.abort()
            with contextlib.suppress(Exception):
                await talking.wait_closed()

    async def _begun(self, sock: socket.socket, guest: Guest) -> asyncssh.SSHServerConnection:
        if self._user_ca is None:
            self._user_ca = user_ca(await self._context.door.plane.ssh_user_ca())
        seconds = self._context.limits.login_timeout.total_seconds()
        return await asyncssh.run_server(
            sock,
            config=None,
            server_factory=lambda: guest,
            server_host_keys=[self._host_key],
            authorized_client_keys=self._user_ca,
            server_version="lapse",
            encoding=None,
            line_editor=False,
            agent_forwarding=True,
            x11_forwarding=False,
            gss_host=None,
            encryption_algs=CLIENT_CIPHERS,
            compression_algs=None,
            window=WINDOW,
            max_pktsize=128 << 10,
            login_timeout=seconds,
            connect_timeout=seconds,
            keepalive_interval=30,
            rekey_bytes=1 << 30,
        )

    @property
    def context(self) -> GatewayContext:
        """The process."""
        return self._context


class Guest(asyncssh.SSHServer):
    """One client's connection. Its session opens with its first channel; what is not named here is refused."""

    def __init__(self, server: SshServer, reception: Reception, client: str) -> None:
        self._server, self._reception, self._client = server, reception, client
        self._connection: asyncssh.SSHServerConnection | None = None
        self._session: asyncio.Future[SshSession] = asyncio.get_running_loop().create_future()
        self._wanted = asyncio.Event()
        self._inner: set[asyncio.Task[None]] = set()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """See `asyncssh.SSHServer`."""
        self._connection = conn
        self._reception.watch(conn)
        self._lend_agent = conn.create_agent_listener
        # The library decides by what the client has shown, not by what it may do here.
        setattr(conn, "create_agent_listener", self._agent_requested)  # noqa: B010  a method is replaced

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  as asyncssh calls it
        """See `asyncssh.SSHServer`."""
        self._wanted.set()

    def public_key_auth_supported(self) -> bool:
        """Certificates of the user CA, which the options name; a bare key is nobody's."""
        return True

    def password_auth_supported(self) -> bool:
        """Tokens."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """A token as a password."""
        return await self._reception.by_token(username, password)

    def session_requested(self) -> Any:
        """A channel: the session opens, if it has not."""
        return self._channel()

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        """A jump to the resource that the credential is for, or forwarding where it is permitted."""
        visitor = self._reception.visitor
        if visitor is not None and visitor.jumps:
            if dest_host != visitor.credential.resource:
                return False
            return through(lambda sock: self._jump(sock, visitor))
        return self._forward(dest_host, dest_port, orig_host, orig_port)

    def server_requested(self, listen_host: str, listen_port: int) -> Any:
        """An address at which the host should listen for the client."""
        return self._listen(listen_host, listen_port)

    async def stay(self, talking: asyncssh.SSHServerConnection) -> None:
        """Serve it until it is over."""
        visitor = self._reception.visitor
        if visitor is None:
            raise Refused("nobody was let in")
        await self._until_wanted(talking, visitor)
        if not visitor.jumps and self._wanted.is_set() and not talking.is_closed():
            await self._serve(talking, visitor)
        elif not talking.is_closed():
            await self._until_over(talking, visitor)
        for task in self._inner:
            task.cancel()
        await asyncio.gather(*self._inner, return_exceptions=True)

    async def _until_wanted(self, talking: asyncssh.SSHServerConnection, visitor: Visitor) -> None:
        waits = [asyncio.ensure_future(self._wanted.wait()), asyncio.ensure_future(talking.wait_closed())]
        try:
            await asyncio.wait(waits, timeout=self._left(visitor), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _until_over(self, talking: asyncssh.SSHServerConnection, visitor: Visitor) -> None:
        """A connection without a session of its own ends with its credential, too."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(talking.wait_closed(), self._left(visitor))

    def _left(self, visitor: Visitor) -> float:
        return max(0.0, (visitor.credential.expires_at - self._server.context.clock.now()).total_seconds())

    async def _serve(self, talking: asyncssh.SSHServerConnection, visitor: Visitor) -> None:
        context, key = self._server.context, FreshKey.make()
        version = str(talking.get_extra_info("client_version", ""))[:LONGEST_PROGRAM]
        attempt = Attempt(
            credential_id=visitor.credential.id,
            protocol=PROTOCOL,
            client=self._client,
            program=version,
            public_key=key.public,
        )
        try:
            async with context.door.open(attempt) as live:
                await self._joined(talking, live, key)
        except LapseError as error:
            context.log.info("session refused", protocol=PROTOCOL, client=self._client, reason=error.message)
            self._fail(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(talking.wait_closed(), LAST_WORDS)

    async def _joined(self, talking: asyncssh.SSHServerConnection, live: Any, key: FreshKey) -> None:
        async with contextlib.AsyncExitStack() as stack:
            agent = None
            if "agent" in parse_native(live.admission.native).permit:
                agent = await stack.enter_async_context(agent_socket())
            await self._with_host(talking, live, key, agent)

    async def _with_host(
        self, talking: asyncssh.SSHServerConnection, live: Any, key: FreshKey, agent: AgentSocket | None
    ) -> None:
        context = self._server.context
        seconds = context.limits.connect_timeout.total_seconds()
        try:
            host = await log_in(live.admission.upstream, key, seconds, agent=agent.path if agent else None)
        except LapseError:
            live.cut(Cut(session_id=live.id, reason=SessionEnd.FAILED))
            raise
        try:
            session = SshSession(context, live, talking, host)
            session.begin()
            if agent is not None:
                agent.reached = session.agent_reached
            if not self._session.done():
                self._session.set_result(session)
            await session.run()
            if not session.passing:
                await asyncio.sleep(self._server.parting.turn())
        finally:
            host.abort()
            with contextlib.suppress(Exception):
                await host.wait_closed()

    async def _channel(self) -> asyncssh.SSHServerSession[bytes]:
        """Where there is no session in it, the client is told so on its channel, which every client shows."""
        visitor = self._reception.visitor
        if visitor is None or visitor.jumps:
            return NoChannel("lapse: name the host: log in as PRINCIPAL%RESOURCE, or jump to it with -J")
        self._wanted.set()
        try:
            return (await asyncio.shield(self._session)).channel()
        except LapseError as error:
            return NoChannel(f"lapse: {error.message}")

    def _fail(self, error: LapseError) -> None:
        if not self._session.done():
            self._session.set_exception(error)
            self._session.exception()  # nobody may have asked

    async def _forward(self, host: str, port: int, orig_host: str, orig_port: int) -> Any:
        self._wanted.set()
        try:
            session = await asyncio.shield(self._session)
        except LapseError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, f"lapse: {error.message}") from None
        return await session.forward(host, port, orig_host, orig_port)

    async def _listen(self, host: str, port: int) -> asyncssh.SSHListener | bool:
        visitor = self._reception.visitor
        if visitor is None or visitor.jumps:
            return False
        self._wanted.set()
        try:
            session = await asyncio.shield(self._session)
        except LapseError:
            return False
        return await session.listen_on_host(host, port)

    async def _agent_requested(self) -> bool:
        """A client asks this on a channel, and channels are given out by its session."""
        if not self._session.done() or self._session.exception() is not None:
            return False
        return self._session.result().agent_wanted() and await self._lend_agent()

    async def _jump(self, sock: socket.socket, visitor: Visitor) -> None:
        await self._server.talk(sock, self._client, lambda: None, visitor, resource=visitor.credential.resource)
