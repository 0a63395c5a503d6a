"""Builds a year of requests, votes, grants and use as rows of evidence and ledger entries. Used by `history`.

Everything a story says goes through the real policy and into the real ledger format, so that the review re-derives
it. A story may go wrong in named ways (`Twist`); without one it is exactly as it should be.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lapse.domain.approvers import eligible_persons
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.domain.principals import Principal
from lapse.domain.requests import Decision, Request, RequestEvent, Verdict
from lapse.domain.terms import Stage, Terms
from lapse.ledger.entry import Entry, changed, created
from lapse.policy import Policy, ask_for, decide
from lapse.review import rows

_TASKS = (
    "look into failed order {n}",
    "check the totals of invoice {n}",
    "fix a stuck job, run {n}",
    "answer support case {n}",
    "prepare migration {n}",
    "verify the backfill of batch {n}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who asks for what, when, for how long."""

    person: str
    entitlement: str
    at: datetime
    duration: timedelta
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """How a story differs from the right way. All defaults together are the right way."""

    approvers: tuple[str, ...] | None = None
    forged_duration: timedelta | None = None
    activated_early: bool = False
    late: timedelta = timedelta(0)
    never_ends: bool = False
    unused: bool = False
    use_after: timedelta | None = None
    session_over: timedelta | None = None
    quick: bool = False


RIGHT = Twist()


