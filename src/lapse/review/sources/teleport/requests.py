"""Access requests of Teleport and the votes on them, put together from their events in any order.

Guarantee: memory is bounded; the state of a request is that of the latest decision on it; a request whose making no
event shows is counted, and votes on it are evidence all the same. Called by the kind of source `teleport`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from lapse.review.sources.event_logs import tidy
from lapse.review.sources.notes import Notes
from lapse.review.sources.spill import Spill
from lapse.review.sources.teleport.events import Event, moment
from lapse.review.sources.teleport.places import Places

STAGE = "review"
"""Teleport counts all votes on a request together."""
_STATES = {"PENDING": "pending", "APPROVED": "approved", "DENIED": "denied", "PROMOTED": "approved"}
_ENDS = {"expired": "nobody decided in time", "cancelled": "it was deleted"}
_VERDICTS = {"APPROVED": "approve", "DENIED": "deny", "PROMOTED": "approve"}


class Request(msgspec.Struct):
    """What is known of one request so far: the latest decision on it, and how it ended if there was none."""

    id: str
    created_at: datetime | None = None
    requester: str = ""
    cluster: str = ""
    resource: str = ""
    role: str = ""
    justification: str | None = None
    until: datetime | None = None
    starts_at: datetime | None = None
    decided: str = ""
    decided_at: datetime | None = None
    decided_first: datetime | None = None
    reason: str = ""
    ended: str = ""
    ended_at: datetime | None = None

    @property
    def outcome(self) -> tuple[str, datetime | None, str]:
        """State, when it left `pending`, and why. What was decided stays, though Teleport forgets it afterwards."""
        if self.decided:
            return self.decided, self.decided_first, self.reason
        if self.ended:
            return self.ended, self.ended_at, _ENDS[self.ended]
        return "pending", None, ""


class Requests:
    """All requests of one log."""

    def __init__(self, spill: Spill[Request], places: Places, notes: Notes) -> None:
        self._spill, self._places, self._notes = spill, places, notes

    def take(self, event: Event, at: datetime) -> dict[str, Any] | None:
        """An event about a request; returns a row of `decisions` without the person, if it was a vote.

        Raises:
            ValueError: it does not say of which request it is, or in which state that is.
        """
        if not event.id:
            raise ValueError("it does not say of which request it is")
        request = self._spill.get(event.id) or self._spill.put(event.id, Request(event.id))
        request.cluster = request.cluster or self._places.cluster(event)
        match event.event.removeprefix("access_request."):
            case "create":
                self._created(request, event, at)
            case "expire":
                self._ends(request, "expired", at)
            case "delete":
                self._ends(request, "cancelled", at)
            case _:
                self._decided(request, _state(event), at, event.reason)
                return self._decision(event, at)
        return None

    def rows(self) -> Iterator[tuple[Request, dict[str, Any]]]:
        """Each request whose making is known, and its row of `requests` without the people."""
        for request in self._spill.values():
            if request.created_at is None:
                what = "requests whose making is not in the log: only the votes on them are evidence"
                self._notes.add("requests", what, request.id)
                continue
            resource = request.resource or request.cluster
            state, closed_at, why = request.outcome
            row = {
                "request_id": request.id,
                "entitlement": f"{resource}/{request.role}",
                "resource": resource,
                "state": state,
                "created_at": request.created_at,
                "requested_s": _seconds(request),
                "justification": request.justification,
                "starts_at": request.starts_at,
                "closed_at": closed_at,
                "close_reason": why or None,
            }
            yield request, row

    def _created(self, request: Request, event: Event, at: datetime) -> None:
        request.created_at, request.requester = at, tidy(event.user)
        request.role = "+".join(sorted(map(tidy, event.roles or []))) or "unknown"
        request.justification = tidy(event.reason) or None
        request.until = moment(event.max_duration) or moment(event.expires)
        request.starts_at = moment(event.assume_start_time)
        wanted = event.resource_ids or []
        if len(wanted) == 1:
            request.resource = self._places.named(wanted[0].kind, wanted[0].name)
        elif wanted:
            what = "requests for several resources at once are listed for Teleport as a whole"
            self._notes.add("requests", what, f"{event.id}: {', '.join(one.name for one in wanted[:5])}")
        if len(event.roles or []) > 1:
            self._notes.add(
                "requests", "requests for several roles at once are listed under all of their names", event.id
            )
        self._decided(request, _state(event), at, "")

    @staticmethod
    def _decided(request: Request, state: str, at: datetime, why: str) -> None:
        if state == "pending":
            return
        request.decided_first = min(at, request.decided_first or at)
        if request.decided_at is None or at >= request.decided_at:
            request.decided, request.decided_at, request.reason = state, at, tidy(why)

    @staticmethod
    def _ends(request: Request, how: str, at: datetime) -> None:
        if request.ended_at is None or at < request.ended_at:
            request.ended, request.ended_at = how, at

    @staticmethod
    def _decision(event: Event, at: datetime) -> dict[str, Any] | None:
        is_review = event.event == "access_request.review"
        who = event.reviewer if is_review else event.delegator or event.updated_by or event.user
        verdict = _VERDICTS.get(event.proposed_state if is_review else event.state)
        if not who or verdict is None:
            return None
        return {
            "decision_id": event.uid or f"{event.id} {tidy(who)} {at.isoformat()}",
            "request_id": event.id,
            "approver": tidy(who),
            "verdict": verdict,
            "stage": STAGE,
            "decided_at": at,
            "reason": tidy(event.reason) or None,
        }


def _state(event: Event) -> str:
    state = _STATES.get(event.state)
    if state is None:
        raise ValueError(f"`{event.state[:40]}` is no state of a request")
    return state


def _seconds(request: Request) -> int | None:
    if request.until is None or request.created_at is None or request.until <= request.created_at:
        return None
    return round((request.until - (request.starts_at or request.created_at)).total_seconds())
