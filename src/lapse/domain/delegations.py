"""Delegations: somebody decides for somebody else, until an end. Out of office, not a way round the rules.

A delegate votes as a person of their own: what they may never decide on (their own requests, and those of whoever they
act for) stays so. Made and ended by `control.delegations`, counted by `domain.approval`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """From `starts_at` up to `ends_at`, `delegate` may decide where `principal` may."""

    id: str
    principal: str
    delegate: str
    starts_at: Instant
    ends_at: Instant
    reason: str
    created_by: str
    created_at: Instant
    ended_early_at: Instant | None = None
    version: int = 0

    def in_force(self, now: datetime) -> bool:
        """Whether it counts at `now`."""
        return self.starts_at <= now < self.ends_at and (self.ended_early_at is None or now < self.ended_early_at)
