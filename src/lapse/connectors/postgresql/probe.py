"""A real login attempt, and exactly what the server answered.

The driver hides the SQLSTATE of a refused login behind a text in the server's language, and a text is no proof.
So this speaks the few startup messages of the PostgreSQL frontend/backend protocol 3.0 itself (manual, chapter
"Frontend/Backend Protocol", "Start-up"). Anything but a clear yes or no of the server is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lapse.domain.errors import Unavailable
from lapse.protocols.postgres.framing import ProtocolViolation
from lapse.protocols.postgres.frontend import SaslInitial
from lapse.protocols.postgres.scram import ScramClient

PROTOCOL_3 = 196608
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
LONGEST_MESSAGE = 65_536
SHORTEST_SIZE = 4
REFUSALS = frozenset({"28000", "28P01"})
"""invalid_authorization_specification and invalid_password: the server knows who asks, and says no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """How to reach a server. `host` is a name, an address or the folder of a Unix socket."""

    host: str
    port: int
    dbname: str
    sslmode: str = "prefer"
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAnswer:
    """`accepted`, or the SQLSTATE with which the server refused."""

    accepted: bool
    sqlstate: str = ""

    @property
    def refused(self) -> bool:
        """Whether the server refused this login as such (and not for being full, starting or broken)."""
        return not self.accepted and self.sqlstate in REFUSALS


async def attempt_login(where: Where, user: str, password: str, timeout_seconds: float) -> LoginAnswer:
    """Try to log in.

    Raises:
        Unavailable: the server did not answer, or not in a way that proves anything.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await _open(where)
            try:
                return await _Dialogue(reader, writer).log_in(user, password, where.dbname)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError, ValueError, struct.error, ProtocolViolation) as error:
        reason = "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        raise Unavailable(f"the login attempt as `{user}` proves nothing: {reason}") from None


async def _open(where: Where) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if where.host.startswith("/"):
        return await asyncio.open_unix_connection(f"{where.host}/.s.PGSQL.{where.port}")
    reader, writer = await asyncio.open_connection(where.host, where.port)
    if where.sslmode in {"disable", "allow"}:
        return reader, writer
    try:
        await _upgrade(where, reader, writer)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _upgrade(where: Where, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SSL_REQUEST)
    answer = await reader.readexactly(1)
    if answer == b"S":
        await writer.start_tls(_tls(where), server_hostname=where.host)
    elif answer != b"N" or where.sslmode != "prefer":
        raise ValueError("the server offers no TLS")


def _tls(where: Where) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if where.sslrootcert and where.sslrootcert != "system":
        context.load_verify_locations(where.sslrootcert)
    if where.sslmode not in {"verify-ca", "verify-full"} and not where.sslrootcert:
        # As libpq: `prefer` and `require` ask for encryption and take any certificate.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif where.sslmode != "verify-full":
        context.check_hostname = False
    if where.sslcert and Path(where.sslcert).exists():
        context.load_cert_chain(where.sslcert, where.sslkey or None)
    return context


class _Dialogue:
    """The startup messages on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._scram = ScramClient("")

    async def log_in(self, user: str, password: str, dbname: str) -> LoginAnswer:
        """Everything up to the server's yes or no."""
        fields = ("user", user, "database", dbname, "application_name", "lapse")
        body = b"".join(field.encode() + b"\0" for field in fields) + b"\0"
        self._writer.write(struct.pack("!ii", len(body) + 8, PROTOCOL_3) + body)
        while True:
            kind, message = await self._receive()
            if kind == b"E":
                return LoginAnswer(accepted=False, sqlstate=_sqlstate(message))
            if kind == b"Z":
                with contextlib.suppress(OSError):
                    self._send(b"X", b"")
                return LoginAnswer(accepted=True)
            if kind == b"R":
                self._authenticate(message, user, password)
            elif kind not in {b"S", b"K", b"N", b"v"}:
                raise ValueError("the server sent a message that does not belong to a login")

    def _authenticate(self, message: bytes, user: str, password: str) -> None:
        (code,) = struct.unpack_from("!i", message)
        data = message[4:]
        match code:
            case 0 | 12:  # ok, SASL's last word: the server's own proof does not matter to a refusal
                return
            case 3:  # clear text
                self._send(b"p", password.encode() + b"\0")
            case 5:  # MD5
                self._send(b"p", _md5(user, password, data[:4]) + b"\0")
            case 10:  # SASL
                self._begin_scram(data, password)
            case 11:  # SASL, continued
                self._send(b"p", self._scram.final(data))
            case _:
                _unsupported(code)

    def _begin_scram(self, mechanisms: bytes, password: str) -> None:
        # Nothing says which certificate the stream uses, so no channel is bound and nothing is said of it.
        self._scram = ScramClient(password, tuple(mechanisms.decode("ascii").split("\0")))
        if not self._scram.usable:
            raise ValueError("the server offers no SCRAM-SHA-256")
        self._writer.write(SaslInitial(self._scram.mechanism.encode(), self._scram.first()).encode())

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", len(body) + 4) + body)

    async def _receive(self) -> tuple[bytes, bytes]:
        kind, size = struct.unpack("!ci", await self._reader.readexactly(5))
        if not SHORTEST_SIZE <= size <= LONGEST_MESSAGE:
            raise ValueError("the server does not speak PostgreSQL")
        return kind, await self._reader.readexactly(size - SHORTEST_SIZE)


def _unsupported(code: int) -> NoReturn:
    raise ValueError(f"the server wants authentication of kind {code}, which takes no password")


def _sqlstate(message: bytes) -> str:
    fields = {part[:1]: part[1:] for part in message.split(b"\0") if part}
    code = fields.get(b"C", b"").decode("ascii")
    if not code:
        raise ValueError("the server refused without a SQLSTATE")
    return code


def _md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + user).encode()).hexdigest()  # noqa: S324  the protocol's own choice
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324  same
