"""The authority of one installation, with its keys in files beside the others: `ports.Authority`.

`ssh_ca` is an Ed25519 key in OpenSSH's format: it signs user certificates. `tls_ca.pem` is an ECDSA P-256 key with its
self-signed certificate: it signs client certificates for targets. Derived secrets come from the sealing key. The keys
are as valuable as every target that trusts them; how the files are kept says `keyfiles`. Used by `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from lapse.domain.errors import Corrupt
from lapse.protocols.ssh.certificates import sign
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.orders import SshCertificateOrder
from lapse.storage.client_ca import ClientCa
from lapse.storage.keyfiles import key_folder, read_or_make

SSH_CA_FILE, TLS_CA_FILE = "ssh_ca", "tls_ca.pem"


class FileAuthority:
    """A `ports.Authority` whose keys came from files."""

    def __init__(self, ssh: Ed25519PrivateKey, tls: ClientCa, derive: Callable[[str, str], bytes]) -> None:
        self._ssh, self._tls, self._derive = ssh, tls, derive

    @classmethod
    def open(cls, folder: Path, derive: Callable[[str, str], bytes], now: Callable[[], datetime]) -> FileAuthority:
        """The authority whose keys are in `folder`, made there if it has none.

        Raises:
            Refused: a key file may be read by others, or belongs to somebody else.
            Corrupt: a key file holds no such key.
            Unavailable: the folder cannot be read or written.
        """
        with key_folder(folder):
            ssh = read_or_make(folder / SSH_CA_FILE, _new_ssh_key)
            tls = read_or_make(folder / TLS_CA_FILE, lambda: ClientCa.new(now()).pem)
        return cls(_ssh_key(ssh, folder / SSH_CA_FILE), ClientCa.read(tls, folder / TLS_CA_FILE, now), derive)

    @property
    def ssh_public_key(self) -> str:
        """The user CA's public key in OpenSSH's text."""
        return public_text(self._ssh.public_key())

    @property
    def tls_certificate(self) -> str:
        """The client CA's certificate as PEM."""
        return self._tls.certificate

    def sign_ssh(self, order: SshCertificateOrder) -> str:
        """See `ports.Authority`."""
        return sign(self._ssh, order)

    def sign_tls(self, common_name: str, not_after: datetime) -> tuple[str, str]:
        """See `ports.Authority`."""
        return self._tls.sign(common_name, not_after)

    def derive(self, purpose: str, subject: str) -> bytes:
        """See `ports.Authority`."""
        return self._derive(purpose, subject)


def _new_ssh_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _ssh_key(text: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        key = load_ssh_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Corrupt(f"`{path}` holds no Ed25519 key in OpenSSH's format", hint="restore it from a backup")
    return key
