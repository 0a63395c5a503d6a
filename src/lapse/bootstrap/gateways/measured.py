"""A control plane as one process uses it: answers are timed, cancel requests reach the neighbours too.

An operator sees by it when lapse is slow or away. Made by `assembly`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from lapse.domain.credentials import Credential
from lapse.domain.errors import Unavailable
from lapse.domain.holds import Hold
from lapse.domain.recordings import Segment
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.measures import Metrics
from lapse.ports import Admission, Attempt, CancelQuery, ControlPlane, Order

T = TypeVar("T")


class MeasuredPlane:
    """Passes every call on to `plane`, and tells `metrics` how long the answer took.

    `besides` passes cancel requests on to processes that `plane` does not reach.
    """

    def __init__(
        self,
        plane: ControlPlane,
        metrics: Metrics,
        *,
        besides: Callable[[CancelQuery], object] = lambda _query: None,
    ) -> None:
        self._plane, self._metrics, self._besides = plane, metrics, besides

    async def register(self, gateway: str, protocols: Sequence[str] = ()) -> int:
        """See `ports.ControlPlane`."""
        return await self._timed("register", self._plane.register(gateway, protocols))

    async def ssh_user_ca(self) -> str:
        """See `ports.ControlPlane`."""
        return await self._timed("ssh_user_ca", self._plane.ssh_user_ca())

    async def credential(self, login: str, protocol: str) -> Credential | None:
        """See `ports.ControlPlane`."""
        return await self._timed("credential", self._plane.credential(login, protocol))

    async def admit(self, gateway: str, attempt: Attempt) -> Admission:
        """See `ports.ControlPlane`."""
        return await self._timed("admit", self._plane.admit(gateway, attempt))

    async def finish(
        self, session_id: str, reason: SessionEnd, at: datetime, use: SessionUse, *, recorded: bool, by: str = ""
    ) -> None:
        """See `ports.ControlPlane`."""
        await self._timed("finish", self._plane.finish(session_id, reason, at, use, recorded=recorded, by=by))

    async def sealed(self, segment: Segment) -> None:
        """See `ports.ControlPlane`."""
        await self._timed("sealed", self._plane.sealed(segment))

    async def ship(self, place: str, offset: int, data: bytes) -> None:
        """See `ports.ControlPlane`."""
        await self._timed("ship", self._plane.ship(place, offset, data))

    async def hold(self, session_id: str, statement: str, why: str) -> Hold:
        """See `ports.ControlPlane`."""
        return await self._timed("hold", self._plane.hold(session_id, statement, why))

    async def drop(self, hold_id: str) -> None:
        """See `ports.ControlPlane`."""
        await self._timed("drop", self._plane.drop(hold_id))

    async def cancel_elsewhere(self, process: int, key: bytes) -> None:
        """See `ports.ControlPlane`."""
        self._besides(CancelQuery(process=process, key=key))
        await self._timed("cancel_elsewhere", self._plane.cancel_elsewhere(process, key))

    def orders(self, gateway: str) -> AsyncIterator[Order]:
        """See `ports.ControlPlane`."""
        return self._plane.orders(gateway)

    async def _timed(self, call: str, asked: Awaitable[T]) -> T:
        began, failed = time.perf_counter(), False
        try:
            return await asked
        except Unavailable:
            failed = True
            raise
        finally:
            self._metrics.asked(call, time.perf_counter() - began, failed=failed)
