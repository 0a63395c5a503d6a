"""Checkpoints: the signed statement that the ledger had so many entries and this root (C2SP tlog-checkpoint).

Guarantee: `open_checkpoint` returns only what a trusted key signed, whatever bytes it is given, or raises
`Corrupt`. A checkpoint is a signed note (C2SP signed-note) with an Ed25519 signature, so other tools of the
transparency-log family read it too. Called by the sequencer, the verifier and whoever seals or checks a pack.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.ledger import standalone
from lapse.ledger.standalone import Checkpoint, Key

__all__ = ["Checkpoint", "Key", "NoteSigner", "key_of", "open_checkpoint", "parse_key", "seal", "verify_signature"]


class NoteSigner(Protocol):
    """What is needed of a key's holder; `lapse.ports.Signer` is one."""

    @property
    def name(self) -> str:
        """The name of the key and the origin of what it signs."""
        ...

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64-byte Ed25519 signature."""
        ...


def key_of(signer: NoteSigner) -> Key:
    """The key that verifies what `signer` signs; `standalone.write_key` gives its text.

    Raises:
        InvalidInput: the signer's name cannot stand in a signed note, or its key is not 32 bytes.
    """
    return parse_key(standalone.write_key(Key(signer.name, signer.public_key)))


def parse_key(text: str) -> Key:
    """Read a public key as `name+hash+base64` (C2SP signed-note, verifier keys).

    Raises:
        InvalidInput: not such a key.
    """
    try:
        return standalone.read_key(text)
    except (standalone.VerificationFailed, UnicodeEncodeError) as error:
        raise InvalidInput(str(error), hint="copy the whole line that `lapse init` printed") from None


def seal(size: int, root: bytes, signer: NoteSigner) -> bytes:
    """The signed note that says: the ledger named like `signer` has `size` entries with this root.

    Raises:
        Corrupt: the signer gave a signature that its own public key does not verify; nothing wrong is sealed.
    """
    text = f"{signer.name}\n{size}\n{base64.b64encode(root).decode()}\n"
    key, signature = key_of(signer), signer.sign(text.encode())
    line = base64.b64encode(key.hash + signature).decode()
    note = f"{text}\n\N{EM DASH} {key.name} {line}\n".encode()
    open_checkpoint(note, [key])
    return note


def open_checkpoint(note: bytes, keys: Sequence[Key]) -> Checkpoint:
    """The checkpoint in `note`, if one of `keys` signed it and it is of the ledger that the key is named for.

    Raises:
        Corrupt: malformed, not signed by any of `keys`, or a signature is wrong.
    """
    try:
        return standalone.open_checkpoint(note, keys, verify_signature)
    except standalone.VerificationFailed as error:
        raise Corrupt(str(error)) from None


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is valid (RFC 8032); any malformed part makes it invalid."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
