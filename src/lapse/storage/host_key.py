"""The host key of this installation's SSH gateways: a file that is made once, so that clients can know it. Ed25519."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from lapse.domain.errors import Corrupt
from lapse.storage.keyfiles import key_folder, read_or_make

FILE = "ssh_host_key"


def ssh_host_key(folder: Path) -> str:
    """The private key in OpenSSH's text, made in `folder` if it has none.

    Raises:
        Refused: the file may be read by others, or belongs to somebody else.
        Unavailable: the folder cannot be read or written.
    """
    with key_folder(folder):
        return read_or_make(folder / FILE, _new).decode()


def ssh_host_public_key(folder: Path) -> str:
    """The public key in OpenSSH's text, for clients to pin.

    Raises:
        Corrupt: the file holds no key.
        Refused, Unavailable: as `ssh_host_key`.
    """
    try:
        key = load_ssh_private_key(ssh_host_key(folder).encode(), password=None)
    except ValueError:
        raise Corrupt(f"`{folder / FILE}` holds no key", hint="restore it from a backup") from None
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _new() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
