"""Source `okta`: what happened to people, who holds which groups, apps and roles of administrators, and who signed in.

Guarantee: each event is used, skipped with the reason, or rejected. The log shows changes: what was given before it
began is not in it, and that is said. Called through `SOURCE`.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name
from lapse.review.sources.event_logs import LOG_OPTIONS, EventLog, tidy
from lapse.review.sources.json_values import decoded
from lapse.review.sources.okta.directory import Directory, User
from lapse.review.sources.okta.events import (
    EVENTS,
    HEADS,
    SORTS,
    Entity,
    Event,
    Sort,
    time_of,
    unwrapped,
    why_not,
    words,
)
from lapse.review.sources.periods import Changes, Held, Period
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source
from lapse.review.sources.spill import Spill

_SUPER = "Super administrator"
_POWER = "administrator"
_ADMIN, _GROUP, _USER = "admin/", "group/", "user:"
_OF_THE_JOB = frozenset({"department", "division", "manager", "managerId", "title"})
_PEOPLE = {"user.lifecycle.activate": "joined", "user.lifecycle.deactivate": "left"}
_RAW = msgspec.json.Decoder(msgspec.Raw)


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the log files in `path`.

    Raises:
        InvalidInput: an option makes no sense, the resource is missing, or there is no log.
    """
    resource, log = _resource_of(options), EventLog(reading, options)
    with Spill(User) as users, closing(Changes()) as changes:
        reader = _Reader(log, Directory(users, reading, resource), changes)
        for place, raw in log.events(path, _RAW):
            data = bytes(raw)
            try:
                events = list(unwrapped(data, decoded(HEADS, data)[0]))
            except ValueError as error:
                log.reject(place, str(error))
                continue
            for event in events:
                reader.take(place, event)
        reader.finish()


def _resource_of(options: Options) -> str:
    name, org = options.get("resource", "").strip(), options.get("org", "").strip()
    if not name and not org:
        raise InvalidInput("the log does not say of which org it is", hint="give the option `resource` or `org`")
    return check_name(name or f"okta-{org}", what="resource name")


