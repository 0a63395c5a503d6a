"""Public keys as they stand in authorized_keys: kind, strength, and the fingerprint that OpenSSH prints.

Called by `entries`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_TYPE = re.compile(r"[a-z0-9][a-z0-9-]{2,60}(?:@[a-z0-9.-]{1,60})?", re.ASCII)
_FIELDS = {
    "ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3, "sk-ssh-ed25519@openssh.com": 2,
}  # fmt: skip
_OTHERS = frozenset({"ssh-mldsa44-ed25519@openssh.com", "ssh-xmss@openssh.com"})
_SMALLEST_RSA = 2_048
_ED25519_BYTES = 32
_LONGEST_BLOB = 1 << 16


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key. `bits` is 0 where the kind has no such number; `known` is False for kinds that are new since this code."""

    kind: str
    fingerprint: str
    bits: int = 0
    known: bool = True

    @property
    def weak(self) -> str:
        """Why the key is weak, in a few words; "" if it is not."""
        if self.kind == "ssh-dss":
            return "a DSA key"
        if self.kind == "ssh-rsa" and self.bits < _SMALLEST_RSA:
            return f"an RSA key of {self.bits} bits"
        return ""


def is_key_type(word: str) -> bool:
    """Whether `word` names a kind of key that stands at the beginning of a line, certificates included."""
    known = word in _FIELDS or word in _OTHERS
    return known or (_TYPE.fullmatch(word) is not None and word.startswith(("ssh-", "ecdsa-", "sk-", "webauthn-sk-")))


def is_certificate(kind: str) -> bool:
    """Whether the kind is a certificate, which sshd does not take from authorized_keys."""
    return kind.endswith("-cert-v01@openssh.com")


def read_key(kind: str, text: str) -> PublicKey:
    """The key of this `kind` whose base64 is `text`.

    Raises:
        ValueError: it is none, or of another kind.
    """
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what stands for the key is not base64") from None
    inside, *fields = _strings(blob)
    if inside != kind.encode():
        raise ValueError(f"the key says of itself that it is none of kind `{kind}`")
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    wanted = _FIELDS.get(kind)
    if wanted is None:
        return PublicKey(kind, f"SHA256:{digest}", known=kind in _OTHERS)
    if len(fields) != wanted or not all(fields):
        raise ValueError(f"the key is not one of kind `{kind}`: parts of it are missing or too many")
    return PublicKey(kind, f"SHA256:{digest}", _bits(kind, fields))


def _bits(kind: str, fields: list[bytes]) -> int:
    if kind == "ssh-rsa":
        return int.from_bytes(fields[1]).bit_length()
    if kind == "ssh-dss":
        return int.from_bytes(fields[0]).bit_length()
    if "ed25519" in kind:
        if len(fields[0]) != _ED25519_BYTES:
            raise ValueError("the key is not one of Ed25519: its length is another")
        return 8 * _ED25519_BYTES
    curve = kind.removesuffix("@openssh.com").rpartition("-")[2]
    if fields[0] != curve.encode():
        raise ValueError("the key is on another curve than its kind says")
    return int(curve.removeprefix("nistp"))


def _strings(blob: bytes) -> list[bytes]:
    """The parts of a key on the wire (RFC 4251, 5): each a length in four bytes, and as many bytes."""
    found, place = [], 0
    while place < len(blob) <= _LONGEST_BLOB:
        size = int.from_bytes(blob[place : place + 4])
        place += 4 + size
        if place > len(blob):
            break
        found.append(blob[place - size : place])
    if not found or place != len(blob):
        raise ValueError("the key is cut off, or is none")
    return found
