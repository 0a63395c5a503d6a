"""Events of Teleport's audit log, as `events.proto` of Teleport names their fields; and what kind of evidence each is.

Guarantee: only events of types that are read are read strictly, so that an unusual field of another one is no fault.
Called by everything in `teleport`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum, auto
from typing import Annotated, TypeAlias

import msgspec

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
Texts: TypeAlias = list[str] | None
_FIRST_YEAR = 1970
_USE = frozenset(
    {"exec", "scp", "sftp", "subsystem", "port", "x11-forward", "kube.request", "session.join", "user.login"}
)
_STARTS = frozenset(
    {
        "session.start",
        "db.session.start",
        "app.session.start",
        "windows.desktop.session.start",
        "desktop.session.start",
    }
)
_ENDS = frozenset({name.replace(".start", ".end") for name in _STARTS})
_TOLD = frozenset(
    {
        "session.leave",
        "session.process_exit",
        "session.connect",
        "resize",
        "print",
        "session.command",
        "session.disk",
        "session.network",
    }
)
_CHANGES = (".create", ".created", ".update", ".updated", ".delete", ".deleted", ".add", ".remove")
_DECIDED = frozenset({f"access_request.{what}" for what in ("create", "update", "review", "expire", "delete")})
_ATTEMPTS = frozenset({"auth", "session.rejected"})
_NEVER_FAIL = frozenset({"exec", "scp", "sftp"})
_FAILURES = ("W", "E")


class Sort(Enum):
    """What kind of evidence an event is."""

    START = auto()
    END = auto()
    SESSION = auto()
    USE = auto()
    REQUEST = auto()
    CERTIFICATE = auto()
    FAILED = auto()
    TOLD = auto()
    OTHER = auto()


class Head(msgspec.Struct, gc=False):
    """What every event has."""

    event: str
    time: Moment
    uid: str = ""
    code: str = ""
    success: bool | None = None


class Named(msgspec.Struct):
    """A resource that an access request is for."""

    kind: str = ""
    name: str = ""


class Identity(msgspec.Struct):
    """Whom a certificate was issued to, and until when."""

    user: str = ""
    expires: Moment | None = None
    access_requests: Texts = None
    impersonator: str = ""


class Device(msgspec.Struct):
    """A trusted device."""

    asset_tag: str = ""
    device_id: str = ""


class Event(msgspec.Struct):
    """An event that is read."""

    event: str
    time: Moment
    uid: str = ""
    cluster_name: str = ""
    user: str = ""
    login: str = ""
    sid: str = ""
    impersonator: str = ""
    access_requests: Texts = None
    remote: str = msgspec.field(name="addr.remote", default="")
    proto: str = ""
    user_agent: str = ""
    trusted_device: Device | None = None
    server_id: str = ""
    server_hostname: str = ""
    session_start: Moment | None = None
    session_stop: Moment | None = None
    session_recording: str = ""
    kubernetes_cluster: str = ""
    kubernetes_users: Texts = None
    db_service: str = ""
    db_protocol: str = ""
    db_name: str = ""
    db_user: str = ""
    db_query: str = ""
    app_name: str = ""
    aws_role_arn: str = ""
    azure_identity: str = ""
    gcp_service_account: str = ""
    desktop_name: str = ""
    desktop_addr: str = ""
    windows_user: str = ""
    command: str = ""
    path: str = ""
    action: str | int | None = None
    verb: str = ""
    request_path: str = ""
    method: str = ""
    addr: str = ""
    name: str = ""
    roles: Texts = None
    id: str = ""
    state: str = ""
    reason: str = ""
    reviewer: str = ""
    proposed_state: str = ""
    delegator: str = ""
    updated_by: str = ""
    expires: Moment | None = None
    max_duration: Moment | None = None
    assume_start_time: Moment | None = None
    resource_ids: list[Named] | None = None
    promoted_access_list_name: str = ""
    identity: Identity | None = None

    @property
    def who(self) -> str:
        """Who really did it: an impersonator, or the user."""
        return self.impersonator or self.user or self.updated_by


_SORTS: dict[str, Sort] = {
    **dict.fromkeys(_STARTS, Sort.START),
    **dict.fromkeys(_ENDS, Sort.END),
    **dict.fromkeys(("session.upload", "session.data"), Sort.SESSION),
    **dict.fromkeys(_DECIDED, Sort.REQUEST),
    **dict.fromkeys(_USE, Sort.USE),
    **dict.fromkeys(_TOLD, Sort.TOLD),
    "cert.create": Sort.CERTIFICATE,
}
HEADS = msgspec.json.Decoder(Head)
EVENTS = msgspec.json.Decoder(Event)


def sort_of(head: Head) -> Sort:
    """What kind of evidence the event is."""
    name = head.event
    if _is_failure(head):
        return Sort.FAILED
    if name in _SORTS:
        return _SORTS[name]
    return Sort.USE if name.startswith(("db.session.", "app.session.")) or name.endswith(_CHANGES) else Sort.OTHER


def moment(at: datetime | None) -> datetime | None:
    """`at` in UTC; None for the time zero that Go writes for none, and for what no calendar has."""
    if at is None or at.year < _FIRST_YEAR:
        return None
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return None


def address_of(remote: str) -> str:
    """The address without its port."""
    host, colon, port = remote.rpartition(":")
    return host.strip("[]") if colon and port.isdecimal() else remote.strip("[]")


def _is_failure(head: Head) -> bool:
    name = head.event
    if name in _ATTEMPTS or name.endswith(".failed"):
        return True
    return name not in _NEVER_FAIL and (head.success is False or head.code.endswith(_FAILURES))
