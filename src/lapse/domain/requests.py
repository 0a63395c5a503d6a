"""Requests and decisions: the part of access that people talk about.

`REQUEST_LIFE` is the whole life of a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.terms import Terms
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
class Recurrence:
    """The same access again: on `days` (0 is Monday) at `at_minute` of the day in `timezone`, up to and with `until`.

    Each occurrence lasts the request's duration and becomes a grant of its own. `starts_at` of the request, or its
    approval, is the earliest beginning of the first.
    """

    days: tuple[int, ...]
    at_minute: int
    timezone: str
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterOffer:
    """Less than was asked, by somebody who may decide: a shorter time, a narrower entitlement, or both.

    The requester accepts it, which changes the request and makes `vote`, the offerer's yes, count; or cancels.
    """

    approver: str
    entitlement: str
    duration: timedelta
    reason: str
    offered_at: Instant
    vote: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`requester` asks, for `beneficiary`, for `entitlement` over `requested_duration`.

    `terms` and `policy_version` are pinned at creation. `version` counts changes, for optimistic concurrency.
    `bundle` is shared by requests that are granted together or not at all. While a `counter` waits for the requester
    nobody can approve. `repeats` makes one grant for each occurrence. `sponsor` is the person that an agent in it
    acts for, as the catalog had it. Decisions named in `void` were about more or other than the request is about now,
    and count no more. `told` names the reminders and escalations that were sent.
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
    bundle: str = ""
    repeats: Recurrence | None = None
    counter: CounterOffer | None = None
    sponsor: str = ""
    void: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
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
            counter=None,
            version=self.version + 1,
        )

    def countered(self, offer: CounterOffer) -> Request:
        """This request while `offer` waits for the requester."""
        return replace(self, counter=offer, version=self.version + 1)

    def reduced(self, terms: Terms, policy_version: str, void: Iterable[str]) -> Request:
        """This request once its counter-offer is accepted, under new terms; decisions named in `void` count no more.

        Approvers have no longer than before. `Refused` without a counter-offer.
        """
        if self.counter is None:
            raise Refused(f"nobody offered anything else for request {self.id}")
        return replace(
            self,
            entitlement=self.counter.entitlement,
            requested_duration=self.counter.duration,
            terms=terms,
            policy_version=policy_version,
            expires_at=min(self.expires_at, self.created_at + terms.pending_timeout),
            counter=None,
            void=(*self.void, *void),
            told=(),
            version=self.version + 1,
        )


class Verdict(StrEnum):
    """What an approver says."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One eligible person's vote. `approver` is the name used, `person` the human it resolved to.

    The rest is what it depended on beside the catalog, pinned so that it can be counted again: `on_call` says by rota
    who was on call then (a rota that could not be read is missing), `acts_for` whose delegate the approver was. Where
    the vote was cast as the delegate of one of them that is `on_behalf_of`, under `delegation`.
    """

    id: str
    request_id: str
    approver: str
    person: str
    verdict: Verdict
    stage: str
    decided_at: Instant
    reason: str = ""
    on_call: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    acts_for: tuple[str, ...] = ()
    on_behalf_of: str = ""
    delegation: str = ""
