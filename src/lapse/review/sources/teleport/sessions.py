"""Sessions of Teleport, put together from the events at their beginning and end, in any order.

Guarantee: memory is bounded, however many sessions the log has; a session whose beginning no event shows is counted,
never made up. Called by the kind of source `teleport`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from lapse.review.sources.notes import Notes
from lapse.review.sources.spill import Spill
from lapse.review.sources.teleport.events import Event, moment
from lapse.review.sources.teleport.places import Place


class Session(msgspec.Struct):
    """What is known of one session so far."""

    sid: str
    place: Place
    who: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    address: str | None = None
    device: str | None = None
    grant_id: str | None = None
    recorded: bool | None = None


class Sessions:
    """All sessions of one log."""

    def __init__(self, spill: Spill[Session], notes: Notes) -> None:
        self._spill, self._notes = spill, notes

    def take(self, event: Event, place: Place, at: datetime, more: dict[str, str | None]) -> None:
        """An event of a session; `more` has the address and the device it came from."""
        session = self._spill.get(event.sid) or self._spill.put(event.sid, Session(event.sid, place, event.who))
        if event.event == "session.upload":
            session.recorded = True
            return
        if place.protocol and (not session.place.protocol or event.event.endswith(".start")):
            session.place = place
        session.who = session.who or event.who
        session.address, session.device = session.address or more["address"], session.device or more["device"]
        grants = event.access_requests or []
        session.grant_id = session.grant_id or (grants[0] if len(grants) == 1 else None)
        self._times(session, event, at)

    @staticmethod
    def _times(session: Session, event: Event, at: datetime) -> None:
        started = at if event.event.endswith(".start") else moment(event.session_start)
        if started is not None:
            session.started_at = min(started, session.started_at or started)
        if event.event.endswith(".end"):
            ended = moment(event.session_stop) or at
            session.ended_at = max(ended, session.ended_at or ended)

    def rows(self) -> Iterator[tuple[Session, dict[str, Any]]]:
        """Each session whose beginning is known, and its row of `sessions` without resource, people and source."""
        for session in self._spill.values():
            if session.started_at is None or not session.place.account:
                what = "sessions whose beginning is not in the log"
                self._notes.add("sessions", what, session.sid)
                continue
            row = {
                "session_id": session.sid,
                "account": session.place.account,
                "started_at": session.started_at,
                "ended_at": session.ended_at,
                "grant_id": session.grant_id,
                "protocol": session.place.protocol or None,
                "address": session.address,
                "device": session.device,
                "recorded": session.recorded,
            }
            yield session, row
