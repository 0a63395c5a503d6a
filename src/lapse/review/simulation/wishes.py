"""What somebody wants, and in which ways its story may differ from the right way.

Everything goes through the real policy and into the real ledger format, so that the review derives it again. Without a
`Twist` a story is exactly as it should be. Values only; used by `asking`, `granting`, `demand` and the plants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from lapse.domain.grants import Grant
from lapse.domain.requests import Request, Ticket


class Fate(StrEnum):
    """What becomes of a request."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who asks for what, for how long and why. `extends` is the grant that it continues."""

    who: str
    entitlement: str
    duration: timedelta
    task: str = ""
    ticket: Ticket | None = None
    break_glass: bool = False
    extends: Grant | None = None
    starts_in: timedelta | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """The principal and what it wants."""
        return self.who, self.entitlement

    @property
    def resource(self) -> str:
        """The resource part of the entitlement."""
        return self.entitlement.partition("/")[0]

    @property
    def role(self) -> str:
        """The role part of the entitlement."""
        return self.entitlement.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """How a story differs from the right way. All defaults together are the right way.

    `approvers` cast the votes, one a stage; if they are fewer than the stages it is approved all the same. Each vote
    comes after `wait`, or as people do. `clock` is how much the approvers' clock is slow. `then` is called once the
    grant is in force, or the request is closed without one.
    """

    fate: Fate = Fate.APPROVE
    approvers: tuple[str, ...] | None = None
    wait: timedelta | None = None
    forged: timedelta | None = None
    clock: timedelta = timedelta(0)
    use: Use | None = None
    grant: GrantTwist | None = None
    then: Callable[[Case], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTwist:
    """What goes wrong with a grant itself."""

    before_approval: bool = False
    stale: timedelta = timedelta(0)
    active_early: timedelta = timedelta(0)
    late: timedelta = timedelta(0)
    never_ends: bool = False
    ends_early: timedelta = timedelta(0)
    longer: timedelta = timedelta(0)
    beneficiary: str = ""
    entitlement: str = ""
    other_terms: bool = False
    outliving: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a grant is used. `share` is how much of its time passes until the last use ends."""

    unused: bool = False
    share: float | None = None
    after_end: timedelta | None = None
    beyond_end: timedelta | None = None
    by: str = ""
    purpose: bool = False
    off_purpose: bool = False


@dataclass(slots=True, kw_only=True)
class Case:
    """One story while it is told: its request, and what follows from it."""

    wish: Wish
    twist: Twist
    asked_at: datetime
    request: Request
    stage: int = 0
    voted: list[str] = field(default_factory=list)
    quick: bool = False
    grant: Grant | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def over(self) -> None:
        """The story has told all that its teller waits for."""
        if self.twist.then is not None:
            self.twist.then(self)


RIGHT, USED = Twist(), Use()
GRANTED = GrantTwist()
