"""What must follow break-glass: an independent person looks at it, by a time.

While one is overdue there is no second break-glass. Made and judged by `control`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lapse.domain.approvers import ON_CALL
from lapse.domain.errors import Refused
from lapse.domain.times import Instant


class Judgement(StrEnum):
    """What the reviewer of a break-glass says."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


class ReviewCall(StrEnum):
    """When reviewers are called: when it was used (those who are on call), half way, and when it is overdue."""

    USED = "used"
    HALF = "half"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """The post-review of one break-glass request by `beneficiary`: `reviewers` are parties, as approvers are.

    `told` are the calls to its reviewers that were made; see `call_due`.
    """

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
    told: tuple[str, ...] = ()
    version: int = 0

    def overdue(self, now: datetime) -> bool:
        """Whether it should have been looked at by `now`."""
        return self.judgement is None and self.due_at <= now

    def call_due(self, now: datetime) -> ReviewCall | None:
        """The call to its reviewers that is due at `now` and was not made; of several the last."""
        if self.judgement is not None:
            return None
        half = self.created_at + (self.due_at - self.created_at) / 2
        reached = ReviewCall.OVERDUE if self.due_at <= now else ReviewCall.HALF if half <= now else ReviewCall.USED
        if reached in self.told or (reached is ReviewCall.USED and not self.rotas):
            return None
        return reached

    @property
    def rotas(self) -> tuple[str, ...]:
        """The rotas among its reviewers."""
        return tuple(one.partition(":")[2] for one in self.reviewers if one.startswith(f"{ON_CALL}:"))

    def called(self, call: ReviewCall) -> Aftermath:
        """The call was made; those before it are not made any more."""
        return replace(self, told=(*self.told, call), version=self.version + 1)

    def judged(self, judgement: Judgement, *, by: str, at: datetime, note: str) -> Aftermath:
        """Looked at; once and for all."""
        if self.judgement is not None:
            raise Refused(f"{self.id} was judged {self.judgement.replace('_', ' ')} already, by `{self.reviewed_by}`")
        return replace(self, judgement=judgement, reviewed_by=by, reviewed_at=at, note=note, version=self.version + 1)
