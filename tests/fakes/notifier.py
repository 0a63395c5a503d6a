"""A way to tell people that keeps what it was given. It passes the contract suite of `ports.Notifier`.

`failing` is what the next sends raise, one each; with `although_delivered` the notice arrives nevertheless.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.notices import Notice, Places, Posting


@dataclass
class FakeNotifier:
    name: str = "fake"
    delivered: list[tuple[str, Posting]] = field(default_factory=list)
    failing: deque[LapseError] = field(default_factory=deque)
    although_delivered: bool = False
    missing: frozenset[str] = frozenset()

    def places(self, notice: Notice, catalog: Catalog) -> Places:
        there = [name for name in notice.to if name not in self.missing]
        absent = tuple(name for name in notice.to if name in self.missing)
        return Places(reached=tuple(f"{self.name}:{name}" for name in there), missing=absent)

    async def send(self, posting: Posting, place: str) -> None:
        error = self.failing.popleft() if self.failing else None
        if error is None or self.although_delivered:
            self.delivered.append((place, posting))
        if error is not None:
            raise error
