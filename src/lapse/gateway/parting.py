"""When sessions that are cut together close their targets' connections. Used by every protocol.

The clients are told first. A target whose every session ends in the same moment would leave no processor for that where
it runs beside the gateway, and has better things to do where it does not.
"""

from __future__ import annotations

import asyncio

HEAD_START = 0.15
"""Seconds between the first of them, which parts at once, and the others: clients are told meanwhile."""


class Parting:
    """Turns of sessions that are cut one soon after the other, `pace` seconds apart."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._next = 0.0

    def turn(self) -> float:
        """In how many seconds whoever asks may close the connection to its target."""
        now, at = asyncio.get_running_loop().time(), self._next
        if at <= now:
            self._next = now + HEAD_START
            return 0.0
        self._next = at + self._pace
        return at - now
