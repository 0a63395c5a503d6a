"""Source `kubernetes-audit`: who used a cluster for what, from the audit log of its API server.

Guarantee: each event is used, skipped with the reason, or rejected. Use counts for who made the request, for whom they
impersonated, and for the group that a role was held through, because the members of a group are known nowhere else.
Called through `SOURCE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from lapse.review.sources.event_logs import LOG_OPTIONS, EventLog, tidy
from lapse.review.sources.kubernetes.audit_bindings import TABLE, Bindings
from lapse.review.sources.kubernetes.audit_events import EVENTS, Allowed, Event, User, allowed_by, events_in, object_of
from lapse.review.sources.kubernetes.names import RESOURCE_OPTIONS, group_account, resource_of, user_account
from lapse.review.sources.kubernetes.owners import PREFIX_OPTION, Owners
from lapse.review.sources.periods import Changes
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source

_MASTERS = "system:masters"
_NOT_FINISHED = "a stage before the end: the request has another event, or was not over"
_PANIC = "the API server failed on it"
_DENIED = "access was denied"
_NOBODY = "nobody was authenticated"
_NOT_TAKEN = "the API server did not carry it out"
_NOT_DONE, _UNAUTHENTICATED, _FORBIDDEN, _TOO_MANY, _FAILED = 300, 401, 403, 429, 500


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the log files in `path`.

    Raises:
        InvalidInput: an option makes no sense, the resource is missing, or there is no log.
    """
    resource = resource_of(options)
    log = EventLog(reading, options)
    with closing(Changes()) as changes:
        reader = _Reader(log, resource, Owners(reading, resource, options), Bindings(changes, log.notes))
        for place, found in log.events(path, EVENTS):
            for where, event in events_in(found, place):
                if isinstance(event, str):
                    log.reject(where, event)
                else:
                    reader.take(where, event)
        reader.finish(changes)


class _Reader:
    """Writes what the events come to."""

    def __init__(self, log: EventLog, resource: str, owners: Owners, bindings: Bindings) -> None:
        self._log, self._resource, self._owners, self._bindings = log, resource, owners, bindings
        self._begin: datetime | None = None
        self._unsaid = 0

    def take(self, place: str, event: Event) -> None:
        """Write one event, or count why not."""
        try:
            begin, end = event.times()
        except ValueError as error:
            self._log.reject(place, str(error))
            return
        self._log.see(end, place)
        reason = _why_not(event)
        if reason:
            self._log.reading.skip(reason)
            return
        who = tidy(event.user.username) if event.user else ""
        if not self._log.is_new(end, event.audit_id, event.verb, event.request_uri, who):
            return
        self._begin = begin if self._begin is None else min(begin, self._begin)
        self._write(event, begin, end, user_account(who))
        if event.code < _NOT_DONE and end <= self._log.taken_at:
            self._bindings.take(event, end, self._owners.of(user_account(who)) or who)
        self._log.reading.used()

    def finish(self, changes: Changes) -> None:
        """Write periods and coverage."""
        reading, held = self._log.reading, changes.held(self._begin)
        for period in held.periods():
            row = {"resource": self._resource, "account": period.account, "role": period.role, "source": reading.source}
            times = {"from_at": period.since, "to_at": period.until, "changed_by": period.by or None}
            reading.add(TABLE, row | times | {"principal": self._owners.of(period.account)})
        if held.unseen:
            what = "bindings were removed, and what they gave is not logged"
            self._log.notes.add(TABLE, what, count=held.unseen)
        if held.left_out:
            reading.gap(TABLE, f"{held.left_out} holdings are more than can be followed")
        because = "events do not say what allowed them, so what groups were used for is not known"
        self._log.cover([self._resource], because=because if self._unsaid else "")
        self._log.finish()

    def _write(self, event: Event, begin: datetime, end: datetime, who: str) -> None:
        row = {
            "resource": self._resource,
            "started_at": begin,
            "ended_at": end,
            "source": self._log.reading.source,
            "principal": self._owners.of(who),
            "address": self._log.text(event.source_ips[0]) if event.source_ips else None,
            "device": self._log.text(event.user_agent),
        }
        acting, allowed = event.impersonated_user or event.user or User(), allowed_by(event.reason)
        done = {"action": self._log.text(event.verb), "object": self._log.text(object_of(event))}
        done["role"] = allowed.role if allowed else None
        if event.impersonated_user is not None:
            whom = f"users/{tidy(acting.username)}"
            self._log.reading.add("usage", row | {"account": who, "action": "impersonate", "object": whom})
        account = user_account(tidy(acting.username))
        self._log.reading.add("usage", row | done | {"account": account})
        for group in self._through(event, acting, allowed):
            self._log.reading.add("usage", row | done | {"account": group})

    def _through(self, event: Event, acting: User, allowed: Allowed | None) -> Iterator[str]:
        """The groups whose rights were used."""
        if allowed is not None:
            if allowed.account.startswith("group/"):
                yield allowed.account
        elif event.decision is None:
            self._unsaid += any(not group.startswith("system:") for group in acting.groups or [])
        elif not event.reason and _MASTERS in (acting.groups or []):
            yield group_account(_MASTERS)


def _why_not(event: Event) -> str:
    """Why the event is no use of anything; empty if it is."""
    if event.stage != "ResponseComplete":
        return _PANIC if event.stage == "Panic" else _NOT_FINISHED
    if event.code == _FORBIDDEN or event.decision == "forbid":
        return _DENIED
    if event.code == _UNAUTHENTICATED or event.user is None or not event.user.username:
        return _NOBODY
    if event.decision is None and (event.code == _TOO_MANY or event.code >= _FAILED):
        return _NOT_TAKEN
    return ""


SOURCE = Source(
    kind="kubernetes-audit",
    title="Kubernetes: audit log of the API server",
    tables=("usage", "access_periods", "coverage"),
    read=read,
    options={**RESOURCE_OPTIONS, **PREFIX_OPTION, **LOG_OPTIONS},
)
