"""A client's login on its connection: carries out what `protocols.postgres.accepting` commands. Called by `server`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.errors import Corrupt, LapseError
from lapse.gateway.context import Connection, GatewayContext
from lapse.gateway.postgres.wires import PlainWire, TlsWire, Wire, accept_tls
from lapse.gateway.tls import ALPN
from lapse.protocols.postgres.accepting import (
    Cancel,
    ClientLogin,
    Command,
    FindVerifier,
    HangUp,
    Proven,
    Send,
    StartTls,
    TlsOffer,
    refusal,
)
from lapse.protocols.postgres.backend import SqlState
from lapse.protocols.postgres.scram import Verifier
from lapse.protocols.postgres.startup import TLS_HANDSHAKE, CancelRequest, Startup

PROTOCOL = "postgresql"


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who proved to hold `credential`, and what they want."""

    wire: Wire
    startup: Startup
    credential: Credential


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Somebody who wants a session's statement cancelled, and waits until `wire` closes."""

    wire: Wire
    request: CancelRequest


class Reception:
    """One connection until it is known whose it is. `wire` changes when TLS begins."""

    def __init__(self, wire: PlainWire, context: GatewayContext) -> None:
        self.wire: Wire = wire
        self._plain, self._context = wire, context
        self._login = ClientLogin(tls=_offer(context), secret=context.login_secret)
        self._credential: Credential | None = None
        self._over = False

    async def receive(self) -> Client | Cancelling | None:
        """Who it is, or what is to be cancelled; None where there is nobody any more.

        Raises:
            OSError: the connection broke, or TLS failed.
        """
        await self._perhaps_direct_tls()
        while not self._over:
            for command in self._login.receive(await self.wire.read(self._login.wants)):
                if isinstance(command, Cancel):
                    return Cancelling(self.wire, command.request)
                if isinstance(command, Proven) and self._credential is not None:
                    return Client(self.wire, self._login.startup, self._credential)
                await self._do(command)
        return None

    async def _perhaps_direct_tls(self) -> None:
        """A client that begins with a handshake (`sslnegotiation=direct`) must name the protocol, too."""
        if self._context.tls is None or await self._plain.peek() != bytes([TLS_HANDSHAKE]):
            return
        wire = await self._start_tls()
        if wire.tls.selected_alpn_protocol() not in ALPN:
            wire.abort()
            raise ConnectionAbortedError("a client began TLS directly without naming the protocol")

    async def _start_tls(self) -> TlsWire:
        tls = self._context.tls
        if tls is None:
            raise ConnectionAbortedError("no TLS is offered")
        self.wire = wire = await accept_tls(self._plain, tls.context)
        self._login.tls_started(tls.end_point)
        return wire

    async def _do(self, command: Command) -> None:
        match command:
            case Send(data):
                await self.wire.write(data)
            case StartTls():
                await self._start_tls()
            case FindVerifier(login):
                await self._do_all(await self._looked_up(login))
            case HangUp(report):
                self._over = True
                if report is not None:
                    self._context.metrics.connection(PROTOCOL, "login_failed")
                    self._context.log.info("login refused", protocol=PROTOCOL, reason=report.message)
            case _:
                self._over = True

    async def _do_all(self, commands: Sequence[Command]) -> None:
        for command in commands:
            await self._do(command)

    async def _looked_up(self, login: str) -> Sequence[Command]:
        try:
            found = await self._context.door.plane.credential(login, PROTOCOL)
            verifier = _verifier(found)
        except LapseError as error:
            report = refusal(error, SqlState.CANNOT_CONNECT_NOW)
            return [Send(report.error()), HangUp(report)]
        self._credential = found if verifier is not None else None
        return self._login.found(verifier)


async def receive(connection: Connection, wire: PlainWire, context: GatewayContext) -> Client | Cancelling | None:
    """Find out who is at the other end of `connection`; its wire is closed where nobody is."""
    reception = Reception(wire, context)
    found: Client | Cancelling | None = None
    try:
        found = await reception.receive()
        if found is None:
            await reception.wire.hang_up()
    finally:
        if found is None:
            reception.wire.abort()
    if isinstance(found, Client):
        connection.authenticated()
    return found


def _verifier(credential: Credential | None) -> Verifier | None:
    """None for one that is no password: it is refused like a wrong one."""
    if credential is None or credential.kind is not CredentialKind.SCRAM:
        return None
    try:
        return Verifier.parse(credential.verifier)
    except LapseError:
        raise Corrupt(f"the verifier of credential {credential.id} cannot be read") from None


def _offer(context: GatewayContext) -> TlsOffer:
    if context.tls is None:
        return TlsOffer.ABSENT
    return TlsOffer.REQUIRED if context.require_tls else TlsOffer.OFFERED
