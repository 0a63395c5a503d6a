"""Wakes whoever follows orders, and carries what is no state: cancel requests.

Orders follow from the state in the store, which followers look at whenever they are woken, and a few times a second,
so that changes by other processes are seen too. A wake that is missed loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lapse.ports import CancelQuery

MOST_WAITING = 1_000
"""Cancel requests that wait for one gateway; more are dropped, as a network may drop them."""


@dataclass(eq=False)
class Follower:
    """One gateway that follows its orders here."""

    gateway: str
    number: int = 0
    cancels: deque[CancelQuery] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    asked: set[str] = field(default_factory=set)
    """Holds that it asked for here since they were last looked at."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()

    async def woken(self, longest: float) -> None:
        """Return when woken, at the latest after `longest` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), longest)
        self._woken.clear()


class Hub:
    """The followers in this process. All calls are made in one event loop."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    @contextmanager
    def follow(self, gateway: str) -> Iterator[Follower]:
        """Be woken while the body runs."""
        follower = Follower(gateway)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def wake(self) -> None:
        """The store may have changed."""
        for follower in self._followers:
            follower.wake()

    def asked(self, gateway: str, hold_id: str) -> None:
        """`gateway` waits for this hold: however quickly it is decided, the answer is told."""
        for follower in self._followers:
            if follower.gateway == gateway:
                follower.asked.add(hold_id)

    def cancel(self, query: CancelQuery) -> None:
        """Pass a cancel request on to the gateway with its number; with 0, to every one."""
        for follower in self._followers:
            if query.process in {0, follower.number}:
                follower.cancels.append(query)
                follower.wake()
