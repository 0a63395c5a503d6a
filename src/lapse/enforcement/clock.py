"""The system's clock, made safe for deadlines: it never goes backwards within a process.

Setting the wall clock back does not lengthen a grant: elapsed time is then counted by the monotonic clock. Setting
it forward ends grants earlier, and is noticed within a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_LONGEST_NAP = 1.0
"""Seconds between looks at the wall clock, which may be set at any time."""


class SystemClock:
    """The later of the wall clock and what the monotonic clock says since the latest reading."""

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._latest, self._latest_at = wall(), monotonic()

    def now(self) -> datetime:
        """Aware UTC; never earlier than an earlier answer plus the time that really passed."""
        # The wall clock is read first: if this process is held up in between, the answer is never ahead of the time.
        wall, elapsed = self._wall(), self._monotonic()
        expected = self._latest + timedelta(seconds=elapsed - self._latest_at)
        self._latest, self._latest_at = max(wall, expected), elapsed
        return self._latest

    async def wait_until(self, at: datetime) -> None:
        """Return when `now() >= at`."""
        while (left := (at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  setting the clock is no event
            await asyncio.sleep(min(left, _LONGEST_NAP))
