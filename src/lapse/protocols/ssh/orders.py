"""What is to stand in a user certificate: an order is built by small modifiers and judged by separate checks.

An order that names no principal, no time or an option that lapse does not know is refused: in OpenSSH's format an empty
list of principals means everybody. Used by whoever asks the authority for a certificate, and by `certificates.sign`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from lapse.domain.errors import Refused
from lapse.domain.names import shown
from lapse.domain.times import Instant

EXTENSIONS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty")
"""The extensions that lapse gives out. `permit-user-rc` is not among them: no file of the account runs beside it."""

CRITICAL_OPTIONS = ("force-command", "source-address")
"""The critical options of OpenSSH that lapse gives out."""

CLOCK_SKEW = timedelta(minutes=1)
"""How much a host's clock may be behind before a fresh certificate is `not yet valid` there."""

_LONGEST_TEXT, _LONGEST_COMMAND = 256, 1_024
_MOST_PRINCIPALS = 256  # SSHKEY_CERT_MAX_PRINCIPALS
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshCertificateOrder:
    """What is to stand in a user certificate. `serial` is unique; it is what a revocation list names."""

    public_key: str
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: Instant
    valid_before: Instant
    critical_options: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()


Modifier = Callable[[SshCertificateOrder], SshCertificateOrder]
"""One step of building an order."""


def order(public_key: str, serial: int, key_id: str, *modifiers: Modifier) -> SshCertificateOrder:
    """An order that permits nothing, for nobody, at no time, and then what the modifiers say."""
    empty = SshCertificateOrder(
        public_key=public_key,
        serial=serial,
        key_id=key_id,
        principals=(),
        valid_after=_NEVER,
        valid_before=_NEVER,
    )
    return reduce(lambda so_far, modify: modify(so_far), modifiers, empty)


def valid_between(now: datetime, deadline: datetime) -> Modifier:
    """Valid from `now` (less the skew of clocks) to the last whole second that does not outlive `deadline`."""
    start, end = whole_second(now - CLOCK_SKEW), whole_second(deadline)
    return lambda so_far: replace(so_far, valid_after=start, valid_before=end)


def for_principals(*principals: str) -> Modifier:
    """Names that a host must know for the account that is logged in to."""
    return lambda so_far: replace(so_far, principals=(*so_far.principals, *principals))


def permitting(*extensions: str) -> Modifier:
    """What a host allows beside running commands; see `EXTENSIONS`."""
    return lambda so_far: replace(so_far, extensions=tuple(sorted({*so_far.extensions, *extensions})))


def from_addresses(addresses: str) -> Modifier:
    """Only from these addresses: CIDR blocks with commas between them. Empty changes nothing."""
    return _option("source-address", addresses)


def forced(command: str) -> Modifier:
    """Whatever is asked for, `command` runs instead. Empty changes nothing."""
    return _option("force-command", command)


def _option(name: str, value: str) -> Modifier:
    if not value:
        return lambda so_far: so_far
    return lambda so_far: replace(so_far, critical_options={**so_far.critical_options, name: value})


def whole_second(at: datetime) -> datetime:
    """The last whole second that is not after `at`: certificates know no fractions."""
    return at.replace(microsecond=0)


def _printable(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()


def _check_serial(wanted: SshCertificateOrder) -> None:
    if not 0 < wanted.serial < 2**64:
        raise Refused("a certificate needs a serial number: without one it could not be revoked")


def _check_names(wanted: SshCertificateOrder) -> None:
    if not wanted.principals or len(wanted.principals) > _MOST_PRINCIPALS:
        raise Refused("a certificate must name whom it is for: without principals it is for everybody")
    # A comma separates names where hosts list them; a certificate has no way to quote it.
    bad = [n for n in (*wanted.principals, wanted.key_id) if not _printable(n, _LONGEST_TEXT) or "," in n]
    if bad:
        raise Refused(f"`{shown(bad[0])}` cannot stand in a certificate")


def _check_window(wanted: SshCertificateOrder) -> None:
    if not _NEVER < wanted.valid_after < wanted.valid_before:
        raise Refused("a certificate must have a time in which it is valid")


def _check_options(wanted: SshCertificateOrder) -> None:
    unknown = {*wanted.critical_options} - {*CRITICAL_OPTIONS} | {*wanted.extensions} - {*EXTENSIONS}
    if unknown:
        raise Refused(f"`{shown(min(unknown))}` is not an option that lapse puts into certificates")
    if not all(_printable(value, _LONGEST_COMMAND) for value in wanted.critical_options.values()):
        raise Refused("an option's value cannot stand in a certificate")


ORDER_CHECKS = (_check_serial, _check_names, _check_window, _check_options)
"""What every order must pass; each raises `Refused`."""
