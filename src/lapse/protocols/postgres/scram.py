"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) as PostgreSQL speaks it, for both sides.

Guarantees: a password is proved without being sent; each side proves that it knows it; with -PLUS both see the same
TLS certificate (`tls-server-end-point`, RFC 5929). A login that nobody has is answered like one with another password.
The user's name inside the exchange is ignored, as PostgreSQL does: the startup packet has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from lapse.domain.errors import Fault, InvalidInput, LapseError
from lapse.protocols.postgres.framing import ProtocolViolation
from lapse.protocols.postgres.saslprep import prepared

SCRAM, SCRAM_PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
END_POINT = "tls-server-end-point"
ITERATIONS = 4096
"""PostgreSQL's. Passwords of lapse are random and long, so more work would protect nothing further."""
MOST_ITERATIONS = 1_000_000
SALT_SIZE, KEY_SIZE = 16, 32
_NONCE = re.compile(rb"[\x21-\x2b\x2d-\x7e]{1,512}")


class WrongPassword(LapseError):  # noqa: N818  as its siblings
    """The proof does not fit; for a login that nobody has, none does."""

    code = "wrong-password"
    fault = Fault.CALLER


def fresh_nonce() -> str:
    """18 random bytes as text."""
    return base64.b64encode(secrets.token_bytes(18)).decode()


@dataclass(frozen=True, slots=True)
class Verifier:
    """What checks a password and cannot be used in its place. Its text is what `pg_authid.rolpassword` holds."""

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def of_password(cls, password: str, *, salt: bytes = b"", iterations: int = ITERATIONS) -> Verifier:
        """A fresh one for `password`; the salt is random if none is given."""
        salt = salt or secrets.token_bytes(SALT_SIZE)
        salted = _salted(password, salt, iterations)
        return cls(iterations, salt, _hash(_hmac(salted, b"Client Key")), _hmac(salted, b"Server Key"))

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """From `SCRAM-SHA-256$4096:salt$stored:server`.

        Raises:
            InvalidInput: it is none.
        """
        found = re.fullmatch(r"SCRAM-SHA-256\$(\d{1,7}):([^$:]+)\$([^$:]+):([^$:]+)", text)
        if not found:
            raise InvalidInput("this is not a SCRAM-SHA-256 verifier")
        try:
            salt, stored, server = (base64.b64decode(part, validate=True) for part in found.groups()[1:])
        except binascii.Error:
            raise InvalidInput("a SCRAM-SHA-256 verifier has a part that is not base64") from None
        iterations = int(found[1])
        if len(stored) != KEY_SIZE or len(server) != KEY_SIZE or not 0 < iterations <= MOST_ITERATIONS:
            raise InvalidInput("a SCRAM-SHA-256 verifier has parts of a wrong size")
        return cls(iterations, salt, stored, server)

    @classmethod
    def of_nobody(cls, login: str, secret: bytes) -> Verifier:
        """One that no password fits, the same for each `login` whenever it is asked for, as a real one would be.

        `secret` has to stay the same as long as logins live, in all processes that clients may meet.
        """
        salt = _hmac(secret, b"salt of nobody\0" + login.encode("utf-8", "surrogateescape"))[:SALT_SIZE]
        return cls(ITERATIONS, salt, secrets.token_bytes(KEY_SIZE), secrets.token_bytes(KEY_SIZE))

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"{SCRAM}${self.iterations}:{_b64(self.salt)}${_b64(self.stored_key)}:{_b64(self.server_key)}"


class ScramServer:
    """The server's side of one exchange. `end_point` binds it to a TLS certificate; empty without TLS.

    A `verifier` that is not `genuine` is refused in the end, whatever the proof.
    """

    def __init__(self, verifier: Verifier, *, genuine: bool, end_point: bytes = b"", nonce: str = "") -> None:
        self._verifier, self._genuine, self._end_point = verifier, genuine, end_point
        self._own_nonce = (nonce or fresh_nonce()).encode()
        self._bound = self._nonce = self._before_proof = b""

    @staticmethod
    def mechanisms(end_point: bytes) -> tuple[str, ...]:
        """What to offer, best first."""
        return (SCRAM_PLUS, SCRAM) if end_point else (SCRAM,)

    def first(self, mechanism: str, client_first: bytes) -> bytes:
        """server-first-message.

        Raises:
            ProtocolViolation: the client's message is none, or somebody pretended that channels cannot be bound.
        """
        if mechanism not in self.mechanisms(self._end_point):
            raise ProtocolViolation("the client chose a SASL mechanism that was not offered")
        header, bare = _split_client_first(client_first)
        self._check_binding(mechanism, header)
        client_nonce = _client_nonce(bare)
        self._bound = header + (self._end_point if mechanism == SCRAM_PLUS else b"")
        self._nonce = client_nonce + self._own_nonce
        salt, count = _b64(self._verifier.salt).encode(), self._verifier.iterations
        server_first = b"r=%s,s=%s,i=%d" % (self._nonce, salt, count)
        self._before_proof = bare + b"," + server_first
        return server_first

    def final(self, client_final: bytes) -> bytes:
        """server-final-message, if the client knows the password.

        Raises:
            WrongPassword: it does not.
            ProtocolViolation: its message is none, or is not for this exchange.
        """
        found = re.fullmatch(rb"(c=([^,]*),r=([^,]*)(?:,[a-zA-Z]=[^,]*)*),p=([^,]*)", client_final)
        if not found:
            raise ProtocolViolation("the client's last SCRAM message is malformed")
        without_proof, bound, nonce, proof = found.groups()
        if not hmac.compare_digest(_decoded(bound), self._bound):
            raise ProtocolViolation("the client sees another TLS certificate: channel binding failed")
        if not hmac.compare_digest(nonce, self._nonce):
            raise ProtocolViolation("the client's last SCRAM message is for another exchange")
        signed = self._before_proof + b"," + without_proof
        self._check_proof(_decoded(proof), signed)
        return b"v=" + _b64(_hmac(self._verifier.server_key, signed)).encode()

    def _check_binding(self, mechanism: str, header: bytes) -> None:
        wanted = f"p={END_POINT},,".encode()
        if mechanism == SCRAM_PLUS and header != wanted:
            raise ProtocolViolation("the client binds to a kind of channel that is not supported")
        if mechanism == SCRAM and header not in {b"n,,", b"y,,"}:
            raise ProtocolViolation("the client's first SCRAM message has no valid header")
        if header == b"y,," and self._end_point:
            # The client could bind channels and was made to believe that we cannot (RFC 5802, section 6).
            raise ProtocolViolation("somebody between client and gateway removed channel binding from the offer")

    def _check_proof(self, proof: bytes, signed: bytes) -> None:
        signature = _hmac(self._verifier.stored_key, signed)
        client_key = _xor(proof, signature) if len(proof) == KEY_SIZE else b""
        fits = hmac.compare_digest(_hash(client_key), self._verifier.stored_key)
        if not (fits and self._genuine):
            raise WrongPassword("the password is wrong")


