"""Time, the installation's signing key, and a slice of a listing: what every use case needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time. `now` never goes backwards within a process, however the wall clock is set."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    async def wait_until(self, at: datetime) -> None:
        """Return when `now() >= at`; wakes for forward jumps of the wall clock within a second."""
        ...


class Signer(Protocol):
    """Holds the installation's Ed25519 key."""

    @property
    def name(self) -> str:
        """The origin of checkpoints, e.g. `lapse.example.com/ledger`."""
        ...

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64-byte Ed25519 signature (RFC 8032)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A slice of a listing: at most `limit` rows after the row whose id is `after` (None: from the start)."""

    limit: int = 100
    after: str | None = None
    newest_first: bool = True
