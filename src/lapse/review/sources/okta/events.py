"""Events of Okta's System Log (LogEvent of its API), alone, in pages, or as an event hook delivers them.

Guarantee: only events of types that are read are read strictly. Called by everything in `okta`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Annotated, TypeAlias

import msgspec

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_NOTHING = msgspec.Raw(b"null")
_UNSAID = frozenset({"", "unknown", "null"})
_DONE = frozenset({"SUCCESS", "ALLOW"})
_FAILED = frozenset({"FAILURE", "DENY"})


class Sort(Enum):
    """What kind of evidence an event is."""

    LIFE = auto()
    MEMBER = auto()
    PRIVILEGE = auto()
    GONE = auto()
    USE = auto()


SORTS: dict[str, Sort] = {
    **dict.fromkeys(
        (
            "user.lifecycle.create",
            "user.lifecycle.activate",
            "user.lifecycle.deactivate",
            "user.lifecycle.suspend",
            "user.lifecycle.unsuspend",
            "user.lifecycle.delete.completed",
            "user.account.update_profile",
        ),
        Sort.LIFE,
    ),
    **dict.fromkeys(
        (
            "group.user_membership.add",
            "group.user_membership.remove",
            "application.user_membership.add",
            "application.user_membership.remove",
        ),
        Sort.MEMBER,
    ),
    **dict.fromkeys(
        (
            "user.account.privilege.grant",
            "user.account.privilege.revoke",
            "group.privilege.grant",
            "group.privilege.revoke",
        ),
        Sort.PRIVILEGE,
    ),
    **dict.fromkeys(("group.lifecycle.delete", "application.lifecycle.delete"), Sort.GONE),
    **dict.fromkeys(
        (
            "user.session.start",
            "user.session.access_admin_app",
            "user.session.impersonation.initiate",
            "user.authentication.sso",
        ),
        Sort.USE,
    ),
}


class Outcome(msgspec.Struct, gc=False):
    """How it ended."""

    result: str | None = None


class Head(msgspec.Struct, rename="camel", gc=False):
    """What every event has; or (`data`) what an event hook delivers."""

    event_type: str = ""
    published: Moment | None = None
    uuid: str | None = None
    outcome: Outcome | None = None
    data: msgspec.Raw = _NOTHING


class Hook(msgspec.Struct):
    """What an event hook delivers."""

    events: list[msgspec.Raw]


class Entity(msgspec.Struct, rename="camel", gc=False):
    """A user, group, app or the like."""

    id: str | None = None
    type: str | None = None
    alternate_id: str | None = None
    display_name: str | None = None

    @property
    def key(self) -> str:
        """What tells it from others: its id, or its name where it has none."""
        return self.id or self.alternate_id or self.display_name or ""

    @property
    def name(self) -> str:
        """What people call it: its display name, or what else it has."""
        return _said(self.display_name) or _said(self.alternate_id) or self.id or ""

    @property
    def login(self) -> str:
        """The login name of a user, or the id where that is not said."""
        return _said(self.alternate_id) or self.id or ""


class UserAgent(msgspec.Struct, rename="camel", gc=False):
    """The program that made a request."""

    raw_user_agent: str | None = None


class Client(msgspec.Struct, rename="camel", gc=False):
    """Where a request came from."""

    ip_address: str | None = None
    user_agent: UserAgent | None = None


class Authentication(msgspec.Struct, rename="camel", gc=False):
    """In which session."""

    external_session_id: str | None = None


class DebugData(msgspec.Struct, rename="camel", gc=False):
    """What else is said, of some types of events."""

    privilege_granted: str | list[str] | None = None
    changed_attributes: str | list[str] | None = None


class Debug(msgspec.Struct, rename="camel", gc=False):
    """What else is said."""

    debug_data: DebugData | None = None


class Event(msgspec.Struct, rename="camel", gc=False):
    """An event that is read."""

    event_type: str
    published: Moment
    uuid: str | None = None
    actor: Entity | None = None
    target: list[Entity] | None = None
    client: Client | None = None
    authentication_context: Authentication | None = None
    debug_context: Debug | None = None

    def first(self, *types: str) -> Entity | None:
        """The first target of one of these types that can be told from others."""
        targets = self.target or []
        return next((one for kind in types for one in targets if one.type == kind and one.key), None)

    @property
    def session(self) -> str | None:
        """The session's id."""
        context = self.authentication_context
        return (_said(context.external_session_id) or None) if context else None

    @property
    def debug(self) -> DebugData:
        """What else is said."""
        return (self.debug_context.debug_data if self.debug_context else None) or DebugData()


HEADS = msgspec.json.Decoder(Head)
EVENTS = msgspec.json.Decoder(Event)
_HOOKS = msgspec.json.Decoder(Hook)


def unwrapped(data: bytes, head: Head) -> Iterator[bytes]:
    """The events in what was found: itself, or those that an event hook delivers.

    Raises:
        ValueError: it is neither.
    """
    if head.event_type and head.published:
        yield data
    elif bytes(head.data) == b"null":
        raise ValueError("it is no event: it has no `eventType` or no `published`")
    else:
        try:
            yield from (bytes(raw) for raw in _HOOKS.decode(head.data).events)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None


def why_not(head: Head) -> str:
    """Why the event is no evidence; empty if it is."""
    if head.event_type not in SORTS:
        return "an event of a type that is not read"
    result = (head.outcome.result if head.outcome else None) or ""
    if result in _FAILED:
        return "it failed"
    return "" if result in _DONE else "its outcome is not said to be a success"


def time_of(head: Head) -> datetime:
    """When it was.

    Raises:
        ValueError: the time is none.
    """
    if head.published is None:
        raise ValueError("it does not say when it was")
    try:
        return head.published.astimezone(UTC)
    except OverflowError:
        raise ValueError("its time is outside of the calendar") from None


def words(value: str | list[str] | None) -> list[str]:
    """The items of a list, which Okta writes as one text separated by commas."""
    items = value.split(",") if isinstance(value, str) else value or []
    return [item.strip() for item in items if item.strip()]


def _said(text: str | None) -> str:
    return "" if text is None or text.strip().lower() in _UNSAID else text
