"""A certificate authority for TLS clients: ECDSA P-256, one level, for short-lived certificates of one grant each.

A target trusts its certificate (for PostgreSQL: `ssl_ca_file`) and takes the common name as the login. Used by the
authority.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from lapse.domain.errors import Corrupt, InvalidInput, Refused
from lapse.domain.names import shown

LIFE = timedelta(days=20 * 365)
"""How long the CA's own certificate is valid."""

_SKEW = timedelta(minutes=1)
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lapse client CA")])
_LONGEST_NAME = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True)
class ClientCa:
    """The key with its certificate. `now` is asked when something is signed."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    _certificate: x509.Certificate
    _now: Callable[[], datetime] = field(repr=False)

    @classmethod
    def new(cls, at: datetime) -> ClientCa:
        """A fresh key and its self-signed certificate, valid from `at` (less a minute) for `LIFE`."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(_NAME, key.public_key(), at, at + LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usages, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate, lambda: at)

    @classmethod
    def read(cls, pem: bytes, path: Path, now: Callable[[], datetime]) -> ClientCa:
        """The CA in a file's content; `Corrupt` if it holds none, or a certificate of another key."""
        try:
            key = load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
            fits = _spki(key.public_key()) == _spki(certificate.public_key())
        except (ValueError, TypeError):
            key, fits = None, False
        if not fits or not isinstance(key, ec.EllipticCurvePrivateKey):
            raise Corrupt(f"`{path}` holds no client CA", hint="restore it from a backup")
        return cls(key, certificate, now)

    @property
    def certificate(self) -> str:
        """The CA's certificate as PEM."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    @property
    def pem(self) -> bytes:
        """Key and certificate, as they are kept."""
        return _private_pem(self._key) + self._certificate.public_bytes(Encoding.PEM)

    def sign(self, common_name: str, not_after: datetime) -> tuple[str, str]:
        """A client certificate and its fresh key; see `ports.Authority.sign_tls`."""
        if not 0 < len(common_name) <= _LONGEST_NAME or not common_name.isprintable():
            raise InvalidInput(f"`{shown(common_name)}` does not fit into a TLS certificate (64 characters at most)")
        # X.509 counts the whole last second as valid (RFC 5280, 4.1.2.5): one less, so that none outlives `not_after`.
        now, end = self._now(), not_after.replace(microsecond=0) - timedelta(seconds=1)
        if not now < end <= self._certificate.not_valid_after_utc:
            raise Refused("a TLS certificate must end in the future, and before its authority's own certificate")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        certificate = (
            _builder(name, key.public_key(), now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode(), _private_pem(key).decode()


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _SKEW)
        .not_valid_after(end)
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _spki(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
