"""The installation's keys, in two files that only their owner may read: one signs, one seals.

`signing.pem` is an Ed25519 key (PKCS #8): it signs the ledger's checkpoints and the packs. `sealing.key` are 32 random
bytes: they encrypt the DSNs of targets with AES-256-GCM, and other keys are derived from them. A sealed text opens only
for the purpose it was sealed for. How the files are kept: `keyfiles`. Used by `bootstrap`.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lapse.domain.errors import Corrupt
from lapse.storage.keyfiles import key_folder, read_or_make

SIGNING_FILE, SEALING_FILE = "signing.pem", "sealing.key"
NONCE, KEY = 12, 32


class FileSigner:
    """A `ports.Signer` whose key came from a file."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._name = name
        self._key = key

    @property
    def name(self) -> str:
        """The origin of checkpoints."""
        return self._name

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64-byte Ed25519 signature (RFC 8032)."""
        return self._key.sign(message)


@dataclass(frozen=True)
class Keyring:
    """Both keys of one installation."""

    signer: FileSigner
    _sealing: AESGCM = field(repr=False)
    _root: bytes = field(repr=False)

    @classmethod
    def open(cls, folder: Path, origin: str) -> Keyring:
        """The keys in `folder`, made there if it has none. `origin` is the name that checkpoints carry.

        Raises:
            Refused: a key file may be read by others, or belongs to somebody else.
            Corrupt: a key file holds no key.
            Unavailable: the folder cannot be read or written.
        """
        with key_folder(folder):
            signing = read_or_make(folder / SIGNING_FILE, _new_signing_key)
            sealing = read_or_make(folder / SEALING_FILE, lambda: secrets.token_bytes(KEY))
        if len(sealing) != KEY:
            raise Corrupt(f"`{folder / SEALING_FILE}` holds no sealing key", hint="restore it from a backup")
        return cls(FileSigner(origin, _signing_key(signing, folder / SIGNING_FILE)), AESGCM(sealing), sealing)

    def seal(self, text: str, *, purpose: str = "dsn") -> str:
        """`text` encrypted and authenticated (AES-256-GCM, NIST SP 800-38D), as URL-safe base64 with its nonce."""
        nonce = os.urandom(NONCE)
        sealed = self._sealing.encrypt(nonce, text.encode(), _bound(purpose))
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, *, purpose: str = "dsn") -> str:
        """The text that `seal` was given.

        Raises:
            Corrupt: it was changed, sealed with another key, or for another purpose.
        """
        try:
            data = base64.b64decode(sealed.encode("ascii"), altchars=b"-_", validate=True)
            return self._sealing.decrypt(data[:NONCE], data[NONCE:], _bound(purpose)).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise Corrupt(
                "a sealed secret cannot be opened with this installation's key", hint="enter the secret again"
            ) from None

    def derive(self, purpose: str, subject: str) -> bytes:
        """32 bytes for `purpose` and `subject` (HKDF-SHA256, RFC 5869); equal pairs give equal bytes, no others do."""
        parts = purpose.encode(), subject.encode()
        info = b"lapse/derive/v1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return HKDF(algorithm=hashes.SHA256(), length=KEY, salt=None, info=info).derive(self._root)


def _bound(purpose: str) -> bytes:
    return b"lapse/seal/v1/" + purpose.encode()


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _signing_key(pem: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Corrupt(f"`{path}` holds no Ed25519 key", hint="restore it from a backup")
    return key
