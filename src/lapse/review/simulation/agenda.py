"""What will happen when: things are done in the order of their times, those of one time in the order of planning.

Pure. Called by `run`, which lets time pass, and by everything that plans something.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

Action = Callable[[], None]


@dataclass(slots=True)
class Agenda:
    """Time, and what is planned. `now` is the time of what is being done."""

    now: datetime
    _heap: list[tuple[datetime, int, Action]] = field(default_factory=list)
    _count: int = 0

    def at(self, when: datetime, action: Action) -> None:
        """Do `action` at `when`; what lies in the past is done next."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, action))

    def run_until(self, end: datetime) -> None:
        """Do everything that is planned before `end`, also what is planned meanwhile."""
        while self._heap and self._heap[0][0] < end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = end
