"""One ledger entry: a change, who made it, when, and under which policy and context.

`before` and `after` hold the fields that changed, as data; for a new thing `before` is None. Entries contain no
floats and only ASCII keys, so that the fast encoder gives RFC 8785 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.data import Json


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
