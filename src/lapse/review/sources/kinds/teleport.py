"""Source `teleport`: sessions, use, access requests with their votes, and certificates, from Teleport's audit log.

Guarantee: each event is used, skipped with the reason, or rejected. Use is of the account on the target, and of the
person who Teleport says used it. Called through `SOURCE`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from lapse.review.sources.event_logs import LOG_OPTIONS, EventLog, tidy
from lapse.review.sources.json_values import decoded
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source
from lapse.review.sources.spill import Spill
from lapse.review.sources.teleport.events import EVENTS, HEADS, Event, Head, Sort, address_of, moment, sort_of
from lapse.review.sources.teleport.places import NAME_OPTIONS, Place, Places
from lapse.review.sources.teleport.requests import Request, Requests
from lapse.review.sources.teleport.sessions import Session, Sessions
from lapse.review.sources.teleport.use import action_of

_SKIPPED = {
    Sort.FAILED: "it failed",
    Sort.TOLD: "it says no more of a session than others do",
    Sort.OTHER: "an event of a type that is not read",
}
_NOBODY = "nobody is named"
_MOST_RESOURCES = 100_000
_RAW = msgspec.json.Decoder(msgspec.Raw)


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the log files in `path`.

    Raises:
        InvalidInput: an option makes no sense, or there is no log.
    """
    log, places = EventLog(reading, options), Places(reading, options)
    with Spill(Session) as sessions, Spill(Request) as requests:
        reader = _Reader(log, places, Sessions(sessions, log.notes), Requests(requests, places, log.notes))
        for place, raw in log.events(path, _RAW):
            try:
                reader.take(place, bytes(raw))
            except ValueError as error:
                log.reject(place, str(error))
        reader.finish()


class _Reader:
    """Writes what the events come to."""

    def __init__(self, log: EventLog, places: Places, sessions: Sessions, requests: Requests) -> None:
        self._log, self._places, self._sessions, self._requests = log, places, sessions, requests
        self._reading = log.reading
        self._resources: set[str] = set()

    def take(self, place: str, data: bytes) -> None:
        """Write one event, or count why not.

        Raises:
            ValueError: it cannot be read.
        """
        head: Head = decoded(HEADS, data)[0]
        at = moment(head.time)
        if at is None:
            raise ValueError("its time is none")
        self._log.see(at, place)
        sort = sort_of(head)
        if sort in _SKIPPED:
            self._reading.skip(_SKIPPED[sort])
            return
        event, odd = decoded(EVENTS, data)
        if odd:
            self._log.recoded(place)
        if self._log.is_new(at, event.uid, event.event, event.sid or event.id):
            self._write(sort, event, at)

    def finish(self) -> None:
        """Write what is known only at the end."""
        for session, row in self._sessions.rows():
            who = {
                "principal": self._places.principal(session.place, tidy(session.who)),
                "source": self._reading.source,
            }
            self._reading.add("sessions", row | who | {"resource": session.place.resource})
        for request, row in self._requests.rows():
            who_asked = self._person(request.cluster, request.requester)
            self._reading.add("requests", row | {"requester": who_asked, "beneficiary": who_asked})
        self._log.cover(self._resources)
        self._log.finish()

    def _write(self, sort: Sort, event: Event, at: datetime) -> None:
        if sort is Sort.REQUEST:
            self._decided(event, at)
        elif sort is Sort.CERTIFICATE:
            self._certificate(event, at)
        elif sort is Sort.SESSION:
            self._session(event, at)
        else:
            self._use(sort, event, at)
        self._reading.used()

    def _decided(self, event: Event, at: datetime) -> None:
        decision = self._requests.take(event, at)
        if decision is not None:
            person = self._person(self._places.cluster(event), decision["approver"])
            self._reading.add("decisions", decision | {"person": person})

    def _certificate(self, event: Event, at: datetime) -> None:
        identity = event.identity
        if identity is None or not identity.user:
            raise ValueError("the certificate is nobody's")
        user, grants = tidy(identity.user), identity.access_requests or []
        where = Place(self._places.cluster(event), user, "")
        self._reading.add(
            "credentials",
            {
                "credential_id": event.uid or f"{user} {at.isoformat()}",
                "resource": where.resource,
                "kind": "certificate",
                "account": user,
                "principal": self._places.principal(where, tidy(identity.impersonator) or user),
                "grant_id": grants[0] if len(grants) == 1 else None,
                "issued_at": at,
                "valid_until": moment(identity.expires),
            },
        )

    def _session(self, event: Event, at: datetime) -> None:
        if not event.sid:
            raise ValueError("it does not say of which session it is")
        self._sessions.take(event, self._places.of(event), at, self._more(event))

    def _use(self, sort: Sort, event: Event, at: datetime) -> None:
        where, more = self._places.of(event), self._more(event)
        if not where.account:
            raise ValueError(_NOBODY)
        if sort in {Sort.START, Sort.END}:
            self._session(event, at)
        self._note_resource(where.resource)
        if sort is Sort.END:
            return
        done, thing = action_of(event)
        row: dict[str, Any] = {
            "resource": where.resource,
            "account": where.account,
            "started_at": at,
            "action": self._log.text(done),
            "object": self._log.text(thing),
            "source": self._reading.source,
            "principal": self._places.principal(where, tidy(event.who)),
            "session_id": event.sid or None,
        }
        self._reading.add("usage", row | more)

    def _more(self, event: Event) -> dict[str, str | None]:
        device = event.trusted_device
        known = device.asset_tag or device.device_id if device else ""
        return {
            "address": self._log.text(address_of(event.remote)),
            "device": self._log.text(known or event.user_agent),
        }

    def _note_resource(self, resource: str) -> None:
        if resource in self._resources:
            return
        if len(self._resources) < _MOST_RESOURCES:
            self._resources.add(resource)
        else:
            self._log.notes.add("coverage", "resources beyond those whose windows are listed", resource)

    def _person(self, cluster: str, user: str) -> str:
        """The principal behind a user of Teleport; the user's name where nobody is known."""
        return self._places.principal(Place(cluster, user, ""), user) or user


SOURCE = Source(
    kind="teleport",
    title="Teleport: audit log",
    tables=("sessions", "usage", "requests", "decisions", "credentials", "coverage"),
    read=read,
    options={**NAME_OPTIONS, **LOG_OPTIONS},
)
