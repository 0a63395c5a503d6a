"""Rotas in memory, for unit tests. They pass the contract suite of `ports.Rotas`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lapse.domain.errors import NotFound, Unavailable


class FakeRotas:
    """Shifts by hand: `add` one; in between nobody is on call. A rota named in `down` does not answer."""

    def __init__(self) -> None:
        self._shifts: dict[str, list[tuple[datetime, datetime, frozenset[str]]]] = {}
        self.down: set[str] = set()

    def add(self, rota: str, begins: datetime, ends: datetime, who: Iterable[str]) -> None:
        self._shifts.setdefault(rota, []).append((begins, ends, frozenset(who)))

    async def on_call(self, rota: str, at: datetime) -> frozenset[str]:
        if rota in self.down:
            raise Unavailable(f"the rota `{rota}` cannot be read")
        if rota not in self._shifts:
            raise NotFound(f"there is no rota `{rota}`")
        return frozenset[str]().union(*(who for begins, ends, who in self._shifts[rota] if begins <= at < ends))
