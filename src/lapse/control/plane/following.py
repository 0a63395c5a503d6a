"""What one gateway is to be told, found by looking at the store. Called by `LocalPlane.orders`.

Nothing that was said is relied on: a cut is told again until the session is over on record, because a gateway that was
just admitting the session could not cut it yet; and an answer to a held statement is told by whichever server the
gateway follows, whatever server was asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.control.plane.hub import Follower
from lapse.control.sessions import cuts_for, cuts_of_lost
from lapse.domain.holds import Hold, HoldState
from lapse.domain.sessions import Session, SessionState
from lapse.ports import Cut, Decided, Order, Page, Reader

TELL_AGAIN = timedelta(seconds=1)
"""How long a cut may take before it is told again."""

_MOST_HOLDS = 1_000
_LATEST_HOLDS = 200


class Following:
    """The orders of one gateway, as they come to be due."""

    def __init__(self, control: Control, follower: Follower) -> None:
        self._control, self._follower = control, follower
        self._told: dict[str, datetime] = {}
        self._waiting: set[str] = set()
        self._others: set[str] = set()
        """Holds that wait: those of this gateway, and those of others."""

    async def first(self) -> list[Order]:
        """What is due when it begins to follow, or is back after a silence."""
        return await self._control.store.read(self._first)

    async def due(self) -> list[Order]:
        """What is due now."""
        waiting = self._follower.cancels
        cancels: list[Order] = [waiting.popleft() for _ in range(len(waiting))]
        return [*cancels, *await self._control.store.read(self._due)]

    async def _first(self, reader: Reader) -> list[Order]:
        lost = await cuts_of_lost(reader, self._follower.gateway, self._control.now())
        latest = await reader.holds(Page(limit=_LATEST_HOLDS))
        mine = await self._mine(reader, [hold for hold in latest if hold.state is not HoldState.WAITING])
        return [*lost, *_decided(mine)]

    async def _due(self, reader: Reader) -> list[Order]:
        return [*await self._cuts(reader), *await self._answers(reader)]

    async def _cuts(self, reader: Reader) -> list[Cut]:
        cuts, now = await cuts_for(reader, self._follower.gateway), self._control.now()
        fresh = [cut for cut in cuts if now - self._told.get(cut.session_id, now - TELL_AGAIN) >= TELL_AGAIN]
        known = {cut.session_id: self._told.get(cut.session_id, now) for cut in cuts}
        self._told = known | {cut.session_id: now for cut in fresh}
        return fresh

    async def _answers(self, reader: Reader) -> list[Decided]:
        """Answers to what waited when this was last looked at, or was asked here since."""
        waiting = await reader.holds(Page(limit=_MOST_HOLDS), states=[HoldState.WAITING])
        self._others.intersection_update(hold.id for hold in waiting)
        unknown = [hold for hold in waiting if hold.id not in self._waiting | self._others]
        mine = {hold.id for hold in await self._mine(reader, unknown)}
        self._others.update(hold.id for hold in unknown if hold.id not in mine)
        self._waiting |= mine | self._follower.asked
        self._follower.asked.clear()
        gone = self._waiting - {hold.id for hold in waiting}
        over = [hold for hold_id in sorted(gone) if (hold := await reader.hold(hold_id)).state is not HoldState.WAITING]
        self._waiting.difference_update(hold.id for hold in over)
        return _decided(over)

    async def _mine(self, reader: Reader, holds: list[Hold]) -> list[Hold]:
        """Those of `holds` whose sessions this gateway has open."""
        if not holds:
            return []
        sessions = {one.id: one for one in await reader.sessions_by_id({hold.session_id for hold in holds})}
        return [hold for hold in holds if self._has(sessions.get(hold.session_id))]

    def _has(self, session: Session | None) -> bool:
        return session is not None and session.gateway == self._follower.gateway and session.state is SessionState.OPEN


def _decided(holds: list[Hold]) -> list[Decided]:
    """For those that nobody waits for any more there is nothing to tell."""
    return [Decided(hold=hold) for hold in holds if hold.state is not HoldState.DROPPED]
