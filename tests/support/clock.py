"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday morning."""


class HandClock:
    """Implements `ports.Clock`; time passes only through `advance` and `set`."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        return self._now

    async def wait_until(self, at: datetime) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= at)

    async def advance(self, by: timedelta) -> None:
        async with self._moved:
            self._now += by
            self._moved.notify_all()
