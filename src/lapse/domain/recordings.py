"""Segments of recordings: what the ledger and the store know of a piece of one session's recording."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Piece `number` (from 0) of a session's recording, sealed: nothing is appended to it any more.

    `sha256` (hex) is over the encrypted file, `place` its name in the blob store, `frames` how many events it holds,
    from `first_at` to `last_at`. `torn`: its gateway died before sealing it; what had been written was kept.
    It may be removed at `keep_until`; `removed_at` says that it was, and the hash stays.
    """

    id: str
    session_id: str
    resource: str
    number: int
    sha256: str
    bytes: int
    frames: int
    first_at: Instant
    last_at: Instant
    sealed_at: Instant
    place: str
    keep_until: Instant
    last: bool = False
    torn: bool = False
    removed_at: Instant | None = None
    version: int = 0
