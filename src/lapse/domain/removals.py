"""Taking access away after a review: standing access first so that it can be given back, then for good.

`REMOVAL_LIFE` is the whole life of a removal. A failure changes no state: it is tried again for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class RemovalState(StrEnum):
    """Where a removal is. `TAKEN` can be given back until its time is over, `GONE` cannot."""

    ASKED = "asked"
    TAKEN = "taken"
    GONE = "gone"
    RETURNING = "returning"
    RETURNED = "returned"


class RemovalEvent(StrEnum):
    """What can happen to a removal."""

    TAKE = "take"
    SETTLE = "settle"
    UNDO = "undo"
    RETURN = "return"


REMOVAL_LIFE: Lifecycle[RemovalState, RemovalEvent] = Lifecycle(
    what="removal",
    initial=frozenset({RemovalState.ASKED}),
    table={
        (RemovalState.ASKED, RemovalEvent.TAKE): RemovalState.TAKEN,
        (RemovalState.ASKED, RemovalEvent.SETTLE): RemovalState.GONE,
        (RemovalState.ASKED, RemovalEvent.UNDO): RemovalState.RETURNING,
        (RemovalState.TAKEN, RemovalEvent.SETTLE): RemovalState.GONE,
        (RemovalState.TAKEN, RemovalEvent.UNDO): RemovalState.RETURNING,
        (RemovalState.RETURNING, RemovalEvent.RETURN): RemovalState.RETURNED,
    },
)

MANUAL = "remove it there, then run the review again"
"""What is left to do where lapse does not manage a role."""

GIVEN_BACK = "given back"
"""What an item says whose removal was taken back."""

OPEN = frozenset({RemovalState.ASKED, RemovalState.TAKEN, RemovalState.RETURNING})
"""States from which something is still to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Access of `account` to `role` on `resource`, decided to end by review item `id`.

    With `grant_id` the enforcer ends that grant, for good; else it is standing access. `instead` is a narrower role
    that the account gets before. `due_at` is when the next step is to be taken: at once, at the end of
    `reversible_until`, or after a failure.
    `held` says whether the account held the role when it was to be taken away: what was not there is not given back.
    `instead_held` says the same of the narrower role: what was not there goes again when the removal is taken back.
    """

    id: str
    review_id: str
    resource: str
    account: str
    role: str
    asked_by: str
    asked_at: Instant
    reversible_until: Instant
    due_at: Instant
    state: RemovalState = RemovalState.ASKED
    grant_id: str = ""
    instead: str = ""
    held: bool | None = None
    instead_held: bool | None = None
    taken_at: Instant | None = None
    over_at: Instant | None = None
    attempts: int = 0
    last_error: str = ""
    version: int = 0

    def looked(self, *, held: bool, instead_held: bool | None) -> Removal:
        """The target was asked, before anything is done there."""
        return replace(self, held=held, instead_held=instead_held, version=self.version + 1)

    def after(self, event: RemovalEvent, *, at: datetime) -> Removal:
        """This removal after `event`; `Refused` where the lifecycle has no such step."""
        state = REMOVAL_LIFE.step(self.state, event)
        return replace(
            self,
            state=state,
            taken_at=at if event is RemovalEvent.TAKE else self.taken_at,
            over_at=at if state not in OPEN else None,
            due_at=self.reversible_until if state is RemovalState.TAKEN else at,
            attempts=0,
            last_error="",
            version=self.version + 1,
        )

    def failed(self, error: str, *, again_at: datetime) -> Removal:
        """The last step did not work; it is taken again at `again_at`."""
        return replace(self, attempts=self.attempts + 1, last_error=error, due_at=again_at, version=self.version + 1)
