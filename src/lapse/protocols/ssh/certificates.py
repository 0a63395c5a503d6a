"""OpenSSH user certificates (PROTOCOL.certkeys), made and read.

What is guaranteed of every certificate that `sign` gives out: it was read back from its own text, carries the CA's
signature, and says what its order says and nothing else. Used by the authority, which holds the key, and by whoever
reads certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
)

from lapse.domain.errors import Corrupt, InvalidInput, Refused
from lapse.domain.times import Instant
from lapse.protocols.ssh.keys import one_line, public_text, read_public_key
from lapse.protocols.ssh.orders import CLOCK_SKEW, ORDER_CHECKS, SshCertificateOrder, whole_second

LONGEST_CERTIFICATE = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCertificate:
    """A user certificate as it was read back. Keys are OpenSSH's text without comment."""

    public_key: str
    ca: str
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: Instant
    valid_before: Instant
    critical_options: Mapping[str, str]
    extensions: tuple[str, ...]

    def valid(self, at: datetime) -> bool:
        """Whether OpenSSH takes it at `at`: from `valid_after` on, and no more at `valid_before`."""
        return self.valid_after <= at < self.valid_before


def sign(key: Ed25519PrivateKey, wanted: SshCertificateOrder) -> str:
    """The certificate for an order, in OpenSSH's text without comment, after it was read back and checked.

    Raises:
        InvalidInput: the order's public key is none, or of a kind that is not taken.
        Refused: the order says something that no certificate of lapse may say.
    """
    public = read_public_key(wanted.public_key)
    for acceptable in ORDER_CHECKS:
        acceptable(wanted)
    builder = (
        SSHCertificateBuilder()
        .public_key(public)
        .serial(wanted.serial)
        .type(SSHCertificateType.USER)
        .key_id(wanted.key_id.encode())
        .valid_principals([name.encode() for name in wanted.principals])
        .valid_after(int(wanted.valid_after.timestamp()))
        .valid_before(int(wanted.valid_before.timestamp()))
    )
    for name in sorted(wanted.critical_options):
        builder = builder.add_critical_option(name.encode(), wanted.critical_options[name].encode())
    for name in sorted(wanted.extensions):
        builder = builder.add_extension(name.encode(), b"")
    text = builder.sign(key).public_bytes().decode()
    check_certificate(read_certificate(text), wanted, public_text(key.public_key()))
    return text


def check_certificate(finished: ReadCertificate, wanted: SshCertificateOrder, ca: str) -> None:
    """Raise `Refused` unless the finished certificate says exactly what the order says, signed by `ca`."""
    for agrees in CERTIFICATE_CHECKS:
        if not agrees(finished, wanted):
            raise Refused(
                f"the certificate that was made is not the one that was ordered: its {agrees.__name__[6:]} differs"
            )
    if finished.ca != ca:
        raise Refused("the certificate that was made carries another authority's signature")


def check_within(finished: ReadCertificate, now: datetime, deadline: datetime) -> None:
    """Raise `Refused` unless the certificate lives inside its grant: it starts about now and ends by `deadline`."""
    if finished.valid_before > deadline:
        raise Refused("the certificate would outlive its grant")
    if finished.valid_before <= now:
        raise Refused("the grant ends within this second", hint="ask for more time")
    if finished.valid_after < whole_second(now - CLOCK_SKEW):
        raise Refused("the certificate would be valid before it was asked for")


def read_certificate(text: str) -> ReadCertificate:
    """A user certificate, with its signature verified.

    Raises:
        InvalidInput: the text is no certificate, or a host's.
        Corrupt: its signature is not its CA's.
    """
    found = _loaded(text)
    try:
        found.verify_cert_signature()
    except InvalidSignature:
        raise Corrupt("the certificate's signature does not fit its content") from None
    return ReadCertificate(
        public_key=public_text(found.public_key()),
        ca=public_text(found.signature_key()),
        serial=found.serial,
        key_id=_utf8(found.key_id),
        principals=tuple(_utf8(name) for name in found.valid_principals),
        valid_after=_instant(found.valid_after),
        valid_before=_instant(found.valid_before),
        critical_options={_utf8(name): _utf8(value) for name, value in found.critical_options.items()},
        extensions=tuple(_utf8(name) for name in found.extensions),
    )


def _loaded(text: str) -> SSHCertificate:
    try:
        found = load_ssh_public_identity(one_line(text, LONGEST_CERTIFICATE))
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidInput("what was given is not an OpenSSH certificate") from None
    if not isinstance(found, SSHCertificate):
        raise InvalidInput("what was given is a public key without a certificate")
    if found.type is not SSHCertificateType.USER:
        raise InvalidInput("what was given is a host's certificate")
    return found


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("the certificate holds text that is not UTF-8") from None


def _instant(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput("the certificate has no end") from None


def _same_key(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    return finished.public_key == public_text(read_public_key(wanted.public_key))


def _same_serial(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    return (finished.serial, finished.key_id) == (wanted.serial, wanted.key_id)


def _same_principals(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    return finished.principals == wanted.principals


def _same_validity(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    window = whole_second(wanted.valid_after), whole_second(wanted.valid_before)
    return (finished.valid_after, finished.valid_before) == window


def _same_options(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    return finished.critical_options == dict(wanted.critical_options)


def _same_extensions(finished: ReadCertificate, wanted: SshCertificateOrder) -> bool:
    return finished.extensions == tuple(sorted(wanted.extensions))


CERTIFICATE_CHECKS = (_same_key, _same_serial, _same_principals, _same_validity, _same_options, _same_extensions)
"""What a finished certificate is compared for, one thing each."""
