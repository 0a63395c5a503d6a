"""The packets before the first message: a client's startup packet, or its wish for TLS, GSSAPI or a cancel.

They have a length and a code but no kind. Lengths are bounded as PostgreSQL's server bounds them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from lapse.protocols.postgres.backend import LEAST_KEY, LONGEST_KEY
from lapse.protocols.postgres.framing import Fields, ProtocolViolation

HEAD = struct.Struct("!II")
LONGEST_STARTUP = 10_000
MAJOR = 3
NEWEST_MINOR = 2
LONG_KEYS_MINOR = 2
"""Cancel keys may have more than four bytes from here on."""
OPTION_PREFIX = "_pq_."

_SSL, _GSS, _CANCEL = (1234 << 16 | minor for minor in (5679, 5680, 5678))
TLS_HANDSHAKE = 0x16
"""The first byte of a TLS record with a handshake: a client that begins with it wants TLS directly."""


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """May we use TLS?"""


@dataclass(frozen=True, slots=True)
class GssRequest:
    """May we use GSSAPI encryption?"""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Cancel what the session with this process id and key runs."""

    process: int
    key: bytes

    def encode(self) -> bytes:
        """As it is on the wire."""
        return HEAD.pack(HEAD.size + 4 + len(self.key), _CANCEL) + struct.pack("!I", self.process) + self.key


@dataclass(frozen=True, slots=True)
class Startup:
    """A session is asked for. `minor` is what the client asked for, `parameters` as it gave them, in order.

    Texts that are no UTF-8 keep their bytes as surrogates, so that they can be passed on.
    """

    minor: int
    parameters: Mapping[str, str]

    @property
    def user(self) -> str:
        """Who logs in; empty if unsaid."""
        return self.parameters.get("user", "")

    @property
    def database(self) -> str:
        """Where to; empty if unsaid. The protocol's default is the name of the user."""
        given = self.parameters.get("database", "")
        return "" if given == self.user else given

    @property
    def unknown_options(self) -> tuple[str, ...]:
        """Options of the protocol itself, none of which is known here."""
        return tuple(name for name in self.parameters if name.startswith(OPTION_PREFIX))

    def encode(self) -> bytes:
        """As it is on the wire."""
        pairs = b"".join(_text(name) + _text(value) for name, value in self.parameters.items())
        return HEAD.pack(HEAD.size + len(pairs) + 1, MAJOR << 16 | self.minor) + pairs + b"\0"


Packet = TlsRequest | GssRequest | CancelRequest | Startup

TLS_REQUEST = HEAD.pack(8, _SSL)
GSS_REQUEST = HEAD.pack(8, _GSS)


def body_size(head: bytes) -> int:
    """How many bytes follow the head (8 bytes) of a packet.

    Raises:
        ProtocolViolation: it is no head of a packet, or of one that is too long.
    """
    length, _ = HEAD.unpack(head)
    if not HEAD.size <= length <= LONGEST_STARTUP:
        raise ProtocolViolation("this is not a PostgreSQL startup packet")
    return int(length) - HEAD.size


def read_packet(head: bytes, body: bytes) -> Packet:
    """The packet with this head and this body.

    Raises:
        ProtocolViolation: it is none, or of a version that is not spoken here.
    """
    code = HEAD.unpack(head)[1]
    match code:
        case _ if code in {_SSL, _GSS}:
            Fields(body).end()
            return TlsRequest() if code == _SSL else GssRequest()
        case _ if code == _CANCEL:
            return _cancel(Fields(body))
        case _ if code >> 16 == MAJOR:
            return Startup(code & 0xFFFF, _parameters(Fields(body)))
    raise ProtocolViolation(f"version {code >> 16}.{code & 0xFFFF} of the protocol is not spoken here, only 3.0 to 3.2")


def _cancel(fields: Fields) -> CancelRequest:
    request = CancelRequest(fields.uint32(), fields.rest())
    if not LEAST_KEY <= len(request.key) <= LONGEST_KEY:
        raise ProtocolViolation("a cancel request has a key of no valid length")
    return request


def _parameters(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    while name := fields.text():
        found[_decoded(name)] = _decoded(fields.text())
    fields.end()
    return found


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape") + b"\0"
