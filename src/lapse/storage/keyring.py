"""The installation's keys, in two files that only their owner may read: one signs, one seals.

`signing.pem` is an Ed25519 key (PKCS #8): it signs the ledger's checkpoints and the packs. `sealing.key` are 32 random
bytes: they encrypt the DSNs of targets with AES-256-GCM. A sealed text opens only for the purpose it was sealed for.
A key file that others may read is refused, not repaired: the key must be taken as known. Used by `bootstrap`.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lapse.domain.errors import Corrupt, Refused, Unavailable

SIGNING_FILE, SEALING_FILE = "signing.pem", "sealing.key"
NONCE, KEY = 12, 32
_LARGEST_FILE = 4_096


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

    @classmethod
    def open(cls, folder: Path, origin: str) -> Keyring:
        """The keys in `folder`, made there if it has none. `origin` is the name that checkpoints carry.

        Raises:
            Refused: a key file may be read by others, or belongs to somebody else.
            Corrupt: a key file holds no key.
            Unavailable: the folder cannot be read or written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            signing = _read_or_make(folder / SIGNING_FILE, _new_signing_key)
            sealing = _read_or_make(folder / SEALING_FILE, lambda: secrets.token_bytes(KEY))
        except OSError as error:
            raise Unavailable(f"the keys in `{folder}` cannot be used: {error.strerror}") from None
        if len(sealing) != KEY:
            raise Corrupt(f"`{folder / SEALING_FILE}` holds no sealing key", hint="restore it from a backup")
        return cls(FileSigner(origin, _signing_key(signing, folder / SIGNING_FILE)), AESGCM(sealing))

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


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a key file; if there is none, one is made whole and only then gets its name."""
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(fresh, make())
        _name_once(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return _read(path)


def _name_once(fresh: Path, path: Path) -> None:
    """Give the file its name unless another process was faster; then its key is the one."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise Refused(
                f"the key file `{path}` may be read by others",
                hint=f"treat the key as known: replace it, or run `chmod 600 {path}` if you are sure it is not",
            )
        return file.read(_LARGEST_FILE)
