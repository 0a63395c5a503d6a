"""Connections that have not proved who they are: how many there are of each address, and who makes room for whom."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from lapse.gateway.context import Limits

Task = asyncio.Task[Any]


class Strangers:
    """Counts tasks of strangers by address. At the bound for all, the oldest of the busiest address is cancelled."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_host: dict[str, OrderedDict[Task, None]] = {}
        self._host_of: dict[Task, str] = {}

    def __len__(self) -> int:
        return len(self._host_of)

    def __contains__(self, task: object) -> bool:
        return task in self._host_of

    def room_for(self, host: str) -> bool:
        """Whether another one from `host` may come; somebody may be sent away for it."""
        if len(self._by_host.get(host, ())) >= self._limits.unauthenticated_per_address:
            return False
        if len(self) >= self._limits.unauthenticated:
            self._make_room()
        return True

    def add(self, host: str, task: Task) -> None:
        """`task` serves a stranger from `host`."""
        self._by_host.setdefault(host, OrderedDict())[task] = None
        self._host_of[task] = host

    def discard(self, task: Task) -> None:
        """It is none any more."""
        host = self._host_of.pop(task, None)
        if host is None:
            return
        of_host = self._by_host[host]
        del of_host[task]
        if not of_host:
            del self._by_host[host]

    def _make_room(self) -> None:
        busiest = max(self._by_host.values(), key=len)
        oldest = next(iter(busiest))
        self.discard(oldest)
        oldest.cancel()
