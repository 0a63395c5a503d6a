"""Notices: what somebody should hear about now. Made by use cases and by the clock; carried by whatever is set up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.times import Instant


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`to` are principals' names; `subject` the id of what it is about; `text` one sentence."""

    kind: NoticeKind
    subject: str
    to: tuple[str, ...]
    text: str
    at: Instant
