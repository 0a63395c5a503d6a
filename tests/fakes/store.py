"""An in-memory `ports.Store` for unit tests. It passes the same contract suite as SQLite and PostgreSQL.

Tables are dicts that a transaction copies when it first writes to them, so a failed one leaves no trace.
Writers run one after the other. `store.recorded` is every committed ledger entry, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from fakes.store_gateway import GATEWAY_TABLES, FakeGatewayTransaction
from fakes.store_reviews import REVIEW_TABLES, FakeReviewTransaction
from fakes.store_sign_ins import SIGN_IN_TABLES, FakeSignInTransaction
from lapse.domain.actors import Token
from lapse.domain.aftermath import Aftermath
from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from lapse.domain.grants import ENDING, GRANT_LIFE, LIVE, Grant, GrantState
from lapse.domain.locks import Lock
from lapse.domain.notices import Posting, PostingState
from lapse.domain.proposals import Proposal, ProposalState
from lapse.domain.requests import Decision, Request, RequestState
from lapse.domain.reviews import Item, Review
from lapse.domain.targets import Drift, Target, TargetRead, UseSighting
from lapse.domain.templates import Template
from lapse.ledger.canonical import encode
from lapse.ledger.entry import Entry
from lapse.ledger.tiles import TileId, edge
from lapse.ports import NextBatch, Page, PolicyVersion, Reader, Transaction

T = TypeVar("T")
ATTEMPTS = 5

TABLES = (
    "request",
    "decision",
    "grant",
    "lock",
    "delegation",
    "template",
    "aftermath",
    "proposal",
    "notice",
    "policy",
    "target",
    "token",
    "drift",
    "target_read",
    "sighting",
    "review",
    "item",
    "reply",
    "single",
    "entry",
    *GATEWAY_TABLES,
    *REVIEW_TABLES,
    *SIGN_IN_TABLES,
)


class FakeTransaction(FakeGatewayTransaction, FakeReviewTransaction, FakeSignInTransaction):
    """Reads and writes over copy-on-write tables; implements `ports.Transaction`."""

    def __init__(self, tables: Mapping[str, dict[Any, Any]]) -> None:
        self.tables = dict(tables)
        self._copied: set[str] = set()
        self.failure: Conflict | None = None

    # reading

    async def request(self, request_id: str) -> Request:
        return self._one("request", request_id)

    async def requests(
        self,
        page: Page,
        *,
        states: Iterable[RequestState] = (),
        requester: str | None = None,
        entitlement: str | None = None,
    ) -> Sequence[Request]:
        wanted = frozenset(states)
        return _page(
            page,
            (
                r
                for r in self.tables["request"].values()
                if (not wanted or r.state in wanted)
                and (requester is None or requester in {r.requester, r.beneficiary})
                and (entitlement is None or r.entitlement == entitlement)
            ),
        )

    async def requests_to_expire(self, now: datetime, limit: int) -> Sequence[Request]:
        due = [r for r in self._pending_requests() if r.expires_at <= now]
        return sorted(due, key=lambda r: (r.expires_at, r.id))[:limit]

    async def decisions(self, request_id: str) -> Sequence[Decision]:
        return self._where("decision", request_id=request_id)

    async def grant(self, grant_id: str) -> Grant:
        return self._one("grant", grant_id)

    async def grants(
        self,
        page: Page,
        *,
        states: Iterable[GrantState] = (),
        beneficiary: str | None = None,
        entitlement: str | None = None,
        resource: str | None = None,
        request_id: str | None = None,
    ) -> Sequence[Grant]:
        wanted = frozenset(states)
        found = self._where(
            "grant", beneficiary=beneficiary, entitlement=entitlement, resource=resource, request_id=request_id
        )
        return _page(page, (g for g in found if not wanted or g.state in wanted))

    async def grants_by_id(self, grant_ids: Iterable[str]) -> Sequence[Grant]:
        wanted = frozenset(grant_ids)
        return [g for g in self._where("grant") if g.id in wanted]

    async def grants_of_accounts(self, resource: str, accounts: Iterable[str]) -> Sequence[Grant]:
        wanted = frozenset(accounts)
        return [g for g in self._where("grant", resource=resource) if g.account in wanted and g.state in LIVE | ENDING]

    async def grants_going_on(self, resource: str, accounts: Iterable[str], at: datetime) -> Sequence[Grant]:
        found = await self.grants_of_accounts(resource, accounts)
        return [g for g in found if g.state in LIVE and g.ends_at is not None and g.ends_at > at]

    async def grants_due(self, now: datetime, limit: int, *, besides: Iterable[str] = ()) -> Sequence[Grant]:
        busy = frozenset(besides)
        due = [g for g in self.tables["grant"].values() if g.due_at and g.due_at <= now and g.resource not in busy]
        return sorted(due, key=lambda g: (g.due_at, g.id))[:limit]

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        instants = [g.due_at for g in self.tables["grant"].values() if g.due_at is not None]
        return min((at for at in instants if after is None or at > after), default=None)

    async def chain(self, grant_id: str) -> Sequence[Grant]:
        found = [self._one("grant", grant_id)]
        while found[-1].extends is not None and len(found) <= len(self.tables["grant"]):
            found.append(self._one("grant", found[-1].extends))
        return found[::-1]

    async def grants_held(self, beneficiaries: Iterable[str], entitlement: str, since: datetime) -> Sequence[Grant]:
        wanted, over = frozenset(beneficiaries), GRANT_LIFE.terminal
        held = [g for g in self._where("grant", entitlement=entitlement) if g.beneficiary in wanted]
        return [g for g in held if g.state not in over or (g.ended_at or g.created_at) > since]

    async def requests_made(self, requesters: Iterable[str], since: datetime, limit: int) -> Sequence[Request]:
        wanted = frozenset(requesters)
        newest = [r for r in reversed(self._where("request")) if r.requester in wanted][:limit]
        return [r for r in newest if r.created_at > since or r.state is RequestState.PENDING]

    async def requests_in_bundle(self, bundle: str) -> Sequence[Request]:
        return self._where("request", bundle=bundle)

    async def delegations(self, *, delegate: str | None = None, now: datetime | None = None) -> Sequence[Delegation]:
        return [d for d in self._where("delegation", delegate=delegate) if now is None or d.in_force(now)]

    async def delegation(self, delegation_id: str) -> Delegation:
        return self._one("delegation", delegation_id)

    async def templates(self) -> Sequence[Template]:
        return self._where("template")

    async def template(self, name: str) -> Template:
        return self._one("template", name)

    async def aftermaths(self, *, beneficiary: str | None = None, open_only: bool = True) -> Sequence[Aftermath]:
        found = self._where("aftermath", beneficiary=beneficiary)
        return [a for a in found if not open_only or a.judgement is None]

    async def aftermath(self, aftermath_id: str) -> Aftermath:
        return self._one("aftermath", aftermath_id)

    async def proposals(self, *, open_only: bool = False) -> Sequence[Proposal]:
        found = reversed(self._where("proposal"))
        return [p for p in found if not open_only or p.state is ProposalState.PENDING]

    async def proposal(self, proposal_id: str) -> Proposal:
        return self._one("proposal", proposal_id)

    async def postings(self, page: Page, *, states: Iterable[PostingState] = ()) -> Sequence[Posting]:
        wanted = frozenset(states)
        return _page(page, (p for p in self._where("notice") if not wanted or p.state in wanted))

    async def postings_due(self, now: datetime, limit: int) -> Sequence[Posting]:
        due = [p for p in self._where("notice", state=PostingState.WAITING) if p.due_at <= now]
        return sorted(due, key=lambda p: (p.due_at, p.id))[:limit]

    async def posting(self, posting_id: str) -> Posting:
        return self._one("notice", posting_id)

    async def locks(self, *, in_force: bool = True) -> Sequence[Lock]:
        return [lock for lock in self._where("lock") if not in_force or lock.removed_at is None]

    async def lock(self, lock_id: str) -> Lock:
        return self._one("lock", lock_id)

    async def catalog(self) -> Catalog:
        return self.tables["single"].get("catalog", Catalog())

    async def active_policy(self) -> PolicyVersion | None:
        return next(reversed(self.tables["policy"].values()), None)

    async def policy(self, version: str) -> PolicyVersion:
        return self._one("policy", version)

    async def policies(self) -> Sequence[PolicyVersion]:
        return list(self.tables["policy"].values())

    async def target(self, resource: str) -> Target:
        return self._one("target", resource)

    async def targets(self) -> Sequence[Target]:
        return self._where("target")

    async def token_by_digest(self, digest: str) -> Token | None:
        return next(iter(self._where("token", digest=digest)), None)

    async def tokens(self, principal: str | None = None) -> Sequence[Token]:
        return self._where("token", principal=principal)

    async def drifts(self, *, resource: str | None = None, open_only: bool = True) -> Sequence[Drift]:
        return [d for d in self._where("drift", resource=resource) if not open_only or d.cleared_at is None]

    async def target_reads(self, resource: str | None = None) -> Sequence[TargetRead]:
        return self._where("target_read", resource=resource)

    async def sightings(self, resource: str | None = None) -> Sequence[UseSighting]:
        return self._where("sighting", resource=resource)

    async def review(self, review_id: str) -> Review:
        return self._one("review", review_id)

    async def reviews(self) -> Sequence[Review]:
        return self._where("review")

    async def item(self, item_id: str) -> Item:
        return self._one("item", item_id)

    async def items(self, review_id: str) -> Sequence[Item]:
        return self._where("item", review_id=review_id)

    async def idempotent_reply(self, key: str) -> tuple[str, str] | None:
        return self.tables["reply"].get(key)

    # writing

    async def add_request(self, request: Request) -> None:
        self._add("request", request.id, request)

    async def save_request(self, request: Request) -> None:
        self._save("request", request)

    async def add_decision(self, decision: Decision) -> None:
        self._add("decision", decision.id, decision)

    async def add_grants(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            self._add("grant", grant.id, grant)

    async def save_grants(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            self._save("grant", grant)

    async def add_postings(self, postings: Sequence[Posting]) -> None:
        for posting in postings:
            self._add("notice", posting.id, posting)

    async def save_postings(self, postings: Sequence[Posting]) -> None:
        for posting in postings:
            self._save("notice", posting)

    async def add_lock(self, lock: Lock) -> None:
        self._add("lock", lock.id, lock)

    async def save_lock(self, lock: Lock) -> None:
        self._save("lock", lock)

    async def add_delegation(self, delegation: Delegation) -> None:
        self._add("delegation", delegation.id, delegation)

    async def save_delegation(self, delegation: Delegation) -> None:
        self._save("delegation", delegation)

    async def put_template(self, template: Template) -> None:
        self._table("template")[template.name] = template

    async def remove_template(self, name: str) -> None:
        self._one("template", name)
        del self._table("template")[name]

    async def add_aftermath(self, aftermath: Aftermath) -> None:
        self._add("aftermath", aftermath.id, aftermath)

    async def save_aftermath(self, aftermath: Aftermath) -> None:
        self._save("aftermath", aftermath)

    async def add_proposal(self, proposal: Proposal) -> None:
        self._add("proposal", proposal.id, proposal)

    async def save_proposal(self, proposal: Proposal) -> None:
        self._save("proposal", proposal)

    async def replace_catalog(self, catalog: Catalog) -> None:
        self._table("single")["catalog"] = Catalog(
            principals=dict(catalog.principals), groups=dict(catalog.groups), resources=dict(catalog.resources)
        )

    async def add_policy(self, policy: PolicyVersion) -> None:
        table = self._table("policy")
        table.pop(policy.version, None)
        table[policy.version] = policy

    async def put_target(self, target: Target) -> None:
        self._table("target")[target.resource] = target

    async def add_token(self, token: Token) -> None:
        if self._where("token", digest=token.digest):
            raise self._fail(f"token `{token.id}` already exists")
        self._add("token", token.id, token)

    async def revoke_token(self, token_id: str, at: datetime) -> None:
        token = self._one("token", token_id)
        if token.revoked_at is None:
            self._table("token")[token_id] = replace(token, revoked_at=at)

    async def put_drifts(self, drifts: Sequence[Drift]) -> None:
        self._table("drift").update({drift.id: drift for drift in drifts})

    async def add_target_read(self, read: TargetRead) -> None:
        self._add("target_read", read.id, read)

    async def put_sightings(self, sightings: Sequence[UseSighting]) -> None:
        self._table("sighting").update({sighting.id: sighting for sighting in sightings})

    async def add_review(self, review: Review) -> None:
        self._add("review", review.id, review)

    async def save_review(self, review: Review) -> None:
        self._save("review", review)

    async def put_items(self, items: Sequence[Item]) -> None:
        self._table("item").update({item.id: item for item in items})

    async def save_item(self, item: Item) -> None:
        self._save("item", item)

    async def record_reply(self, key: str, call_hash: str, reply: str, at: datetime) -> None:
        self._add("reply", key, (call_hash, reply))

    async def append(self, entries: Iterable[Entry]) -> None:
        table = self._table("entry")
        for entry in entries:
            table[len(table) + 1] = (entry, encode(entry))

    # helpers

    def _table(self, name: str) -> dict[Any, Any]:
        if name not in self._copied:
            self.tables[name] = dict(self.tables[name])
            self._copied.add(name)
        return self.tables[name]

    def _one(self, table: str, key: str) -> Any:
        found = self.tables[table].get(key)
        if found is None:
            raise NotFound(f"there is no {table.replace('_', ' ')} `{key}`")
        return found

    def _where(self, table: str, **fields: object) -> list[Any]:
        wanted = [(name, value) for name, value in fields.items() if value is not None]
        rows = sorted(self.tables[table].items())
        return [row for _, row in rows if all(getattr(row, name) == value for name, value in wanted)]

    def _page_of(self, page: Page, rows: Iterable[Any]) -> list[Any]:
        return _page(page, rows)

    def _add(self, table: str, key: str, value: object) -> None:
        if key in self.tables[table]:
            raise self._fail(f"{table.replace('_', ' ')} `{key}` already exists")
        self._table(table)[key] = value

    def _save(self, table: str, value: Any, *, key: str = "") -> None:
        key = key or value.id
        stored = self.tables[table].get(key)
        if stored is None or stored.version != value.version - 1:
            raise self._fail(f"{table} `{key}` was changed by somebody else")
        self._table(table)[key] = value

    def _fail(self, message: str) -> Conflict:
        self.failure = Conflict(message)
        return self.failure

    def _pending_requests(self) -> list[Request]:
        return [r for r in self.tables["request"].values() if r.state is RequestState.PENDING]


class FakeLedgerStore:
    """Implements `ports.LedgerStore` over the entries of a `FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._places: list[int] = []
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._checkpoints: dict[int, bytes] = {}
        self._leased = False

    async def next_batch(self, limit: int) -> NextBatch:
        size = len(self._places)
        return NextBatch(size, self._waiting(limit), self._checkpoints.get(size), self._stored(edge(size)))

    async def pending(self, limit: int) -> Sequence[tuple[int, bytes]]:
        return self._waiting(limit)

    async def commit_batch(
        self, expected_size: int, ids: Sequence[int], tiles: Mapping[TileId, bytes], checkpoint: bytes
    ) -> None:
        if expected_size != len(self._places):
            raise Conflict(f"the ledger has {len(self._places)} entries, not {expected_size}")
        unplaced = self._store.tables["entry"].keys() - set(self._places)
        if not set(ids) <= unplaced:
            raise Conflict("some of these entries have a place already, or do not exist")
        await self._store.commit_point()
        self._places += ids
        self._tiles.update(tiles)
        self._checkpoints[len(self._places)] = checkpoint

    async def size(self) -> int:
        return len(self._places)

    async def entries(self, start: int, end: int) -> Sequence[tuple[int, bytes]]:
        rows = self._store.tables["entry"]
        return [(seq, rows[key][1]) for seq, key in enumerate(self._places) if start <= seq < end]

    async def entries_of(self, start: int, end: int, types: Collection[str]) -> Sequence[tuple[str, bytes]]:
        rows = [self._store.tables["entry"][key] for key in self._places[start:end]]
        return [(entry.type, body) for entry, body in rows if entry.type in types]

    async def find(
        self, *, subject: str | None = None, type_prefix: str | None = None, page: Page
    ) -> Sequence[tuple[int, bytes]]:
        found = []
        for seq in _seqs(page, len(self._places)):
            entry, body = self._store.tables["entry"][self._places[seq]]
            if subject in {None, entry.subject} and entry.type.startswith(type_prefix or ""):
                found.append((seq, body))
        return found[: page.limit]

    async def tiles(self, places: Iterable[TileId]) -> Mapping[TileId, bytes]:
        return self._stored(places)

    async def checkpoint(self, size: int | None = None) -> bytes | None:
        newest = max(self._checkpoints, default=0)
        return self._checkpoints.get(newest if size is None else size)

    @asynccontextmanager
    async def sequencer_lease(self) -> Any:
        mine = not self._leased
        self._leased = True
        try:
            yield mine
        finally:
            self._leased = self._leased and not mine

    def _waiting(self, limit: int) -> list[tuple[int, bytes]]:
        placed = set(self._places)
        rows = self._store.tables["entry"].items()
        return [(key, body) for key, (_, body) in rows if key not in placed][:limit]

    def _stored(self, places: Iterable[TileId]) -> dict[TileId, bytes]:
        return {place: self._tiles[place] for place in places if place in self._tiles}


@dataclass(frozen=True)
class CommitFault:
    """What the next commit does: fail, and whether it was applied all the same."""

    applied: bool


class FakeStore:
    """A whole store in memory; implements `ports.Store`."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, Any]] = {name: {} for name in TABLES}
        self._writer = asyncio.Lock()
        self._ledger = FakeLedgerStore(self)
        self._fault: CommitFault | None = None

    @property
    def ledger(self) -> FakeLedgerStore:
        return self._ledger

    @property
    def recorded(self) -> list[Entry]:
        """Every committed ledger entry, in order."""
        return [entry for entry, _ in self.tables["entry"].values()]

    def fail_next_commit(self, *, applied: bool) -> None:
        """The next commit raises `Unavailable`; with `applied` it takes effect first."""
        self._fault = CommitFault(applied)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        return await work(FakeTransaction(self.tables))

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._write_once(work)
            except Conflict:
                continue
        return await self._write_once(work)

    async def commit_point(self) -> None:
        """Raise if a fault is set that is not applied."""
        if self._fault is not None and not self._fault.applied:
            self._fault = None
            raise Unavailable("the store could not commit")

    async def close(self) -> None:
        pass

    async def _write_once(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._writer:
            transaction = FakeTransaction(self.tables)
            result = await work(transaction)
            if transaction.failure is not None:
                raise transaction.failure
            await self.commit_point()
            self.tables = transaction.tables
            if self._fault is not None:
                self._fault = None
                raise Unavailable("the store did not confirm the commit")
            return result


def _page(page: Page, rows: Iterable[Any]) -> list[Any]:
    ordered = sorted(rows, key=lambda row: row.id, reverse=page.newest_first)
    if page.after is not None:
        past = page.after
        ordered = [row for row in ordered if (row.id < past if page.newest_first else row.id > past)]
    return ordered[: page.limit]


def _seqs(page: Page, size: int) -> range:
    try:
        after = int(page.after) if page.after is not None else None
    except ValueError:
        raise InvalidInput("the page does not begin at a place in the ledger") from None
    if page.newest_first:
        return range(min(size, size if after is None else after) - 1, -1, -1)
    return range(0 if after is None else after + 1, size)