@dataclass
class ScramClient:
    """The client's side of one exchange.

    `end_point` is of the server's certificate; empty without TLS. `mechanism` is chosen from what is `offered`.
    """

    password: str = field(repr=False)
    offered: tuple[str, ...] = (SCRAM,)
    end_point: bytes = b""
    nonce: str = field(default_factory=fresh_nonce)
    proved: bool = False
    _signature: bytes = field(default=b"", repr=False)

    @property
    def usable(self) -> bool:
        """Whether the server offers any mechanism that is known here."""
        return SCRAM in self.offered or self.bound

    @property
    def bound(self) -> bool:
        """Whether both sides prove that they see the same certificate."""
        return SCRAM_PLUS in self.offered and bool(self.end_point)

    @property
    def mechanism(self) -> str:
        """What was chosen."""
        return SCRAM_PLUS if self.bound else SCRAM

    @property
    def _header(self) -> str:
        if self.bound:
            return f"p={END_POINT},,"
        return "y,," if self.end_point else "n,,"

    @property
    def _bare(self) -> str:
        return f"n=,r={self.nonce}"

    def first(self) -> bytes:
        """client-first-message."""
        return (self._header + self._bare).encode()

    def final(self, server_first: bytes) -> bytes:
        """client-final-message, with the proof. Its work grows with the server's count of iterations.

        Raises:
            ProtocolViolation: the server's message is none, or wants too much work.
        """
        found = re.fullmatch(rb"r=([^,]+),s=([^,]+),i=(\d{1,7})(?:,[a-zA-Z]=[^,]*)*", server_first)
        if not found or not found[1].startswith(self.nonce.encode()) or len(found[1]) <= len(self.nonce):
            raise ProtocolViolation("the server's first SCRAM message is malformed")
        iterations = int(found[3])
        if not 0 < iterations <= MOST_ITERATIONS:
            raise ProtocolViolation("the server wants an unreasonable number of SCRAM iterations")
        salted = _salted(self.password, _decoded(found[2]), iterations)
        bound = self._header.encode() + (self.end_point if self.bound else b"")
        without_proof = b"c=%s,r=%s" % (base64.b64encode(bound), found[1])
        signed = b",".join((self._bare.encode(), server_first, without_proof))
        client_key = _hmac(salted, b"Client Key")
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        proof = _xor(client_key, _hmac(_hash(client_key), signed))
        return without_proof + b",p=" + base64.b64encode(proof)

    def finish(self, server_final: bytes) -> None:
        """Check that the server knows the password too.

        Raises:
            ProtocolViolation: it does not.
        """
        found = re.fullmatch(rb"v=([^,]+)(?:,.*)?", server_final)
        if not found or not self._signature or not hmac.compare_digest(_decoded(found[1]), self._signature):
            raise ProtocolViolation("the server does not know the password: it may be an impostor")
        self.proved = True


def _split_client_first(message: bytes) -> tuple[bytes, bytes]:
    found = re.fullmatch(rb"((?:n|y|p=[A-Za-z0-9.-]+),,)(.*)", message, re.DOTALL)
    if not found:
        raise ProtocolViolation("the client's first SCRAM message has no valid header")
    return found[1], found[2]


def _client_nonce(bare: bytes) -> bytes:
    # `m=` would be an extension that must be understood (RFC 5802, section 5.1), and none is.
    found = re.fullmatch(rb"n=[^,]*,r=([^,]*)(?:,[a-zA-Z]=[^,]*)*", bare)
    if not found or not _NONCE.fullmatch(found[1]):
        raise ProtocolViolation("the client's first SCRAM message is malformed")
    return found[1]


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ProtocolViolation("a SCRAM message has a part that is not base64") from None


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
