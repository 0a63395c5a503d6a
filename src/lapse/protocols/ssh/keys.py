"""Public keys in OpenSSH's text: which kinds are taken, within bounds. Used wherever a client hands one in."""

from __future__ import annotations

import base64
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

_LONGEST_KEY = 4_096
_SMALLEST_RSA = 2_048
_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


def read_public_key(text: str) -> PublicKey:
    """A public key in OpenSSH's text: Ed25519, ECDSA, or RSA of 2048 bits and more.

    Keys of security tokens (`sk-…`) are refused: a certificate for them needs a field that would be lost here.
    """
    kind = text.partition(" ")[0]
    if kind not in _KINDS:
        raise InvalidInput(
            f"`{shown(kind)}` is not a kind of public key that lapse certifies",
            hint="make one with `ssh-keygen -t ed25519`",
        )
    try:
        key = load_ssh_public_key(one_line(text, _LONGEST_KEY))
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidInput(
            f"what follows `{kind}` is not a public key", hint="give the whole line of the .pub"
        ) from None
    if isinstance(key, RSAPublicKey) and key.key_size < _SMALLEST_RSA:
        raise InvalidInput(
            f"an RSA key of {key.key_size} bits is too weak", hint="make a key with `ssh-keygen -t ed25519`"
        )
    return cast("PublicKey", key)  # `_KINDS` name no others


def public_text(key: PublicKey | object) -> str:
    """A public key in OpenSSH's text, without a comment."""
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        raise InvalidInput("a key of this kind is not used with certificates")
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def wire_form(key: PublicKey) -> bytes:
    """A public key as it stands on the wire and in lists (RFC 4253, 6.6)."""
    return base64.b64decode(public_text(key).split()[1])


def one_line(text: str, longest: int) -> bytes:
    """The bytes of a text that must be one line of at most `longest` characters."""
    if len(text) > longest:
        raise InvalidInput(f"what was given is longer than {longest:,} characters")
    if "\n" in text.strip():
        raise InvalidInput("what was given has more than one line")
    return text.strip().encode()
