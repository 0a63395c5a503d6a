"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for login attempts that are meant to be refused.

Passwords here are ASCII tokens that lapse made itself, so SASLprep (RFC 4013) changes nothing and is left out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

MECHANISM = "SCRAM-SHA-256"
GS2_HEADER = "n,,"
MOST_ITERATIONS = 1_000_000


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """The first message. PostgreSQL takes the user from the startup packet, so `n=` stays empty."""

    nonce: str

    @classmethod
    def fresh(cls) -> ClientFirst:
        """With a nonce of 18 random bytes."""
        return cls(base64.b64encode(secrets.token_bytes(18)).decode())

    @property
    def bare(self) -> str:
        """client-first-message-bare (RFC 5802, section 7)."""
        return f"n=,r={self.nonce}"

    @property
    def message(self) -> bytes:
        """client-first-message."""
        return (GS2_HEADER + self.bare).encode()


def client_final(first: ClientFirst, server_first: bytes, password: str) -> bytes:
    """client-final-message with the proof.

    Raises:
        ValueError: the server's message is not one.
    """
    text = server_first.decode("ascii")
    fields = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    nonce, iterations = fields.get("r", ""), int(fields.get("i", "0"))
    if not nonce.startswith(first.nonce) or nonce == first.nonce or not 0 < iterations <= MOST_ITERATIONS:
        raise ValueError("not a SCRAM server-first-message")
    salt = base64.b64decode(fields.get("s", ""), validate=True)
    without_proof = f"c={base64.b64encode(GS2_HEADER.encode()).decode()},r={nonce}"
    signed = f"{first.bare},{text},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    key = _hmac(salted, b"Client Key")
    signature = _hmac(hashlib.sha256(key).digest(), signed)
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()
