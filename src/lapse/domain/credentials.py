"""Credentials for the gateway: one grant's, valid until its deadline, kept only in the form that checks them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.times import Instant


class CredentialKind(StrEnum):
    """What its holder shows.

    `scram`: a password, kept as a SCRAM-SHA-256 verifier in PostgreSQL's spelling (RFC 5803). `token`: a random
    text, kept as its SHA-256. `certificate`: an OpenSSH user certificate, known by its serial number.
    """

    SCRAM = "scram"
    TOKEN = "token"  # noqa: S105  the name of a kind
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Opens sessions of `grant_id` at the gateway until `expires_at`, which is the grant's deadline.

    `login` is what its holder gives as user name; no two live credentials share one. `verifier` never allows to log
    in by itself. A `single_use` one is spent with `used_at`. `granted_to` is the grant's beneficiary. A `direct` one
    is a certificate for the host itself, which the gateway does not take.
    """

    id: str
    grant_id: str
    resource: str
    granted_to: str
    kind: CredentialKind
    login: str
    verifier: str = field(repr=False)
    created_at: Instant
    expires_at: Instant
    single_use: bool = False
    used_at: Instant | None = None
    revoked_at: Instant | None = None
    direct: bool = False
    version: int = 0

    def usable(self, at: Instant) -> bool:
        """Whether it opens a session at `at`; whether its grant still lives is another question."""
        return self.revoked_at is None and at < self.expires_at and not (self.single_use and self.used_at)
