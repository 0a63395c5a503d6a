"""Notices: what somebody should hear about now, and the outbox in which each waits until it is delivered.

Use cases and the clock post notices in the transaction of the change that they tell of; `control.delivery` sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.times import Instant

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)


class NoticeKind(StrEnum):
    """What happened."""

    APPROVAL_WANTED = "approval_wanted"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    COUNTER_OFFER = "counter_offer"
    DECIDED = "decided"
    BREAK_GLASS = "break_glass"
    REVIEW_DUE = "review_due"
    POLICY_PROPOSED = "policy_proposed"
    HOLD_ASKED = "hold_asked"
    ITEMS_ASKED = "items_asked"
    ITEMS_REMINDER = "items_reminder"
    REVIEW_MISSED = "review_missed"
    FINDINGS_NEW = "findings_new"
    LOOK_FAILED = "look_failed"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`to` are principals' names; `subject` the id of what it is about; `text` one sentence."""

    kind: NoticeKind
    subject: str
    to: tuple[str, ...]
    text: str
    at: Instant


class PostingState(StrEnum):
    """Where a notice is: `failed` is given up, after days or because a place will never take it."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one notice goes by one way: `reached` are its places there, `missing` the names that have none."""

    reached: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one try brought: places that took the notice, that never will (and why), and what went wrong."""

    sent: Mapping[str, Instant] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A notice in the outbox. Its `id` goes with every delivery, so that a receiver can drop what comes twice.

    While it waits it is tried at `due_at`; whoever tries it puts that off first, which keeps others away meanwhile.
    `sent` says when each place took it, `refused` why a place never will; `error` is what went wrong last.
    """

    id: str
    notice: Notice
    due_at: Instant
    state: PostingState = PostingState.WAITING
    attempts: int = 0
    sent: Mapping[str, Instant] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    closed_at: Instant | None = None
    version: int = 0

    def taken(self, until: datetime) -> Posting:
        """This posting while somebody tries to deliver it; from `until` on another may."""
        return replace(self, due_at=until, attempts=self.attempts + 1, version=self.version + 1)

    def revived(self, at: datetime) -> Posting:
        """This posting, given up, to be tried once more at `at`; places that took it stay told."""
        if self.state is not PostingState.FAILED:
            raise Refused(f"notice {self.id} is {self.state}", hint="only one that failed is tried again by hand")
        waiting = PostingState.WAITING
        return replace(self, state=waiting, due_at=at, refused={}, closed_at=None, version=self.version + 1)

    def tried(self, attempt: Attempt, *, at: datetime, give_up_after: timedelta) -> Posting:
        """This posting after a try: sent, to be tried again after a pause that grows, or given up."""
        sent, refused = {**self.sent, **attempt.sent}, {**self.refused, **attempt.refused}
        after = replace(self, sent=sent, refused=refused, error=attempt.error, version=self.version + 1)
        if attempt.complete:
            reached = not refused and (sent or not attempt.error)
            return replace(after, state=PostingState.SENT if reached else PostingState.FAILED, closed_at=at)
        if at >= self.notice.at + give_up_after:
            return replace(after, state=PostingState.FAILED, closed_at=at)
        return replace(after, due_at=at + _pause(self.attempts))


def _pause(attempts: int) -> timedelta:
    doublings = min(max(attempts - 1, 0), 20)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
