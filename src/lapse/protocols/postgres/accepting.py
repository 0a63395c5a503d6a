"""A client's login as a machine: bytes in, commands out. Called by `gateway.postgres`, which carries them out.

Guarantees: it asks for exactly the bytes it `wants`, so nothing that a client sends later is swallowed, and nothing
that somebody injects before TLS counts after it. Nothing is answered to a client in clear text where TLS is required
but that it is. A login that nobody has is found out no sooner than a wrong password.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import NoReturn

from lapse.domain.errors import LapseError
from lapse.protocols.postgres import backend
from lapse.protocols.postgres.backend import NegotiateProtocolVersion, Report, SqlState
from lapse.protocols.postgres.framing import HEADER, LENGTH_SIZE, LONGEST_LOGIN_MESSAGE, ProtocolViolation
from lapse.protocols.postgres.frontend import PASSWORD, SaslInitial
from lapse.protocols.postgres.scram import ScramServer, Verifier, WrongPassword, fresh_nonce
from lapse.protocols.postgres.startup import (
    HEAD,
    NEWEST_MINOR,
    CancelRequest,
    GssRequest,
    Packet,
    Startup,
    TlsRequest,
    body_size,
    read_packet,
)

NO = b"N"
YES = b"S"


@dataclass(frozen=True, slots=True)
class Send:
    """Send `data` to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Do the server's side of a TLS handshake, then call `tls_started`."""


@dataclass(frozen=True, slots=True)
class FindVerifier:
    """Look up who `login` is, then call `found`."""

    login: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel what another session runs, and hang up without a word."""

    request: CancelRequest


@dataclass(frozen=True, slots=True)
class Proven:
    """The client is who it says; `ClientLogin.startup` has what it wants."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """It is over. `report` says why; None where nobody is told."""

    report: Report | None = None


Command = Send | StartTls | FindVerifier | Cancel | Proven | HangUp


class TlsOffer(Enum):
    """Whether clients may or must use TLS."""

    ABSENT = auto()
    OFFERED = auto()
    REQUIRED = auto()


class ClientLogin:
    """One client's login. `secret` makes logins that nobody has look the same every time (`Verifier.of_nobody`)."""

    def __init__(self, *, tls: TlsOffer, secret: bytes, nonce: Callable[[], str] = fresh_nonce) -> None:
        self._tls, self._secret, self._nonce = tls, secret, nonce
        self._encrypted, self._end_point = False, b""
        self._asked: set[type[Packet]] = set()
        self._waiting = b""
        self._head = b""
        self._step: Callable[[bytes], list[Command]] = self._startup_head
        self._answer: Callable[[bytes], list[Command]] = _out_of_turn
        self.wants = HEAD.size
        self.startup = Startup(0, {})

    def receive(self, data: bytes) -> list[Command]:
        """Bytes of the client, at most as many as it `wants`."""
        self._waiting += data
        self.wants -= len(data)
        if self.wants > 0:
            return []
        whole, self._waiting = self._waiting, b""
        try:
            return self._step(whole)
        except WrongPassword:
            return self._refused(SqlState.INVALID_PASSWORD, f'password authentication failed for user "{self._login}"')
        except ProtocolViolation as error:
            return self._refused(SqlState.PROTOCOL_VIOLATION, error.message)

    def tls_started(self, end_point: bytes) -> None:
        """The channel is encrypted now; `end_point` is the binding of our certificate (RFC 5929)."""
        self._encrypted, self._end_point = True, end_point

    def found(self, verifier: Verifier | None) -> list[Command]:
        """What was found for the login; None for nobody."""
        whom = verifier or Verifier.of_nobody(self._login, self._secret)
        scram = ScramServer(whom, genuine=verifier is not None, end_point=self._end_point, nonce=self._nonce())
        self._answer = partial(self._scram_first, scram)
        self._expect(HEADER.size, self._sasl_head)
        return [Send(backend.authentication_sasl(ScramServer.mechanisms(self._end_point)))]

    @property
    def _login(self) -> str:
        return self.startup.user

    def _expect(self, size: int, step: Callable[[bytes], list[Command]]) -> None:
        self.wants, self._step = size, step

    def _startup_head(self, head: bytes) -> list[Command]:
        size = body_size(head)
        self._head = head
        self._expect(size, self._startup_body)
        return [] if size else self.receive(b"")

    def _startup_body(self, body: bytes) -> list[Command]:
        packet = read_packet(self._head, body)
        if isinstance(packet, CancelRequest):
            self._expect(0, _out_of_turn)
            return [Cancel(packet), HangUp()]
        return self._begin(packet) if isinstance(packet, Startup) else self._encryption(packet)

    def _encryption(self, packet: TlsRequest | GssRequest) -> list[Command]:
        if self._encrypted or type(packet) in self._asked:
            raise ProtocolViolation("the client asks for encryption again")
        self._asked.add(type(packet))
        self._expect(HEAD.size, self._startup_head)
        if isinstance(packet, GssRequest) or self._tls is TlsOffer.ABSENT:
            return [Send(NO)]
        return [Send(YES), StartTls()]

    def _begin(self, startup: Startup) -> list[Command]:
        self.startup = startup
        self._expect(0, _out_of_turn)
        if self._tls is TlsOffer.REQUIRED and not self._encrypted:
            return self._refused(
                SqlState.INVALID_AUTHORIZATION,
                "this gateway takes no connections in clear text",
                "use `sslmode=require`",
            )
        if not startup.user:
            return self._refused(SqlState.INVALID_AUTHORIZATION, "no user name was given in the startup packet")
        negotiation: list[Command] = []
        if startup.minor > NEWEST_MINOR or startup.unknown_options:
            options = tuple(name.encode("utf-8", "surrogateescape") for name in startup.unknown_options)
            newest = min(startup.minor, NEWEST_MINOR)
            negotiation = [Send(NegotiateProtocolVersion(newest, options).encode())]
        return [*negotiation, FindVerifier(startup.user)]

    def _sasl_head(self, head: bytes) -> list[Command]:
        kind, length = HEADER.unpack(head)
        if kind != PASSWORD or not LENGTH_SIZE < length <= LONGEST_LOGIN_MESSAGE:
            raise ProtocolViolation("the client does not answer with a password message")
        self._expect(length - LENGTH_SIZE, self._answer)
        return []

    def _scram_first(self, scram: ScramServer, body: bytes) -> list[Command]:
        initial = SaslInitial.read(body)
        if initial.data is None:
            raise ProtocolViolation("the client left out its first SCRAM message")
        answer = scram.first(initial.mechanism.decode("ascii", "replace"), initial.data)
        self._answer = partial(self._scram_final, scram)
        self._expect(HEADER.size, self._sasl_head)
        return [Send(backend.authentication(backend.AUTH_SASL_CONTINUE, answer))]

    def _scram_final(self, scram: ScramServer, body: bytes) -> list[Command]:
        answer = scram.final(body)
        final = backend.authentication(backend.AUTH_SASL_FINAL, answer)
        self._expect(0, _out_of_turn)
        return [Send(final + backend.authentication(backend.AUTH_OK)), Proven()]

    def _refused(self, state: SqlState, text: str, hint: str = "") -> list[Command]:
        self._expect(0, _out_of_turn)
        report = Report("FATAL", state, text, hint=hint)
        return [Send(report.error()), HangUp(report)]


def _out_of_turn(_: bytes) -> NoReturn:
    raise ProtocolViolation("the client talks out of turn")


def refusal(error: LapseError, state: SqlState) -> Report:
    """An error of lapse as the client of a login is told it."""
    return Report("FATAL", state, f"lapse: {error.message}", hint=error.hint)
