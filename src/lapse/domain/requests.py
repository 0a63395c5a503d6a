"""Requests, decisions and the terms a policy offered: the part of access that people talk about.

`REQUEST_LIFE` is the whole life of a request.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class RequestState(StrEnum):
    """Where a request is."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class RequestEvent(StrEnum):
    """What can happen to a request."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    EXPIRE = "expire"


REQUEST_LIFE: Lifecycle[RequestState, RequestEvent] = Lifecycle(
    what="request",
    initial=frozenset({RequestState.PENDING}),
    table={
        (RequestState.PENDING, RequestEvent.APPROVE): RequestState.APPROVED,
        (RequestState.PENDING, RequestEvent.DENY): RequestState.DENIED,
        (RequestState.PENDING, RequestEvent.CANCEL): RequestState.CANCELLED,
        (RequestState.PENDING, RequestEvent.EXPIRE): RequestState.EXPIRED,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A reference into another system, e.g. system `jira`, number `OPS-1234`."""

    system: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of approval: `quorum` distinct persons out of `approvers` must say yes.

    `approvers` are parties: `group:NAME`, `owner` (of the resource), `manager` (of the beneficiary) or a
    principal's name. They are resolved to persons at each decision, never stored as persons.
    """

    name: str
    quorum: int
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a policy offers for one request: the offer's name and everything that binds the grant.

    `max_total` caps the contiguous time of a grant and all its extensions. No stages means auto-approval.
    """

    offer: str
    max_duration: timedelta
    max_total: timedelta
    pending_timeout: timedelta
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`requester` asks, for `beneficiary`, for `entitlement` over `requested_duration`.

    `terms` and `policy_version` are pinned at creation. `version` counts changes, for optimistic concurrency.
    """

    id: str
    requester: str
    beneficiary: str
    entitlement: str
    requested_duration: timedelta
    justification: str
    terms: Terms
    policy_version: str
    created_at: Instant
    expires_at: Instant
    ticket: Ticket | None = None
    starts_at: Instant | None = None
    extends: str | None = None
    state: RequestState = RequestState.PENDING
    closed_at: Instant | None = None
    close_reason: str = ""
    version: int = 0

    def after(self, event: RequestEvent, *, at: datetime, reason: str = "") -> Request:
        """This request after `event`; `Refused` where the lifecycle has no such step."""
        return replace(
            self,
            state=REQUEST_LIFE.step(self.state, event),
            closed_at=at,
            close_reason=reason,
            version=self.version + 1,
        )


class Verdict(StrEnum):
    """What an approver says."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One eligible person's vote. `approver` is the name used, `person` the human it resolved to."""

    id: str
    request_id: str
    approver: str
    person: str
    verdict: Verdict
    stage: str
    decided_at: Instant
    reason: str = ""
