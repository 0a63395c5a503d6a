"""What is kept where: for each kind of value its table, its document, and the columns derived from it.

This is the one place that derives columns from values; every insert and update goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

from sqlalchemy import Table

from lapse.domain.actors import Token
from lapse.domain.aftermath import Aftermath
from lapse.domain.credentials import Credential
from lapse.domain.delegations import Delegation
from lapse.domain.exceptions import ReviewException
from lapse.domain.gateways import GatewayRun
from lapse.domain.grants import Grant
from lapse.domain.holds import Hold, HoldState
from lapse.domain.locks import Lock
from lapse.domain.looks import KnownFinding
from lapse.domain.notices import Posting, PostingState
from lapse.domain.principals import Group, Principal
from lapse.domain.proposals import Proposal, ProposalState
from lapse.domain.recordings import Segment
from lapse.domain.removals import OPEN as REMOVALS_OPEN
from lapse.domain.removals import Removal
from lapse.domain.requests import Decision, Request, RequestState
from lapse.domain.resources import Resource
from lapse.domain.reviews import Item, Review
from lapse.domain.schedules import ReviewSchedule
from lapse.domain.sessions import Session, SessionEnd, SessionState
from lapse.domain.sign_ins import SignIn
from lapse.domain.targets import Drift, Target, TargetRead, UseSighting
from lapse.domain.templates import Template
from lapse.ports import PolicyVersion
from lapse.storage import schema
from lapse.storage.documents import Documents, micros

T = TypeVar("T")


@dataclass(frozen=True)
class Shelf(Generic[T]):
    """A table of documents; `columns` gives a value's row without its document, in the table's order."""

    table: Table
    documents: Documents[T]
    columns: Callable[[T], tuple[object, ...]]

    def row(self, value: T) -> tuple[object, ...]:
        """The whole row of `value`."""
        columns, place = self.columns(value), self._document_at
        return (*columns[:place], self.documents.encode(value), *columns[place:])

    @cached_property
    def _document_at(self) -> int:
        """Where the document stands: last, but for columns that a migration added."""
        return [column.name for column in self.table.c].index("doc")

    @property
    def what(self) -> str:
        """How one value is called in messages."""
        return self.documents.what


def _request(request: Request) -> tuple[object, ...]:
    due = micros(request.expires_at) if request.state is RequestState.PENDING else None
    return (
        request.id,
        request.requester,
        request.beneficiary,
        request.entitlement,
        request.state.value,
        due,
        request.version,
        request.bundle or None,
    )


def _grant(grant: Grant) -> tuple[object, ...]:
    due = grant.due_at
    return (
        grant.id,
        grant.request_id,
        grant.beneficiary,
        grant.entitlement,
        grant.resource,
        grant.account,
        grant.state.value,
        None if due is None else micros(due),
        grant.extends,
        grant.version,
        _over_at(grant, due),
    )


def _over_at(grant: Grant, due: datetime | None) -> int | None:
    """When a grant was over: what is due is not; one that never reached a target was over when it ended."""
    return micros(grant.ended_at or grant.created_at) if due is None else None


def _delegation(delegation: Delegation) -> tuple[object, ...]:
    until = min(delegation.ends_at, delegation.ended_early_at or delegation.ends_at)
    return delegation.id, delegation.delegate, micros(until), delegation.version


def _posting(posting: Posting) -> tuple[object, ...]:
    due = micros(posting.due_at) if posting.state is PostingState.WAITING else None
    return posting.id, posting.state.value, due, posting.version


def _proposal(proposal: Proposal) -> tuple[object, ...]:
    return proposal.id, int(proposal.state is ProposalState.PENDING), proposal.version


def _credential(credential: Credential) -> tuple[object, ...]:
    """A credential that can open no session any more is not due."""
    spent = credential.revoked_at is not None or (credential.single_use and credential.used_at is not None)
    due = None if spent else micros(credential.expires_at)
    return credential.id, credential.login, credential.grant_id, credential.granted_to, due, credential.version


def _session(session: Session) -> tuple[object, ...]:
    due = micros(session.deadline) if session.state is SessionState.OPEN else None
    return (
        session.id,
        session.grant_id,
        session.principal,
        session.resource,
        session.gateway,
        session.state.value,
        int(session.must_end is not None),
        due,
        session.version,
        micros(session.deadline) if session.end_reason is SessionEnd.LOST else None,
    )


def _segment(segment: Segment) -> tuple[object, ...]:
    due = micros(segment.keep_until) if segment.removed_at is None else None
    return segment.id, segment.session_id, segment.number, due, segment.version


def _hold(hold: Hold) -> tuple[object, ...]:
    due = micros(hold.expires_at) if hold.state is HoldState.WAITING else None
    return hold.id, hold.session_id, hold.resource, hold.state.value, due, hold.version


def _removal(removal: Removal) -> tuple[object, ...]:
    due = micros(removal.due_at) if removal.state in REMOVALS_OPEN else None
    return removal.id, removal.resource, due, removal.version


REQUESTS = Shelf(schema.requests, Documents(Request, "request"), _request)
DECISIONS = Shelf(schema.decisions, Documents(Decision, "decision"), lambda d: (d.id, d.request_id))
GRANTS = Shelf(schema.grants, Documents(Grant, "grant"), _grant)
DELEGATIONS = Shelf(schema.delegations, Documents(Delegation, "delegation"), _delegation)
TEMPLATES = Shelf(schema.templates, Documents(Template, "template"), lambda t: (t.name,))
AFTERMATHS = Shelf(
    schema.aftermaths,
    Documents(Aftermath, "post-review"),
    lambda a: (a.id, a.beneficiary, int(a.judgement is None), a.version),
)
PROPOSALS = Shelf(schema.proposals, Documents(Proposal, "policy proposal"), _proposal)
LOCKS = Shelf(schema.locks, Documents(Lock, "lock"), lambda lock: (lock.id, int(lock.removed_at is None), lock.version))
NOTICES = Shelf(schema.notices, Documents(Posting, "notice"), _posting)
CREDENTIALS = Shelf(schema.credentials, Documents(Credential, "credential"), _credential)
SESSIONS = Shelf(schema.sessions, Documents(Session, "session"), _session)
SEGMENTS = Shelf(schema.segments, Documents(Segment, "segment"), _segment)
HOLDS = Shelf(schema.holds, Documents(Hold, "hold"), _hold)
GATEWAY_RUNS = Shelf(
    schema.gateway_runs,
    Documents(GatewayRun, "gateway run"),
    lambda run: (run.id, run.name, int(run.over_at is None), run.version),
)
TARGETS = Shelf(schema.targets, Documents(Target, "target"), lambda t: (t.resource,))
TOKENS = Shelf(schema.tokens, Documents(Token, "token"), lambda t: (t.id, t.digest, t.principal))
SIGN_INS = Shelf(
    schema.sign_ins,
    Documents(SignIn, "sign-in"),
    lambda s: (s.id, s.digest, s.principal, micros(s.expires_at), s.version),
)
DRIFTS = Shelf(schema.drifts, Documents(Drift, "drift"), lambda d: (d.id, d.resource, int(d.cleared_at is None)))
TARGET_READS = Shelf(schema.target_reads, Documents(TargetRead, "target read"), lambda r: (r.id, r.resource))
SIGHTINGS = Shelf(schema.sightings, Documents(UseSighting, "sighting"), lambda s: (s.id, s.resource))
REVIEWS = Shelf(schema.reviews, Documents(Review, "review"), lambda r: (r.id, r.version))
EXCEPTIONS = Shelf(schema.exceptions, Documents(ReviewException, "exception"), lambda e: (e.id, e.version))
REMOVALS = Shelf(schema.removals, Documents(Removal, "removal"), _removal)
SCHEDULES = Shelf(schema.schedules, Documents(ReviewSchedule, "review schedule"), lambda s: (s.name, s.version))
KNOWN_FINDINGS = Shelf(
    schema.known_findings, Documents(KnownFinding, "known finding"), lambda k: (k.id, k.schedule, k.version)
)
ITEMS = Shelf(schema.items, Documents(Item, "item"), lambda i: (i.id, i.review_id, i.version))

POLICY_DOCUMENTS = Documents(PolicyVersion, "policy")

PRINCIPALS = Documents(Principal, "principal")
GROUPS = Documents(Group, "group")
RESOURCES = Documents(Resource, "resource")