class _Reader:
    """Writes what the events come to."""

    def __init__(self, log: EventLog, directory: Directory, changes: Changes) -> None:
        self._log, self._directory, self._changes = log, directory, changes
        self._reading, self._resource = log.reading, directory.resource
        self._begin: datetime | None = None
        self._takes = {
            Sort.LIFE: self._life,
            Sort.MEMBER: self._member,
            Sort.PRIVILEGE: self._privilege,
            Sort.GONE: self._gone,
            Sort.USE: self._use,
        }

    def take(self, place: str, data: bytes) -> None:
        """Write one event, or count why not."""
        try:
            head = decoded(HEADS, data)[0]
            at = time_of(head)
            self._log.see(at, place)
            self._begin = min(at, self._begin or at)
            reason = why_not(head)
            if reason:
                self._reading.skip(reason)
                return
            event, odd = decoded(EVENTS, data)
            if odd:
                self._log.recoded(place)
            if SORTS[event.event_type] is Sort.USE and not _is_user(event.actor):
                self._reading.skip("done by no user")
                return
            first = event.target[0].key if event.target else ""
            if self._log.is_new(at, head.uuid or "", event.event_type, first):
                self._takes[SORTS[event.event_type]](event, at)
                self._reading.used()
        except ValueError as error:
            self._log.reject(place, str(error))

    def finish(self) -> None:
        """Write what is known only at the end."""
        held = self._changes.held(self._begin)
        last = self._log.last or self._begin
        for period in held.periods():
            self._write_period(period, last)
        if last is not None:
            self._write_accounts(last)
        self._say_what_is_missing(held)
        self._log.cover([self._resource])
        self._log.finish()

    def _life(self, event: Event, at: datetime) -> None:
        user = _needed(event.first("User"), "user")
        self._directory.lives(user, event.event_type, at)
        if event.event_type == "user.lifecycle.delete.completed":
            self._changes.drop(at, _USER + tidy(user.key))
        if event.event_type == "user.account.update_profile":
            for name in sorted(_OF_THE_JOB & set(words(event.debug.changed_attributes))):
                self._person(user, at, "moved", name)
        elif event.event_type in _PEOPLE:
            self._person(user, at, _PEOPLE[event.event_type], None)

    def _person(self, user: Entity, at: datetime, what: str, field: str | None) -> None:
        principal = self._directory.principal(self._directory.user(user, at).account)
        if principal is None:
            why = "what happened to users who are nobody known is not listed as what happened to people"
            self._log.notes.add("people_events", why, user.login)
            return
        how = (
            f"{field} changed in Okta"
            if field
            else f"{user.login} was {'activated' if what == 'joined' else 'deactivated'}"
        )
        row = {"principal": principal, "happened_at": at, "event": what, "detail": self._log.text(how), "field": field}
        self._reading.add("people_events", row)

    def _member(self, event: Event, at: datetime) -> None:
        user = self._directory.user(_needed(event.first("User", "AppUser"), "user"), at)
        is_group = event.event_type.startswith("group.")
        thing = _needed(event.first("UserGroup" if is_group else "AppInstance"), "group" if is_group else "app")
        role = self._directory.label("group" if is_group else "app", thing)
        if event.event_type.endswith(".add"):
            self._changes.give(at, _USER + user.key, role, self._by(event, at))
        else:
            self._changes.take(at, _USER + user.key, role)

    def _privilege(self, event: Event, at: datetime) -> None:
        if event.event_type.startswith("group."):
            account = self._directory.label("group", _needed(event.first("UserGroup"), "group"))
        else:
            account = _USER + self._directory.user(_needed(event.first("User"), "user"), at).key
        granted = [_ADMIN + tidy(name) for name in words(event.debug.privilege_granted)]
        if event.event_type.endswith(".revoke"):
            # Okta writes it once nothing is left.
            self._changes.settle(at, account, _ADMIN, [])
        elif granted:
            self._changes.settle(at, account, _ADMIN, granted, self._by(event, at))
        else:
            what = "roles of administrators were given, and the event does not say which"
            self._log.notes.add("access_periods", what, account.removeprefix(_USER))

    def _gone(self, event: Event, at: datetime) -> None:
        is_group = event.event_type.startswith("group.")
        thing = _needed(event.first("UserGroup" if is_group else "AppInstance"), "group" if is_group else "app")
        role = self._directory.label("group" if is_group else "app", thing)
        self._changes.vanish(at, role)
        self._changes.drop(at, role)

    def _use(self, event: Event, at: datetime) -> None:
        actor = _needed(event.actor, "user")
        self._directory.active(actor, at)
        account, app = self._directory.user(actor, at).account, event.first("AppInstance")
        label = self._directory.label("app", app) if app else None
        client = event.client
        agent = client.user_agent if client else None
        self._reading.add(
            "usage",
            {
                "resource": self._resource,
                "account": account,
                "started_at": at,
                "role": label if event.event_type == "user.authentication.sso" else None,
                "action": event.event_type,
                "object": label,
                "source": self._reading.source,
                "principal": self._directory.principal(account),
                "address": self._log.text(client.ip_address) if client else None,
                "device": self._log.text(agent.raw_user_agent) if agent else None,
                "session_id": self._log.text(event.session),
            },
        )

    def _by(self, event: Event, at: datetime) -> str:
        """Who did it: the principal, or the name in Okta."""
        if event.actor is None or not event.actor.key:
            return ""
        if event.actor.type != "User":
            return tidy(event.actor.name)
        account = self._directory.user(event.actor, at).account
        return self._directory.principal(account) or account

    def _write_period(self, period: Period, last: datetime | None) -> None:
        user = (
            None
            if period.account.startswith(_GROUP)
            else self._directory.account_of(period.account.removeprefix(_USER))
        )
        account = user.account if user else period.account
        principal = self._directory.principal(account) if user else None
        row: dict[str, Any] = {
            "resource": self._resource,
            "account": account,
            "role": period.role,
            "principal": principal,
        }
        times = {"from_at": period.since, "to_at": period.until, "changed_by": period.by or None}
        self._reading.add("access_periods", row | times | {"source": self._reading.source})
        if not period.known:
            what = "access was taken away that the log does not show given: it is listed since the log begins"
            self._log.notes.add("access_periods", what, f"{account} {period.role}")
        # Who is deactivated keeps memberships that give nothing.
        if period.until is None and not (user and user.state in {"deactivated", "deleted"}):
            state = {"can_login": user.can_login if user else None, "observed_at": last, "since": period.since}
            powers = _POWER if period.role == _ADMIN + _SUPER else None
            more = {"holding": "direct", "depth": 0, "powers": powers, "grantor": period.by or None}
            self._reading.add("access_observed", row | state | more)

    def _write_accounts(self, last: datetime) -> None:
        for user in self._directory.users():
            row = {
                "resource": self._resource,
                "account": user.account,
                "principal": self._directory.principal(user.account),
                "can_login": user.can_login,
                "last_activity": user.last_activity,
                "observed": user.state != "deleted",
                "observed_at": last,
                "created_at": user.created_at,
            }
            self._reading.add("accounts", row)

    def _say_what_is_missing(self, held: Held) -> None:
        for table in ("accounts", "access_observed", "access_periods"):
            self._reading.gap(table, "the log shows changes: what there was before it began is not in it")
        if held.left_out:
            self._reading.gap("access_periods", f"{held.left_out} holdings are more than can be followed")


def _is_user(entity: Entity | None) -> bool:
    return entity is not None and bool(entity.key) and entity.type in {None, "User"}


def _needed(entity: Entity | None, what: str) -> Entity:
    if entity is None:
        raise ValueError(f"no {what} is named in it")
    return entity


SOURCE = Source(
    kind="okta",
    title="Okta: System Log",
    tables=("people_events", "accounts", "access_periods", "access_observed", "usage", "coverage"),
    read=read,
    options={
        "resource": "name of the resource that the org is; this or `org` is required",
        "org": "name of the org: the resource is called `okta-` and this, if `resource` is not given",
        **LOG_OPTIONS,
    },
)
