"""Targets: how lapse reaches a resource, and what it found there that it did not grant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Connection of a resource. `dsn_ref` is where the DSN is: `env:NAME`, `file:PATH` or `sealed:BASE64`.

    A sealed DSN is encrypted with the installation's key; none is ever stored, logged or shown in the clear.
    """

    resource: str
    connector: str
    dsn_ref: str
    added_at: Instant
    added_by: str


class DriftKind(StrEnum):
    """How a target differs from what is wanted."""

    UNKNOWN_ACCESS = "unknown_access"
    MISSING_ACCESS = "missing_access"
    STANDING = "standing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Access on a target that no grant explains (or a grant without its access). Never adopted as wanted."""

    id: str
    resource: str
    kind: DriftKind
    account: str
    role: str
    first_seen: Instant
    last_seen: Instant
    grant_id: str | None = None
    cleared_at: Instant | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRead:
    """That a target was read, when, and how completely: evidence for the review's population."""

    id: str
    resource: str
    started_at: Instant
    finished_at: Instant
    complete: bool
    accounts: int
    memberships: int
    gaps: tuple[str, ...] = ()
    memberships_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UseSighting:
    """A session of `account` was seen on `resource`: proves use, and nothing about the time in between."""

    id: str
    resource: str
    account: str
    grant_id: str | None
    started_at: Instant
    seen_at: Instant
    source: str