@dataclass
class Year:
    """The rows of each evidence table, and the ledger entries, in the order in which they are told."""

    policy: Policy
    catalog: Catalog
    now: datetime
    chance: random.Random
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    _number: int = 0

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """One row of evidence."""
        self.tables.setdefault(table, []).append(dict(row))

    def leave(self, name: str, at: datetime) -> None:
        """The person leaves: the catalog changes, and HR says so."""
        before = self.catalog.principals[name]
        after = replace(before, active=False, left_at=at)
        self.catalog = replace(self.catalog, principals={**self.catalog.principals, name: after})
        self.entries.append(
            changed("catalog.principal.change", before, after, f"principal:{name}", at=at, actor="root")
        )
        self.add("people_events", {"principal": name, "happened_at": at, "event": "left"})

    def deny(self, wish: Wish) -> None:
        """A request that an approver says no to."""
        request = self._asked(wish, RIGHT)
        at = wish.at + timedelta(minutes=self.chance.randint(2, 90))
        person = self._approvers(request)[0]
        self._vote(request, request.terms.stages[0], person, at, Verdict.DENY)
        self._close(request, RequestEvent.DENY, at, person)

    def expire(self, wish: Wish) -> None:
        """A request that nobody decides."""
        request = self._asked(wish, RIGHT)
        self._close(request, RequestEvent.EXPIRE, request.expires_at, "system:clock")

    def grant(self, wish: Wish, twist: Twist = RIGHT) -> Grant:
        """A request that is approved, used and ended, as `twist` says."""
        request = self._asked(wish, twist)
        decided = self._decide(request, twist)
        approved = self._close(request, RequestEvent.APPROVE, decided, "system:policy")
        return self._granted(approved, decided, twist)

    def _asked(self, wish: Wish, twist: Twist) -> Request:
        ask = ask_for(
            self.catalog,
            requester=wish.person,
            entitlement=wish.entitlement,
            duration=wish.duration,
            justification=wish.task or self.chance.choice(_TASKS).format(n=self.chance.randint(1_000, 9_999)),
            at=wish.at,
        )
        terms = decide(self.policy, ask).terms
        if terms is None:
            raise ValueError(f"the made-up policy refuses {wish}")
        request = Request(
            id=self._id("req"),
            requester=wish.person,
            beneficiary=wish.person,
            entitlement=wish.entitlement,
            requested_duration=wish.duration,
            justification=ask.justification,
            terms=_forged(terms, twist),
            policy_version=self.policy.version,
            created_at=wish.at,
            expires_at=wish.at + terms.pending_timeout,
        )
        data = {"ask": to_data(ask), "via": "cli"}
        self.entries.append(
            created(
                "request.created",
                request,
                request.id,
                at=wish.at,
                actor=wish.person,
                policy_version=self.policy.version,
                **data,
            )
        )
        for row in rows.stage_rows(request):
            self.add("stages", row)
        return request

    def _approvers(self, request: Request) -> tuple[str, ...]:
        """One distinct eligible person a stage."""
        chosen: list[str] = []
        for stage in request.terms.stages:
            able = sorted(eligible_persons(stage, request, self.catalog) - set(chosen))
            chosen.append(self.chance.choice(able))
        return tuple(chosen)

    def _decide(self, request: Request, twist: Twist) -> datetime:
        at = request.created_at
        names = self._approvers(request) if twist.approvers is None else twist.approvers
        for stage, name in zip(request.terms.stages, names, strict=False):
            at += timedelta(seconds=20 if twist.quick else self.chance.randint(60, 2_400))
            self._vote(request, stage, name, at, Verdict.APPROVE)
        return at

    def _vote(self, request: Request, stage: Stage, name: str, at: datetime, verdict: Verdict) -> None:
        decision = Decision(
            id=self._id("dec"),
            request_id=request.id,
            approver=name,
            person=name,
            verdict=verdict,
            stage=stage.name,
            decided_at=at,
            reason="" if verdict is Verdict.APPROVE else "not needed for this",
        )
        self.entries.append(created(f"decision.{verdict}", decision, request.id, at=at, actor=name))
        self.add("decisions", rows.decision_row(decision))

    def _close(self, request: Request, event: RequestEvent, at: datetime, actor: str) -> Request:
        closed = request.after(event, at=at)
        self.entries.append(changed(f"request.{closed.state}", request, closed, request.id, at=at, actor=actor))
        self.add("requests", rows.request_row(closed))
        return closed

    def _granted(self, request: Request, decided: datetime, twist: Twist) -> Grant:
        begins = request.created_at + timedelta(seconds=5) if twist.activated_early else decided
        activated = begins + timedelta(milliseconds=self.chance.randint(40, 400))
        ends = begins + request.requested_duration
        grant = Grant(
            id=self._id("gra"),
            request_id=request.id,
            beneficiary=request.beneficiary,
            entitlement=request.entitlement,
            starts_at=begins,
            duration=request.requested_duration,
            policy_version=request.policy_version,
            created_at=begins,
            state=GrantState.ACTIVE,
            account=request.beneficiary,
            held_before=False,
            activated_at=activated,
            ends_at=ends,
        )
        self._record(grant, "grant.scheduled", begins)
        ended = self._ended(grant, twist)
        native = self.catalog.entitlement(grant.entitlement).native["role"]
        self.add("grants", rows.grant_row(ended, native, None))
        if not twist.unused:
            self._use(ended, twist)
        return ended

    def _ended(self, grant: Grant, twist: Twist) -> Grant:
        if grant.ends_at is None or grant.ends_at >= self.now:
            return grant
        if twist.never_ends:
            return replace(grant, state=GrantState.REVOKE_FAILED, attempts=412, last_error="connection refused")
        lag = twist.late or timedelta(milliseconds=self._lag_ms())
        ended = replace(grant, state=GrantState.ENDED, end_reason=EndReason.ELAPSED, ended_at=grant.ends_at + lag)
        self._record(ended, "grant.ended", ended.ended_at or self.now)
        return ended

    def _lag_ms(self) -> int:
        return min(int(self.chance.lognormvariate(3.6, 0.7)) + 8, 4_000)

    def _record(self, grant: Grant, kind: str, at: datetime) -> None:
        entry = created(kind, grant, grant.id, at=at, actor="system:enforcer", request=grant.request_id)
        self.entries.append(entry)
        self.add("enforcement_events", rows.event_row(None, entry))

    def _use(self, grant: Grant, twist: Twist) -> None:
        start, end = grant.activated_at or self.now, min(grant.ends_at or self.now, self.now)
        length = (end - start).total_seconds()
        for _ in range(self.chance.randint(1, 3)):
            begin = start + timedelta(seconds=length * self.chance.uniform(0.01, 0.35))
            stop = min(begin + timedelta(seconds=length * self.chance.uniform(0.05, 0.4)), end - timedelta(seconds=2))
            self._session(grant, begin, stop)
        if twist.use_after is not None and grant.ended_at is not None:
            begin = grant.ended_at + twist.use_after
            self._session(grant, begin, begin + timedelta(minutes=4))
        if twist.session_over is not None:
            self._session(grant, end - timedelta(minutes=3), end + twist.session_over)

    def _session(self, grant: Grant, begin: datetime, stop: datetime) -> None:
        row = {
            "resource": grant.resource,
            "account": grant.account,
            "started_at": begin,
            "ended_at": max(begin, stop),
            "grant_id": grant.id,
            "source": "postgresql log",
        }
        self.add("usage", row)

    def _id(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}_{self._number:08d}"


def first_entries(catalog: Catalog, at: datetime) -> list[Entry]:
    """The ledger's beginning: every part of the catalog is added."""
    found = []
    for kind, things in (
        ("principal", catalog.principals),
        ("group", catalog.groups),
        ("resource", catalog.resources),
    ):
        for name, thing in things.items():
            found.append(created(f"catalog.{kind}.add", thing, f"{kind}:{name}", at=at, actor="root"))
    return found


def person(year: Year, name: str) -> Principal:
    """A person as the catalog has them now."""
    return year.catalog.principals[name]


def _forged(terms: Terms, twist: Twist) -> Terms:
    return terms if twist.forged_duration is None else replace(terms, max_duration=twist.forged_duration)
