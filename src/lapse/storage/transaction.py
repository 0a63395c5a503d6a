"""`ports.Transaction` over a link: the writing half. Called only by the stores, which begin and commit.

Everything goes through the link of one database transaction, ledger entries included, so that it stays or goes
together. Saving is optimistic: a row whose version is not the expected one is a `Conflict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from lapse.domain.actors import Token
from lapse.domain.aftermath import Aftermath
from lapse.domain.catalog import Catalog
from lapse.domain.credentials import Credential
from lapse.domain.delegations import Delegation
from lapse.domain.errors import Conflict
from lapse.domain.exceptions import ReviewException
from lapse.domain.gateways import GatewayRun
from lapse.domain.grants import Grant
from lapse.domain.holds import Hold
from lapse.domain.locks import Lock
from lapse.domain.looks import KnownFinding
from lapse.domain.notices import Posting
from lapse.domain.proposals import Proposal
from lapse.domain.recordings import Segment
from lapse.domain.removals import Removal
from lapse.domain.requests import Decision, Request
from lapse.domain.reviews import Item, Review
from lapse.domain.schedules import ReviewSchedule
from lapse.domain.sessions import Session
from lapse.domain.sign_ins import SignIn
from lapse.domain.targets import Drift, Target, TargetRead, UseSighting
from lapse.domain.templates import Template
from lapse.ledger.canonical import encode
from lapse.ledger.entry import Entry
from lapse.ports import PolicyVersion
from lapse.storage import catalogs, queries, schema, shelves
from lapse.storage.documents import micros
from lapse.storage.links import Unit
from lapse.storage.reading import SqlReader
from lapse.storage.shelves import Shelf
from lapse.storage.statements import Bulk, bulk_insert, bulk_save, bulk_upsert

T = TypeVar("T")

_SHELVES: tuple[Shelf[Any], ...] = (
    shelves.REQUESTS,
    shelves.DECISIONS,
    shelves.GRANTS,
    shelves.LOCKS,
    shelves.DELEGATIONS,
    shelves.TEMPLATES,
    shelves.AFTERMATHS,
    shelves.PROPOSALS,
    shelves.NOTICES,
    shelves.CREDENTIALS,
    shelves.SESSIONS,
    shelves.SEGMENTS,
    shelves.HOLDS,
    shelves.GATEWAY_RUNS,
    shelves.TARGETS,
    shelves.TOKENS,
    shelves.DRIFTS,
    shelves.TARGET_READS,
    shelves.SIGHTINGS,
    shelves.REVIEWS,
    shelves.ITEMS,
    shelves.EXCEPTIONS,
    shelves.REMOVALS,
    shelves.SCHEDULES,
    shelves.KNOWN_FINDINGS,
    shelves.SIGN_INS,
)
_ADD: Mapping[str, Bulk] = {shelf.table.name: bulk_insert(shelf.table) for shelf in _SHELVES}
_PUT: Mapping[str, Bulk] = {
    shelf.table.name: bulk_upsert(shelf.table)
    for shelf in (
        shelves.TEMPLATES,
        shelves.TARGETS,
        shelves.TOKENS,
        shelves.DRIFTS,
        shelves.SIGHTINGS,
        shelves.ITEMS,
        shelves.KNOWN_FINDINGS,
    )
}
_SAVE: Mapping[str, Bulk] = {
    "sign_ins": bulk_save(schema.sign_ins, ("version", "doc")),
    "requests": bulk_save(schema.requests, ("entitlement", "state", "due_at", "version", "bundle", "doc")),
    "grants": bulk_save(schema.grants, ("account", "state", "due_at", "over_at", "version", "doc")),
    "delegations": bulk_save(schema.delegations, ("until", "version", "doc")),
    "aftermaths": bulk_save(schema.aftermaths, ("is_open", "version", "doc")),
    "proposals": bulk_save(schema.proposals, ("is_open", "version", "doc")),
    "notices": bulk_save(schema.notices, ("state", "due_at", "version", "doc")),
    "credentials": bulk_save(schema.credentials, ("due_at", "version", "doc")),
    "sessions": bulk_save(schema.sessions, ("state", "must_end", "due_at", "lost_until", "version", "doc")),
    "segments": bulk_save(schema.segments, ("due_at", "version", "doc")),
    "holds": bulk_save(schema.holds, ("state", "due_at", "version", "doc")),
    "gateway_runs": bulk_save(schema.gateway_runs, ("is_open", "version", "doc")),
    "locks": bulk_save(schema.locks, ("in_force", "version", "doc")),
    "reviews": bulk_save(schema.reviews, ("version", "doc")),
    "items": bulk_save(schema.items, ("version", "doc")),
    "exceptions": bulk_save(schema.exceptions, ("version", "doc")),
    "removals": bulk_save(schema.removals, ("due_at", "version", "doc")),
    "schedules": bulk_save(schema.schedules, ("version", "doc")),
}
_PUT_POLICY = bulk_upsert(schema.policies)
_ADD_REPLY = bulk_insert(schema.replies)
_ENTRY = ("type", "subject", "body")
_BODY = _ENTRY.index("body")
_APPEND = bulk_insert(schema.ledger_entries, _ENTRY)


class SqlTransaction(SqlReader):
    """A reader that also writes; the store commits or rolls back."""

    def __init__(self, unit: Unit, cache: catalogs.CatalogCache) -> None:
        super().__init__(unit, cache)
        self._unit = unit
        self.catalog_seen: tuple[int, Catalog] | None = None
        """The catalog with its version, as this transaction leaves it; None if it never looked."""
        self.appended: list[tuple[int, list[bytes]]] = []
        """Ledger entries that were recorded, by the id of the first, as far as the database tells."""

    async def catalog(self) -> Catalog:
        """The catalog; what this transaction has written of it is seen by nobody else yet."""
        if self.catalog_seen is None:
            self.catalog_seen = await self._catalogs.seen_by(self._link)
        return self.catalog_seen[1]

    async def add_request(self, request: Request) -> None:
        """A new request."""
        await self._add(shelves.REQUESTS, (request,))

    async def save_request(self, request: Request) -> None:
        """A changed request."""
        await self._save(shelves.REQUESTS, (request,))

    async def add_decision(self, decision: Decision) -> None:
        """A new decision."""
        await self._add(shelves.DECISIONS, (decision,))

    async def add_grants(self, grants: Sequence[Grant]) -> None:
        """New grants, in one statement."""
        await self._add(shelves.GRANTS, grants)

    async def save_grants(self, grants: Sequence[Grant]) -> None:
        """Changed grants: all or none, in one statement."""
        await self._save(shelves.GRANTS, grants)

    async def add_postings(self, postings: Sequence[Posting]) -> None:
        """New notices for the outbox, in one statement."""
        await self._add(shelves.NOTICES, postings)

    async def save_postings(self, postings: Sequence[Posting]) -> None:
        """Changed notices: all or none."""
        await self._save(shelves.NOTICES, postings)

    async def add_lock(self, lock: Lock) -> None:
        """A new lock."""
        await self._add(shelves.LOCKS, (lock,))

    async def save_lock(self, lock: Lock) -> None:
        """A changed lock."""
        await self._save(shelves.LOCKS, (lock,))

    async def add_delegation(self, delegation: Delegation) -> None:
        """A new delegation."""
        await self._add(shelves.DELEGATIONS, (delegation,))

    async def save_delegation(self, delegation: Delegation) -> None:
        """A changed delegation."""
        await self._save(shelves.DELEGATIONS, (delegation,))

    async def put_template(self, template: Template) -> None:
        """A new or changed request template."""
        await self._put(shelves.TEMPLATES, (template,))

    async def remove_template(self, name: str) -> None:
        """A request template is no more."""
        await self._one(shelves.TEMPLATES, name)
        await self._link.change(queries.REMOVE_TEMPLATE, name=name)

    async def add_aftermath(self, aftermath: Aftermath) -> None:
        """A new post-review."""
        await self._add(shelves.AFTERMATHS, (aftermath,))

    async def save_aftermath(self, aftermath: Aftermath) -> None:
        """A changed post-review."""
        await self._save(shelves.AFTERMATHS, (aftermath,))

    async def add_proposal(self, proposal: Proposal) -> None:
        """A new policy proposal."""
        await self._add(shelves.PROPOSALS, (proposal,))

    async def save_proposal(self, proposal: Proposal) -> None:
        """A changed policy proposal."""
        await self._save(shelves.PROPOSALS, (proposal,))

    async def add_credential(self, credential: Credential) -> None:
        """A new credential for the gateway."""
        await self._add(shelves.CREDENTIALS, (credential,))

    async def save_credentials(self, credentials: Sequence[Credential]) -> None:
        """Changed credentials: all or none."""
        await self._save(shelves.CREDENTIALS, credentials)

    async def add_session(self, session: Session) -> None:
        """A new session."""
        await self._add(shelves.SESSIONS, (session,))

    async def save_sessions(self, sessions: Sequence[Session]) -> None:
        """Changed sessions: all or none."""
        await self._save(shelves.SESSIONS, sessions)

    async def add_segment(self, segment: Segment) -> None:
        """A sealed segment."""
        await self._add(shelves.SEGMENTS, (segment,))

    async def save_segments(self, segments: Sequence[Segment]) -> None:
        """Changed segments: all or none."""
        await self._save(shelves.SEGMENTS, segments)

    async def add_hold(self, hold: Hold) -> None:
        """A new hold."""
        await self._add(shelves.HOLDS, (hold,))

    async def save_holds(self, holds: Sequence[Hold]) -> None:
        """Changed holds: all or none."""
        await self._save(shelves.HOLDS, holds)

    async def add_gateway_run(self, run: GatewayRun) -> None:
        """A gateway process is up."""
        await self._add(shelves.GATEWAY_RUNS, (run,))

    async def save_gateway_run(self, run: GatewayRun) -> None:
        """It was heard of again, or is over."""
        await self._save(shelves.GATEWAY_RUNS, (run,))

    async def replace_catalog(self, catalog: Catalog) -> None:
        """From now on the catalog is this one."""
        version, current = self.catalog_seen or await self._catalogs.seen_by(self._link)
        stored = await catalogs.replace(self._link, current, catalog)
        self.catalog_seen = (version if stored is current else version + 1, stored)

    async def add_policy(self, policy: PolicyVersion) -> None:
        """Make `policy` the active one."""
        ((last,),) = await self._link.rows(queries.LAST_ACTIVATION)
        row = (policy.version, last + 1, shelves.POLICY_DOCUMENTS.encode(policy))
        await self._link.change_many(_PUT_POLICY, [row])

    async def put_target(self, target: Target) -> None:
        """A new or changed target."""
        await self._put(shelves.TARGETS, (target,))

    async def add_token(self, token: Token) -> None:
        """A new token."""
        await self._add(shelves.TOKENS, (token,))

    async def revoke_token(self, token_id: str, at: datetime) -> None:
        """The token stops working at `at`; one that was revoked before keeps its time."""
        token = await self._one(shelves.TOKENS, token_id)
        if token.revoked_at is None:
            await self._put(shelves.TOKENS, (replace(token, revoked_at=at),))

    async def put_drifts(self, drifts: Sequence[Drift]) -> None:
        """Insert or replace by id."""
        await self._put(shelves.DRIFTS, drifts)

    async def add_target_read(self, read: TargetRead) -> None:
        """That a target was read."""
        await self._add(shelves.TARGET_READS, (read,))

    async def put_sightings(self, sightings: Sequence[UseSighting]) -> None:
        """Insert or replace by id."""
        await self._put(shelves.SIGHTINGS, sightings)

    async def add_review(self, review: Review) -> None:
        """A new review."""
        await self._add(shelves.REVIEWS, (review,))

    async def save_review(self, review: Review) -> None:
        """A changed review."""
        await self._save(shelves.REVIEWS, (review,))

    async def put_items(self, items: Sequence[Item]) -> None:
        """Insert or replace by id."""
        await self._put(shelves.ITEMS, items)

    async def save_item(self, item: Item) -> None:
        """A changed item."""
        await self._save(shelves.ITEMS, (item,))

    async def add_exception(self, exception: ReviewException) -> None:
        """A new exception."""
        await self._add(shelves.EXCEPTIONS, (exception,))

    async def save_exception(self, exception: ReviewException) -> None:
        """A changed exception."""
        await self._save(shelves.EXCEPTIONS, (exception,))

    async def add_removals(self, removals: Sequence[Removal]) -> None:
        """New removals."""
        await self._add(shelves.REMOVALS, removals)

    async def save_removals(self, removals: Sequence[Removal]) -> None:
        """Changed removals."""
        await self._save(shelves.REMOVALS, removals)

    async def add_schedule(self, schedule: ReviewSchedule) -> None:
        """A new schedule."""
        await self._add(shelves.SCHEDULES, (schedule,))

    async def save_schedule(self, schedule: ReviewSchedule) -> None:
        """A changed schedule."""
        await self._save(shelves.SCHEDULES, (schedule,))

    async def remove_schedule(self, name: str) -> None:
        """The schedule is no more, nor what its looks know."""
        await self._one(shelves.SCHEDULES, name)
        await self._link.change(queries.REMOVE_SCHEDULE, name=name)
        await self._link.change(queries.REMOVE_KNOWN_FINDINGS, name=name)

    async def put_known_findings(self, findings: Sequence[KnownFinding]) -> None:
        """Insert or replace by id."""
        await self._put(shelves.KNOWN_FINDINGS, findings)

    async def add_sign_in(self, sign_in: SignIn) -> None:
        """A new sign-in."""
        await self._add(shelves.SIGN_INS, (sign_in,))

    async def save_sign_in(self, sign_in: SignIn) -> None:
        """A changed sign-in."""
        await self._save(shelves.SIGN_INS, (sign_in,))

    async def forget_sign_ins(self, before: datetime) -> None:
        """Those that expired before then."""
        await self._link.change(queries.FORGET_SIGN_INS, before=micros(before))

    async def record_reply(self, key: str, call_hash: str, reply: str, at: datetime) -> None:
        """What a call with idempotency key `key` was answered."""
        await self._link.change_many(_ADD_REPLY, [(key, call_hash, reply, micros(at))])

    async def append(self, entries: Iterable[Entry]) -> None:
        """Record ledger entries, in one statement; a trigger queues them for the sequencer."""
        rows = ((entry.type, entry.subject, encode(entry)) for entry in entries)
        for first_id, values in await self._link.append(_APPEND, rows):
            self.appended.append((first_id, values[_BODY :: len(_ENTRY)]))

    async def _add(self, shelf: Shelf[T], values: Sequence[T]) -> None:
        try:
            await self._link.change_many(_ADD[shelf.table.name], map(shelf.row, values))
        except Conflict:
            raise Conflict(f"this {shelf.what} is already there", hint="read it again") from None

    async def _put(self, shelf: Shelf[T], values: Sequence[T]) -> None:
        rows = {row[0]: row for row in map(shelf.row, values)}
        await self._link.change_many(_PUT[shelf.table.name], list(rows.values()))

    async def _save(self, shelf: Shelf[T], values: Sequence[T]) -> None:
        changed = await self._link.change_many(_SAVE[shelf.table.name], map(shelf.row, values))
        if changed != len(values):
            raise self._unit.fail(
                Conflict(f"this {shelf.what} was changed by somebody else", hint="read it again and retry")
            )
