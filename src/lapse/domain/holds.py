"""Holds: a statement that waits at the gateway until an approver says yes or no, or nobody does in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class HoldState(StrEnum):
    """Where a hold is."""

    WAITING = "waiting"
    ALLOWED = "allowed"
    REFUSED = "refused"
    EXPIRED = "expired"
    DROPPED = "dropped"


class HoldEvent(StrEnum):
    """What can happen to it; `drop`: its session is over."""

    ALLOW = "allow"
    REFUSE = "refuse"
    EXPIRE = "expire"
    DROP = "drop"


HOLD_LIFE: Lifecycle[HoldState, HoldEvent] = Lifecycle(
    what="hold",
    initial=frozenset({HoldState.WAITING}),
    table={
        (HoldState.WAITING, HoldEvent.ALLOW): HoldState.ALLOWED,
        (HoldState.WAITING, HoldEvent.REFUSE): HoldState.REFUSED,
        (HoldState.WAITING, HoldEvent.EXPIRE): HoldState.EXPIRED,
        (HoldState.WAITING, HoldEvent.DROP): HoldState.DROPPED,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """`statement` is what was asked for (cut for display, its whole text has `sha256`); `why` the rule that holds it.

    Who may decide is fixed when it is made: `approvers`, minus everybody behind the session's principal.
    """

    id: str
    session_id: str
    grant_id: str
    resource: str
    entitlement: str
    principal: str
    statement: str
    sha256: str
    why: str
    approvers: tuple[str, ...]
    asked_at: Instant
    expires_at: Instant
    state: HoldState = HoldState.WAITING
    decided_by: str = ""
    decided_at: Instant | None = None
    comment: str = ""
    version: int = 0

    def after(self, event: HoldEvent, *, at: Instant, by: str = "", comment: str = "") -> Hold:
        """What it is after `event`."""
        return replace(
            self,
            state=HOLD_LIFE.step(self.state, event),
            decided_by=by,
            decided_at=at,
            comment=comment,
            version=self.version + 1,
        )
