"""Between a gateway and lapse: what a gateway asks, in the same process or over the network, and what it is told.

A gateway holds no rules and no store. It proves who is at the door, asks `ControlPlane` whether there is a session in
it, holds the deadline by itself from then on, and cuts when it is told to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lapse.domain.credentials import Credential
from lapse.domain.guards import GatewayRules, Guard
from lapse.domain.holds import Hold
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionEnd, SessionUse
from lapse.protocols.ssh.orders import SshCertificateOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How to log in on the target as one grant's account. Its secrets live in memory only and never reach a client.

    `parameters` are the connector's own: for `postgresql` libpq's words (`dbname`, `sslmode`, `sslrootcert`, …), for
    `ssh` `host_keys`, one public key a line. `certificate` and `private_key` are PEM (TLS) or OpenSSH's text.
    """

    host: str
    port: int
    user: str
    secret: str = field(default="", repr=False)
    certificate: str = ""
    private_key: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Somebody proved to hold `credential_id` and wants a session.

    `session_id` is chosen by the gateway, so that an answer that was lost leaves no session open that it cannot
    name; empty: lapse chooses. Protocols leave it to the door.
    `public_key` is of the gateway's fresh key for this session, where the target takes certificates (OpenSSH's text).
    """

    credential_id: str
    protocol: str
    client: str
    program: str = ""
    place: str = ""
    public_key: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The proof that a session may be: without this value no gateway opens anything on a target.

    `session` is on record as open, `native` is the entitlement's. `recording_key` are 32 bytes for this session's
    recording: lapse derives them again from the session's id, and the gateway forgets them with the session.
    """

    session: Session
    native: Mapping[str, str]
    guard: Guard
    rules: GatewayRules
    upstream: Upstream
    recording_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """End this session now."""

    session_id: str
    reason: SessionEnd
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelQuery:
    """A client asked another gateway process to cancel what this one's session may run.

    `key` is what the client showed, and may be nobody's; `process` is 0 where the other did not know whose it is.
    """

    process: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A hold was decided, or expired."""

    hold: Hold


Order = Cut | CancelQuery | Decided
"""What a gateway is told."""


class ControlPlane(Protocol):
    """What a gateway asks of lapse. Every refusal raises a `LapseError`; `Unavailable` means that lapse is not reached.

    Implementations: in the process of the server, and over HTTP. Both pass `tests/contract/test_control_plane.py`.
    """

    async def register(self, gateway: str, protocols: Sequence[str] = ()) -> int:
        """The number (1 to 32,767) of the gateway process called `gateway`; its sessions of before are `lost`.

        From now on it takes sessions of `protocols`; of all, if it names none.
        """
        ...

    async def ssh_user_ca(self) -> str:
        """The public key, in OpenSSH's text, of the CA whose user certificates SSH gateways take; it never changes."""
        ...

    async def credential(self, login: str, protocol: str) -> Credential | None:
        """The live credential behind a login name (for a certificate: its serial number); None if there is none.

        A caller must treat None like a wrong password, in the same time.
        """
        ...

    async def admit(self, gateway: str, attempt: Attempt) -> Admission:
        """Open a session, on record before this returns.

        Raises:
            Refused: the grant is not active, a lock is in force, a limit is reached, the credential is spent, …
            Conflict: there is a session with this id already.
            Unavailable: it may be on record all the same: whoever chose its id must `finish` it.
        """
        ...

    async def finish(
        self, session_id: str, reason: SessionEnd, at: datetime, use: SessionUse, *, recorded: bool, by: str = ""
    ) -> None:
        """Record a session's end; saying it twice changes nothing, and neither does one that never was.

        Of a session that was `lost` meanwhile the true end is recorded.
        """
        ...

    async def sealed(self, segment: Segment) -> None:
        """Record a segment's hash; saying it twice changes nothing."""
        ...

    async def ship(self, place: str, offset: int, data: bytes) -> None:
        """Append to a recording's piece in lapse's blob store (`offset`: how much it has already); idempotent."""
        ...

    async def hold(self, session_id: str, statement: str, why: str) -> Hold:
        """Ask the approvers about one statement; the answer comes as an order."""
        ...

    async def drop(self, hold_id: str) -> None:
        """Nobody waits for this hold any more."""
        ...

    async def cancel_elsewhere(self, process: int, key: bytes) -> None:
        """Pass a cancel request on to the gateway process with this number; 0: to every other that is there."""
        ...

    def orders(self, gateway: str) -> AsyncIterator[Order]:
        """What this gateway is to do, as it comes; the first are cuts for what ended while nobody listened.

        Cuts name sessions that are `lost` on record too, since they may run on there; and they are told again until
        the session is over.

        Raises:
            Unavailable: the connection is gone; call again.
        """
        ...


class Authority(Protocol):
    """Signs short-lived credentials and derives secrets that lapse can derive again instead of keeping them.

    Implementations pass `tests/contract/test_authority.py`.
    """

    @property
    def ssh_public_key(self) -> str:
        """The user CA's public key in OpenSSH's text."""
        ...

    @property
    def tls_certificate(self) -> str:
        """The client CA's certificate as PEM, for a target to trust."""
        ...

    def sign_ssh(self, order: SshCertificateOrder) -> str:
        """An OpenSSH user certificate in text, read back and compared with its order after it was made.

        Raises:
            InvalidInput: the order's public key is none, or too weak.
            Refused: the order is for everybody, for no time, or has an option that lapse does not know.
        """
        ...

    def sign_tls(self, common_name: str, not_after: datetime) -> tuple[str, str]:
        """A client certificate and its fresh private key, both PEM; at `not_after` it is expired.

        Raises:
            InvalidInput: `common_name` does not fit a certificate (64 characters).
            Refused: `not_after` is past, or after the CA's own end.
        """
        ...

    def derive(self, purpose: str, subject: str) -> bytes:
        """32 bytes that only this installation can derive for `purpose` and `subject` (HKDF, RFC 5869)."""
        ...


class Blobs(Protocol):
    """Where recordings are kept: a directory, or an object store. Names are `a/b/c`, checked by the caller."""

    async def append(self, name: str, offset: int, data: bytes) -> None:
        """Append durably; a repeated call with the same offset changes nothing.

        Raises:
            Conflict: the blob is shorter than `offset`, or holds other bytes there.
        """
        ...

    async def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of a blob; `NotFound` if there is none."""
        ...

    async def remove(self, name: str) -> None:
        """Remove it; one that is not there is removed already."""
        ...
