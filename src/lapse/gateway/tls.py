"""The gateway's own certificate towards clients: read from files, read again when they change, without a session lost.

TLS 1.2 and later with OpenSSL's modern ciphers only. A certificate that cannot be read leaves the one before in use.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from lapse.domain.errors import InvalidInput

ALPN = ("postgresql",)
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3 all are."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    certificate: x509.Certificate
    stamp: tuple[int, ...]


class ServerTls:
    """The certificate chain in `certificate` (PEM, the server's own first) and its `key`."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both.

        Raises:
            InvalidInput: they are missing, no PEM, or do not belong together.
        """
        self._certificate, self._key = certificate, key
        self._loaded = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake; ask again for every connection."""
        return self._loaded.context

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as `openssl x509 -fingerprint` writes it."""
        return self._loaded.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def end_point(self) -> bytes:
        """Channel binding `tls-server-end-point` (RFC 5929, 4.1); empty where it is not defined for the signature."""
        return end_point_of(self._loaded.certificate)

    def reload(self, *, always: bool = True) -> bool:
        """Read the files again, if they changed or `always`; whether a new certificate is in use.

        Raises:
            InvalidInput: they cannot be used; what was loaded before stays in use.
        """
        if not always and self._stamp() == self._loaded.stamp:
            return False
        self._loaded = self._load()
        return True

    def _load(self) -> _Loaded:
        stamp = self._stamp()
        try:
            context = _context()
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
            own = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise InvalidInput(
                f"the gateway's certificate `{self._certificate}` and key `{self._key}` cannot be used: "
                f"{str(reason).lower()}",
                hint="both are PEM, the server's certificate comes first, the key has no password",
            ) from None
        return _Loaded(context, own, stamp)

    def _stamp(self) -> tuple[int, ...]:
        found: list[int] = []
        for path in (self._certificate, self._key):
            try:
                status = path.stat()
            except OSError:
                continue
            found += (status.st_mtime_ns, status.st_size, status.st_ino)
        return tuple(found)

    @property
    def der(self) -> bytes:
        """The certificate itself."""
        return self._loaded.certificate.public_bytes(Encoding.DER)


def end_point_of(certificate: x509.Certificate) -> bytes:
    """Channel binding `tls-server-end-point` (RFC 5929, 4.1); empty where it is not defined for the signature."""
    used = certificate.signature_hash_algorithm
    if used is None:
        return b""
    weak = isinstance(used, hashes.MD5 | hashes.SHA1)
    return certificate.fingerprint(hashes.SHA256() if weak else used)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(ALPN))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _no_password() -> bytes:
    # Without this OpenSSL would ask for it on the terminal.
    raise ValueError("the key has a password")
