"""One ledger entry: a change, who made it, when, and under which policy and context.

`before` and `after` hold the fields that changed, as data; for a new thing `before` is None. Entries contain no
floats and only ASCII keys, so that the fast encoder gives RFC 8785 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.data import Json, changes, to_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is recorded: `type` like `grant.ended`, `subject` the id of what changed."""

    type: str
    at: datetime
    actor: str
    subject: str
    before: Mapping[str, Json] | None = None
    after: Mapping[str, Json] | None = None
    policy_version: str = ""
    context: Mapping[str, Json] = field(default_factory=dict)


def created(
    kind: str, value: object, subject: str, *, at: datetime, actor: str, policy_version: str = "", **context: Json
) -> Entry:
    """The entry for a new thing: the whole value is `after`."""
    after = to_data(value)
    if not isinstance(after, dict):
        raise TypeError(f"{type(value).__name__} is not recorded as an object")
    return Entry(
        type=kind, at=at, actor=actor, subject=subject, after=after, policy_version=policy_version, context=context
    )


def changed(
    kind: str, before: object, after: object, subject: str, *, at: datetime, actor: str, **context: Json
) -> Entry:
    """The entry for a change of a thing: only the fields that differ."""
    was, now = changes(before, after)
    return Entry(type=kind, at=at, actor=actor, subject=subject, before=was, after=now, context=context)
