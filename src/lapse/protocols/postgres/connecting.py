"""The login on a server as a machine: messages in, bytes to send out. Called by `gateway.postgres`.

Guarantees: a password leaves only as a SCRAM proof, or in clear text inside a channel whose certificate was verified;
a server that was asked for SCRAM and does not prove that it knows the password is not used. What a server may send
before it is ready is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lapse.domain.errors import InvalidInput, LapseError
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.backend import BackendKeyData, NegotiateProtocolVersion, Report
from lapse.protocols.postgres.framing import Message, ProtocolViolation, shown_kind
from lapse.protocols.postgres.scram import SCRAM_PLUS, ScramClient, fresh_nonce
from lapse.protocols.postgres.startup import Startup

MOST_MESSAGES = 1_000
"""A server says a few dozen parameters; one that never becomes ready is given up."""
MOST_BYTES = 1_000_000

METHODS = frozenset({"none", "password", "scram-sha-256"})
"""Of libpq's `require_auth`, those that are spoken here; all of them are taken where nothing is said."""


class ServerRefused(LapseError):  # noqa: N818  as its siblings
    """The server said no, in its own words."""

    code = "server-refused"

    def __init__(self, report: Report) -> None:
        super().__init__(report.message, hint=report.hint)
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """The connection to the server. `verified`: its certificate is known to be the server's; `end_point`: RFC 5929."""

    encrypted: bool = False
    verified: bool = False
    end_point: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a server must do to be used, in libpq's words `require_auth` and `channel_binding`."""

    methods: frozenset[str] = METHODS
    binding: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Demands:
        """From a connection's parameters.

        Raises:
            InvalidInput: a method is not spoken here.
        """
        wanted = parameters.get("require_auth", "").replace(" ", "")
        methods = frozenset(wanted.split(",")) if wanted else METHODS
        if unknown := sorted(methods - METHODS):
            known = ", ".join(f"`{one}`" for one in sorted(METHODS))
            raise InvalidInput(f"`require_auth` names `{unknown[0]}`, which is not known here", hint=f"use {known}")
        return cls(methods=methods, binding=parameters.get("channel_binding") == "require")


@dataclass
class ServerLogin:
    """One login as `user`, with `password` where the server asks for one.

    When `ready`, `parameters` and `key` are what the server said; `key` is None where it takes no cancel requests.
    """

    user: str
    password: str = field(repr=False)
    channel: Channel = Channel()
    demands: Demands = Demands()
    nonce: str = field(default_factory=fresh_nonce)
    ready: bool = False
    parameters: dict[bytes, bytes] = field(default_factory=dict)
    key: BackendKeyData | None = None
    notices: list[Report] = field(default_factory=list)
    _scram: ScramClient | None = None
    _used: str = "none"
    _accepted: bool = False
    _messages: int = 0
    _bytes: int = 0

    def begin(self, parameters: Mapping[str, str], minor: int = 0) -> bytes:
        """The startup packet."""
        return Startup(minor, {"user": self.user, **parameters}).encode()

    def receive(self, message: Message) -> bytes:
        """What to send for `message`; empty if nothing.

        Raises:
            ServerRefused: the server said no.
            ProtocolViolation: the server does not speak the protocol, or must not be trusted.
        """
        self._count(message)
        match message.kind:
            case backend.ERROR_RESPONSE:
                raise ServerRefused(Report.read(message.body))
            case backend.NOTICE_RESPONSE:
                self.notices.append(Report.read(message.body))
            case backend.NEGOTIATE_PROTOCOL_VERSION if not self._accepted:
                NegotiateProtocolVersion.read(message.body)
            case backend.AUTHENTICATION if not self._accepted:
                return self._authentication(*backend.read_authentication(message.body))
            case _ if self._accepted:
                self._told(message)
            case _:
                raise _out_of_place(message)
        return b""

    def _count(self, message: Message) -> None:
        self._messages += 1
        self._bytes += len(message.body)
        if self.ready or self._messages > MOST_MESSAGES or self._bytes > MOST_BYTES:
            raise ProtocolViolation("the server says too much before it is ready")

    def _told(self, message: Message) -> None:
        match message.kind:
            case backend.PARAMETER_STATUS:
                name, value = backend.read_parameter_status(message.body)
                self.parameters[name] = value
            case backend.BACKEND_KEY_DATA:
                self.key = BackendKeyData.read(message.body)
            case backend.READY_FOR_QUERY:
                self.ready = True
            case _:
                raise _out_of_place(message)

    def _authentication(self, code: int, data: bytes) -> bytes:
        match code:
            case backend.AUTH_OK:
                self._accept()
                return b""
            case backend.AUTH_CLEARTEXT:
                return self._clear_password()
            case backend.AUTH_SASL:
                return self._begin_scram(data)
            case backend.AUTH_SASL_CONTINUE:
                return frontend.password(self._exchange.final(data))
            case backend.AUTH_SASL_FINAL:
                self._exchange.finish(data)
                return b""
        what = "MD5 passwords" if code == MD5 else f"authentication of kind {code}"
        raise ProtocolViolation(
            f"the server wants {what}, which is not used",
            hint="let it ask this account for `scram-sha-256`, or for a client certificate (`cert`), in `pg_hba.conf`",
        )

    def _accept(self) -> None:
        if self._scram is not None and not self._scram.proved:
            raise ProtocolViolation("the server skipped its own proof: it may be an impostor")
        if self._used not in self.demands.methods:
            raise ProtocolViolation("the server asks for no password, and `require_auth` wants it to")
        if self.demands.binding and not (self._scram and self._scram.bound):
            raise ProtocolViolation("the server binds no channel, and `channel_binding` wants it to")
        self._accepted = True

    def _clear_password(self) -> bytes:
        self._use("password")
        if not self.channel.verified:
            raise ProtocolViolation(
                "the server wants the password in clear text, and its certificate was not verified",
                hint="let it ask for `scram-sha-256`, or set `sslmode=verify-full`",
            )
        return frontend.password(self._secret.encode("utf-8", "surrogateescape") + b"\0")

    def _begin_scram(self, data: bytes) -> bytes:
        self._use("scram-sha-256")
        offered = tuple(data.rstrip(b"\0").decode("ascii", "replace").split("\0"))
        scram = ScramClient(self._secret, offered, self.channel.end_point, self.nonce)
        if not scram.usable:
            raise ProtocolViolation("the server offers no SCRAM-SHA-256")
        if self.demands.binding and not scram.bound:
            raise ProtocolViolation(f"the server offers no {SCRAM_PLUS}, and `channel_binding` wants it to")
        self._scram = scram
        return frontend.SaslInitial(scram.mechanism.encode(), scram.first()).encode()

    def _use(self, method: str) -> None:
        if self._used != "none":
            raise ProtocolViolation("the server asks for a password again")
        if method not in self.demands.methods:
            raise ProtocolViolation(f"the server asks for `{method}`, which `require_auth` does not name")
        self._used = method

    @property
    def _secret(self) -> str:
        if not self.password:
            raise ProtocolViolation("the server asks for a password, and none is known for this account")
        return self.password

    @property
    def _exchange(self) -> ScramClient:
        if self._scram is None or self._scram.proved:
            raise ProtocolViolation("the server goes on with an exchange that it did not begin")
        return self._scram


MD5 = 5


def _out_of_place(message: Message) -> ProtocolViolation:
    return ProtocolViolation(f"the server sent a message `{shown_kind(message.kind)}` that does not belong to a login")
