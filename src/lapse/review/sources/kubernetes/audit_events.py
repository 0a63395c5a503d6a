"""Events of the audit log of a Kubernetes API server (audit.k8s.io), alone, in lists, or wrapped by who collects them.

Guarantee: what is no such event is said to be none; nothing is taken from an event but what this file names. Called by
the kind of source `kubernetes-audit`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from lapse.review.sources.event_logs import tidy
from lapse.review.sources.json_values import decoded
from lapse.review.sources.kubernetes.names import role_name, subject_account

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
NOTHING = msgspec.Raw(b"null")
_API = "audit.k8s.io/"
_DEEPEST = 4
_DECISION, _REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
_QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_ALLOWED_BY = re.compile(
    rf"RBAC: allowed by (ClusterRoleBinding|RoleBinding) {_QUOTED} of (ClusterRole|Role) {_QUOTED} "
    rf"to (User|Group|ServiceAccount) {_QUOTED}"
)


class User(msgspec.Struct, gc=False):
    """Who made a request."""

    username: str = ""
    groups: list[str] | None = None


class ObjectRef(msgspec.Struct, rename="camel", gc=False):
    """What a request is about."""

    resource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    subresource: str = ""


class Status(msgspec.Struct, gc=False):
    """How a request ended."""

    code: int = 0


class Event(msgspec.Struct, rename="camel"):
    """One event, or (`items`, `properties`, `log`, `message`) what holds events."""

    kind: str = ""
    api_version: str = ""
    level: str = ""
    audit_id: str = msgspec.field(name="auditID", default="")
    stage: str = ""
    request_uri: str = msgspec.field(name="requestURI", default="")
    verb: str = ""
    user: User | None = None
    impersonated_user: User | None = None
    source_ips: list[str] | None = msgspec.field(name="sourceIPs", default=None)
    user_agent: str | None = None
    object_ref: ObjectRef | None = None
    response_status: Status | None = None
    request_received_timestamp: Moment | None = None
    stage_timestamp: Moment | None = None
    annotations: dict[str, str] | None = None
    request_object: msgspec.Raw = NOTHING
    response_object: msgspec.Raw = NOTHING
    items: list[msgspec.Raw] | None = None
    properties: msgspec.Raw = NOTHING
    log: msgspec.Raw = NOTHING
    message: msgspec.Raw = NOTHING

    @property
    def code(self) -> int:
        """The code of the answer; 0 is not said."""
        return self.response_status.code if self.response_status else 0

    @property
    def decision(self) -> str | None:
        """`allow`, `forbid`, or None where the event does not say."""
        return (self.annotations or {}).get(_DECISION)

    @property
    def reason(self) -> str:
        """Why the request was allowed."""
        return (self.annotations or {}).get(_REASON, "")

    def times(self) -> tuple[datetime, datetime]:
        """When the request came, and when it was over.

        Raises:
            ValueError: the event does not say, or not in the calendar.
        """
        begin = self.request_received_timestamp or self.stage_timestamp
        end = self.stage_timestamp or begin
        if begin is None or end is None:
            raise ValueError("it does not say when it was")
        try:
            return begin.astimezone(UTC), end.astimezone(UTC)
        except OverflowError:
            raise ValueError("its time is outside of the calendar") from None


class Allowed(NamedTuple):
    """By which role a request was allowed, and as whose; `account` may be a group."""

    role: str
    account: str


EVENTS = msgspec.json.Decoder(Event)
_TEXT = msgspec.json.Decoder(str)


def events_in(found: Event, place: str, depth: int = 0) -> Iterator[tuple[str, Event | str]]:
    """(place, event) of each event in what was found in a log; for what is none, a text that says why."""
    if found.items is not None:
        for number, raw in enumerate(found.items, start=1):
            yield from _inside(raw, f"{place} item {number}", depth)
    elif found.kind == "Event" and found.api_version.startswith(_API):
        yield place, found
    else:
        wrapped = next((raw for raw in (found.properties, found.log, found.message) if bytes(raw) != b"null"), None)
        if wrapped is None:
            yield place, "it is no event of audit.k8s.io"
        else:
            yield from _inside(wrapped, place, depth)


@lru_cache(maxsize=10_000)
def allowed_by(reason: str) -> Allowed | None:
    """The role of RBAC that allowed a request, by the API server's `reason`; None where something else did."""
    found = _ALLOWED_BY.fullmatch(reason)
    if found is None:
        return None
    kind, binding, role_kind, role, subject_kind, subject = found.groups()
    namespace = _unquoted(binding).rpartition("/")[2] if kind == "RoleBinding" else ""
    name, inside = _unquoted(subject), ""
    if subject_kind == "ServiceAccount":
        name, _, inside = name.partition("/")
    try:
        return Allowed(role_name(role_kind, _unquoted(role), namespace), subject_account(subject_kind, name, inside))
    except ValueError:
        return None


def object_of(event: Event) -> str:
    """What the request was about: `NAMESPACE/RESOURCE/NAME/SUBRESOURCE` as far as there is such, or the path."""
    about = event.object_ref
    if about is None or not about.resource:
        return event.request_uri.partition("?")[0]
    parts = [about.namespace] if about.namespace and about.resource != "namespaces" else []
    parts.append(about.resource)
    if about.name or about.subresource:
        parts.append(about.name or "*")
    return "/".join([*parts, about.subresource] if about.subresource else parts)


def _inside(raw: msgspec.Raw, place: str, depth: int) -> Iterator[tuple[str, Event | str]]:
    if depth >= _DEEPEST:
        yield place, "it is wrapped too often"
        return
    data = bytes(raw)
    try:
        if data.startswith(b'"'):
            data = decoded(_TEXT, data)[0].encode("utf-8", "replace")
        found = decoded(EVENTS, data)[0]
    except ValueError as error:
        yield place, str(error)
        return
    yield from events_in(found, place, depth + 1)


def _unquoted(text: str) -> str:
    """A text as Go quotes it (`%q`); what only Go knows stays as it is written."""
    if "\\" not in text:
        return text
    try:
        found = json.loads(f'"{text}"')
    except ValueError:
        return text
    return tidy(found) if isinstance(found, str) else text
