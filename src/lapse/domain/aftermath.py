"""What must follow break-glass: an independent person looks at it, by a time.

While one is overdue there is no second break-glass. Made and judged by `control`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.times import Instant


class Judgement(StrEnum):
    """What the reviewer of a break-glass says."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """The post-review of one break-glass request by `beneficiary`: `reviewers` are parties, as approvers are."""

    id: str
    request_id: str
    beneficiary: str
    entitlement: str
    reviewers: tuple[str, ...]
    created_at: Instant
    due_at: Instant
    judgement: Judgement | None = None
    reviewed_by: str = ""
    reviewed_at: Instant | None = None
    note: str = ""
    version: int = 0

    def overdue(self, now: datetime) -> bool:
        """Whether it should have been looked at by `now`."""
        return self.judgement is None and self.due_at <= now

    def judged(self, judgement: Judgement, *, by: str, at: datetime, note: str) -> Aftermath:
        """Looked at; once and for all."""
        if self.judgement is not None:
            raise Refused(f"{self.id} was judged {self.judgement.replace('_', ' ')} already, by `{self.reviewed_by}`")
        return replace(self, judgement=judgement, reviewed_by=by, reviewed_at=at, note=note, version=self.version + 1)
