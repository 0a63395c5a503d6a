"""Grants: time-bound rights, from schedule to proof of end.

`GRANT_LIFE` is the whole life of a grant. `ends_at` is fixed once, when activation starts (before the target
could possibly give access), and nothing moves it afterwards. `ended_at` is when the target was seen to
refuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class GrantState(StrEnum):
    """Where a grant is."""

    SCHEDULED = "scheduled"
    ACTIVATING = "activating"
    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKE_FAILED = "revoke_failed"
    ENDED = "ended"
    ACTIVATION_FAILED = "activation_failed"


class GrantEvent(StrEnum):
    """What can happen to a grant."""

    BEGIN = "begin"
    CONFIRM = "confirm"
    FAIL = "fail"
    CANCEL = "cancel"
    END = "end"
    CONFIRM_END = "confirm_end"
    FAIL_END = "fail_end"


class EndReason(StrEnum):
    """Why a grant ended."""

    ELAPSED = "elapsed"
    RELEASED = "released"
    REVOKED = "revoked"
    LOCKED = "locked"
    POLICY_CHANGED = "policy_changed"
    DRIFT = "drift"


GRANT_LIFE: Lifecycle[GrantState, GrantEvent] = Lifecycle(
    what="grant",
    initial=frozenset({GrantState.SCHEDULED}),
    table={
        (GrantState.SCHEDULED, GrantEvent.BEGIN): GrantState.ACTIVATING,
        (GrantState.SCHEDULED, GrantEvent.CANCEL): GrantState.ENDED,
        (GrantState.ACTIVATING, GrantEvent.CONFIRM): GrantState.ACTIVE,
        (GrantState.ACTIVATING, GrantEvent.FAIL): GrantState.ACTIVATION_FAILED,
        (GrantState.ACTIVATING, GrantEvent.END): GrantState.REVOKING,
        (GrantState.ACTIVE, GrantEvent.END): GrantState.REVOKING,
        (GrantState.REVOKING, GrantEvent.CONFIRM_END): GrantState.ENDED,
        (GrantState.REVOKING, GrantEvent.FAIL_END): GrantState.REVOKE_FAILED,
        (GrantState.REVOKE_FAILED, GrantEvent.FAIL_END): GrantState.REVOKE_FAILED,
        (GrantState.REVOKE_FAILED, GrantEvent.CONFIRM_END): GrantState.ENDED,
    },
)

LIVE = frozenset({GrantState.ACTIVATING, GrantState.ACTIVE})
"""States in which the target should have (or be about to have) the access."""

ENDING = frozenset({GrantState.REVOKING, GrantState.REVOKE_FAILED})
"""States in which the access must go, and has not been seen to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A right to `entitlement` for `beneficiary`, from `starts_at` for `duration`, until `ends_at`.

    `account` is the login on the target (for an ephemeral login: the one created for this grant).
    `held_before` says whether the account already had the role, by no grant of ours, when activation began:
    such access is standing, is reported as that, and is left as it was found at the end.
    `extends` names the grant that this one continues; both share the account. `purpose` is what its offer pinned,
    `sponsor` the person that an agent acts for, `break_glass` that nobody was asked. `suspended_by` is the lock under
    which a scheduled grant waits. However late it begins, it is over at `ends_by`.
    """

    id: str
    request_id: str
    beneficiary: str
    entitlement: str
    starts_at: Instant
    duration: timedelta
    policy_version: str
    created_at: Instant
    state: GrantState = GrantState.SCHEDULED
    account: str = ""
    held_before: bool | None = None
    activated_at: Instant | None = None
    ends_at: Instant | None = None
    ended_at: Instant | None = None
    end_reason: EndReason | None = None
    extends: str | None = None
    purpose: str = ""
    sponsor: str = ""
    break_glass: bool = False
    ends_by: Instant | None = None
    suspended_by: str = ""
    attempts: int = 0
    next_attempt_at: Instant | None = None
    last_error: str = ""
    version: int = 0

    @property
    def resource(self) -> str:
        """The resource part of the entitlement."""
        return self.entitlement.partition("/")[0]

    @property
    def role(self) -> str:
        """The role part of the entitlement."""
        return self.entitlement.partition("/")[2]

    @property
    def lapses_at(self) -> datetime:
        """When a scheduled grant that did not begin is over; what extends another lapses so long after its end."""
        return self.starts_at + self.duration

    @property
    def due_at(self) -> datetime | None:
        """When the enforcer must next act on this grant; None once it is over.

        What is due at once gives `created_at`.
        """
        match self.state:
            case GrantState.SCHEDULED:
                return self.lapses_at if self.suspended_by else self.next_attempt_at or self.starts_at
            case GrantState.ACTIVE:
                return self.ends_at
            case GrantState.ACTIVATING | GrantState.REVOKING | GrantState.REVOKE_FAILED:
                return self.next_attempt_at or self.created_at
            case GrantState.ENDED | GrantState.ACTIVATION_FAILED:
                return None

    def begun(self, *, account: str, held_before: bool, ends_at: datetime) -> Grant:
        """Activation starts: the deadline is fixed and what was there before is on record."""
        return self._after(
            GrantEvent.BEGIN,
            account=account,
            held_before=held_before,
            ends_at=ends_at,
            attempts=0,
            next_attempt_at=None,
            last_error="",
        )

    def confirmed(self, *, at: datetime) -> Grant:
        """The target was read back and has the access."""
        return self._after(GrantEvent.CONFIRM, activated_at=at, attempts=0, next_attempt_at=None, last_error="")

    def failed(self, *, at: datetime, error: str) -> Grant:
        """Activation is given up; the target was seen without the access."""
        return self._after(GrantEvent.FAIL, ended_at=at, last_error=error, next_attempt_at=None)

    def cancelled(self, reason: EndReason, *, at: datetime) -> Grant:
        """Ended before anything reached the target."""
        return self._after(GrantEvent.CANCEL, end_reason=reason, ended_at=at)

    def ending(self, reason: EndReason, *, in_hand_until: datetime | None = None) -> Grant:
        """The access must go now; `in_hand_until` is set by an enforcer that is removing it already."""
        return self._after(GrantEvent.END, end_reason=reason, attempts=0, next_attempt_at=in_hand_until, last_error="")

    def ended(self, *, at: datetime) -> Grant:
        """The target was seen to refuse, at `at`."""
        return self._after(GrantEvent.CONFIRM_END, ended_at=at, next_attempt_at=None, last_error="")

    def elapsed(self, *, at: datetime) -> Grant:
        """Both steps to the end at once: the target refused (at `at`) before it was on record that the end began."""
        state = GRANT_LIFE.step(GRANT_LIFE.step(self.state, GrantEvent.END), GrantEvent.CONFIRM_END)
        return replace(
            self,
            state=state,
            end_reason=EndReason.ELAPSED,
            ended_at=at,
            attempts=0,
            next_attempt_at=None,
            last_error="",
            version=self.version + 1,
        )

    def end_failed(self, *, error: str, next_attempt_at: datetime) -> Grant:
        """The access could not be seen to be gone; it is tried again at `next_attempt_at`, for ever."""
        return self._after(
            GrantEvent.FAIL_END, attempts=self.attempts + 1, next_attempt_at=next_attempt_at, last_error=error
        )

    def postponed(self, *, error: str, next_attempt_at: datetime) -> Grant:
        """Activation did not work yet; tried again at `next_attempt_at`. The deadline stays where it is."""
        if self.state not in {GrantState.SCHEDULED, GrantState.ACTIVATING}:
            raise Refused(f"a grant that is {self.state.replace('_', ' ')} cannot be activated later")
        return replace(
            self,
            attempts=self.attempts + 1,
            next_attempt_at=next_attempt_at,
            last_error=error,
            version=self.version + 1,
        )

    def suspended(self, by: str) -> Grant:
        """Waits under lock `by`, or goes on waiting for its start if `by` is empty. Its own time runs on meanwhile."""
        if self.state is not GrantState.SCHEDULED:
            raise Refused(f"a grant that is {self.state.replace('_', ' ')} cannot wait")
        return replace(self, suspended_by=by, next_attempt_at=None, version=self.version + 1)

    def _after(self, event: GrantEvent, **changes: object) -> Grant:
        state = GRANT_LIFE.step(self.state, event)
        return replace(self, state=state, version=self.version + 1, **changes)  # type: ignore[arg-type]


def holders_besides(grant: Grant, others: Iterable[Grant]) -> tuple[Grant, ...]:
    """The overlap with `grant`: live grants among `others` of the same entitlement to the same account."""
    return tuple(
        other
        for other in others
        if other.id != grant.id
        and other.state in LIVE
        and (other.entitlement, other.account) == (grant.entitlement, grant.account)
    )
