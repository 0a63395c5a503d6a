"""Gateways: one run of a gateway process, from when to when lapse heard of it. Evidence of what was recorded where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from lapse.domain.times import Instant

PROTOCOL_OF = {"postgresql": "postgresql", "ssh": "ssh"}
"""By a resource's connector, the protocol that gateways speak for it."""

MOST_GATEWAYS = 32_767
"""Numbers of gateway processes begin with 1: a number is a part of the process ids that clients are told."""

BEAT_EVERY = timedelta(seconds=10)
"""How often a gateway says that it is there."""

LONGEST_SILENCE = timedelta(seconds=30)
"""A run with a longer silence is over: from when it was heard of last nobody knows."""

LOST_AFTER = timedelta(minutes=2)
"""After such a silence sessions of a gateway count as lost. Long, since they run on while lapse is not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRun:
    """The gateway process called `name` was up from `first_seen` to `last_seen`, and took sessions of `protocols`.

    `number` tells processes apart that are up at the same time. `over_at` says when lapse learned that the run is over;
    what happened after `last_seen` is not known.
    """

    id: str
    name: str
    number: int
    first_seen: Instant
    last_seen: Instant
    protocols: tuple[str, ...] = ()
    over_at: Instant | None = None
    version: int = 0

    def seen(self, at: Instant) -> GatewayRun:
        """It said that it is there."""
        return replace(self, last_seen=max(at, self.last_seen), version=self.version + 1)

    def over(self, at: Instant) -> GatewayRun:
        """It ended, was replaced by another run, or has been silent for too long."""
        return replace(self, over_at=at, version=self.version + 1)
