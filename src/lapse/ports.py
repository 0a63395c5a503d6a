"""The only interfaces between the pure rooms and the outside. Implementations are chosen in `bootstrap`.

Every implementation, fakes included, passes the contract suite of its port (`tests/contract/`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from lapse.domain.access import (
    Applied,
    Assignment,
    Before,
    Failed,
    Fence,
    Observation,
    Removed,
    TargetCheck,
)
from lapse.domain.actors import Token
from lapse.domain.aftermath import Aftermath
from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.grants import Grant, GrantState
from lapse.domain.locks import Lock
from lapse.domain.notices import Notice, Places, Posting, PostingState
from lapse.domain.proposals import Proposal
from lapse.domain.requests import Decision, Request, RequestState, Ticket
from lapse.domain.reviews import Item, Review
from lapse.domain.targets import Drift, Target, TargetRead, UseSighting
from lapse.domain.templates import Template
from lapse.ledger.entry import Entry
from lapse.ledger.tiles import TileId
from lapse.policy.values import TicketFacts

T = TypeVar("T")


class Clock(Protocol):
    """The time. `now` never goes backwards within a process, however the wall clock is set."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    async def wait_until(self, at: datetime) -> None:
        """Return when `now() >= at`; wakes for forward jumps of the wall clock within a second."""
        ...


class Signer(Protocol):
    """Holds the installation's Ed25519 key."""

    @property
    def name(self) -> str:
        """The origin of checkpoints, e.g. `lapse.example.com/ledger`."""
        ...

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """64-byte Ed25519 signature (RFC 8032)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """An activated policy: `version` is the hash of its files, kept for ever so that decisions re-derive."""

    version: str
    files: Mapping[str, str]
    activated_at: datetime
    activated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A slice of a listing: at most `limit` rows after the row whose id is `after` (None: from the start)."""

    limit: int = 100
    after: str | None = None
    newest_first: bool = True


class TicketSource(Protocol):
    """Where tickets live: an export, or a system that answers."""

    async def look_up(self, ticket: Ticket) -> TicketFacts:
        """What is known of `ticket`; a system that does not answer gives the status `unreachable`, not an error."""
        ...


class Rotas(Protocol):
    """Who is on call."""

    async def on_call(self, rota: str, at: datetime) -> frozenset[str]:
        """The principals on call at `at`; nobody in a gap of the rota.

        Raises:
            NotFound: there is no such rota.
            Unavailable: it cannot be read, so nobody may decide by it.
        """
        ...


class Reader(Protocol):
    """One consistent view of the store. Missing things raise `NotFound`; listings are ordered by id."""

    async def request(self, request_id: str) -> Request: ...
    async def requests(
        self,
        page: Page,
        *,
        states: Iterable[RequestState] = (),
        requester: str | None = None,
        entitlement: str | None = None,
    ) -> Sequence[Request]:
        """`requester` matches requester or beneficiary."""
        ...

    async def requests_to_expire(self, now: datetime, limit: int) -> Sequence[Request]:
        """Pending with `expires_at <= now`, oldest first."""
        ...

    async def decisions(self, request_id: str) -> Sequence[Decision]: ...
    async def grant(self, grant_id: str) -> Grant: ...
    async def grants(
        self,
        page: Page,
        *,
        states: Iterable[GrantState] = (),
        beneficiary: str | None = None,
        entitlement: str | None = None,
        resource: str | None = None,
        request_id: str | None = None,
    ) -> Sequence[Grant]: ...
    async def grants_of_accounts(self, resource: str, accounts: Iterable[str]) -> Sequence[Grant]:
        """All grants in a live or ending state for these accounts: for overlap."""
        ...

    async def grants_going_on(self, resource: str, accounts: Iterable[str], at: datetime) -> Sequence[Grant]:
        """Live grants for these accounts with a deadline after `at`; costs do not grow with those that end by then."""
        ...

    async def grants_due(self, now: datetime, limit: int, *, besides: Iterable[str] = ()) -> Sequence[Grant]:
        """What the enforcer must act on at `now`, earliest first; costs do not grow with what is not due.

        Due is what has `Grant.due_at <= now`. Resources named in `besides` are left out (somebody works on them).
        """
        ...

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        """The earliest instant (later than `after`, if given) at which a grant becomes due; None if never."""
        ...

    async def chain(self, grant_id: str) -> Sequence[Grant]:
        """The grant and everything it extends, oldest first."""
        ...

    async def grants_held(self, beneficiaries: Iterable[str], entitlement: str, since: datetime) -> Sequence[Grant]:
        """Grants of `entitlement` to any of `beneficiaries` that are not over, or ended after `since`; by id."""
        ...

    async def requests_made(self, requesters: Iterable[str], since: datetime, limit: int) -> Sequence[Request]:
        """Requests that any of `requesters` made after `since`, and their pending ones; newest first."""
        ...

    async def requests_in_bundle(self, bundle: str) -> Sequence[Request]:
        """All requests of one bundle, by id."""
        ...

    async def delegations(self, *, delegate: str | None = None, now: datetime | None = None) -> Sequence[Delegation]:
        """All delegations, those to `delegate`, those in force at `now`; by id."""
        ...

    async def delegation(self, delegation_id: str) -> Delegation: ...
    async def templates(self) -> Sequence[Template]: ...
    async def template(self, name: str) -> Template: ...
    async def aftermaths(self, *, beneficiary: str | None = None, open_only: bool = True) -> Sequence[Aftermath]:
        """Post-reviews of break-glass, those of one beneficiary; by id."""
        ...

    async def aftermath(self, aftermath_id: str) -> Aftermath: ...
    async def proposals(self, *, open_only: bool = False) -> Sequence[Proposal]:
        """Policy proposals, newest first."""
        ...

    async def proposal(self, proposal_id: str) -> Proposal: ...
    async def postings(self, page: Page, *, states: Iterable[PostingState] = ()) -> Sequence[Posting]:
        """Notices of the outbox."""
        ...

    async def postings_due(self, now: datetime, limit: int) -> Sequence[Posting]:
        """Waiting notices with `due_at <= now`, oldest first."""
        ...

    async def posting(self, posting_id: str) -> Posting: ...
    async def locks(self, *, in_force: bool = True) -> Sequence[Lock]: ...
    async def lock(self, lock_id: str) -> Lock: ...
    async def catalog(self) -> Catalog: ...
    async def active_policy(self) -> PolicyVersion | None: ...
    async def policy(self, version: str) -> PolicyVersion: ...
    async def policies(self) -> Sequence[PolicyVersion]: ...
    async def target(self, resource: str) -> Target: ...
    async def targets(self) -> Sequence[Target]: ...
    async def token_by_digest(self, digest: str) -> Token | None: ...
    async def tokens(self, principal: str | None = None) -> Sequence[Token]: ...
    async def drifts(self, *, resource: str | None = None, open_only: bool = True) -> Sequence[Drift]: ...
    async def target_reads(self, resource: str | None = None) -> Sequence[TargetRead]: ...
    async def sightings(self, resource: str | None = None) -> Sequence[UseSighting]: ...
    async def review(self, review_id: str) -> Review: ...
    async def reviews(self) -> Sequence[Review]: ...
    async def item(self, item_id: str) -> Item: ...
    async def items(self, review_id: str) -> Sequence[Item]: ...
    async def idempotent_reply(self, key: str) -> tuple[str, str] | None:
        """(hash of the first call, its reply as JSON) recorded under `key`."""
        ...


class Transaction(Reader, Protocol):
    """A reader that can also write: values and their ledger entries commit together, or not at all.

    `save_*` is optimistic: the value's `version` is one more than the stored one, else `Conflict`.
    """

    async def add_request(self, request: Request) -> None: ...
    async def save_request(self, request: Request) -> None: ...
    async def add_decision(self, decision: Decision) -> None: ...
    async def add_grants(self, grants: Sequence[Grant]) -> None: ...
    async def save_grants(self, grants: Sequence[Grant]) -> None:
        """All or none; one statement for many rows."""
        ...

    async def add_delegation(self, delegation: Delegation) -> None: ...
    async def save_delegation(self, delegation: Delegation) -> None:
        """Optimistic, like `save_request`."""
        ...

    async def put_template(self, template: Template) -> None: ...
    async def remove_template(self, name: str) -> None: ...
    async def add_aftermath(self, aftermath: Aftermath) -> None: ...
    async def save_aftermath(self, aftermath: Aftermath) -> None:
        """Optimistic, like `save_request`."""
        ...

    async def add_proposal(self, proposal: Proposal) -> None: ...
    async def save_proposal(self, proposal: Proposal) -> None:
        """Optimistic, like `save_request`."""
        ...

    async def add_postings(self, postings: Sequence[Posting]) -> None: ...
    async def save_postings(self, postings: Sequence[Posting]) -> None:
        """All or none; optimistic, like `save_request`."""
        ...

    async def add_lock(self, lock: Lock) -> None: ...
    async def save_lock(self, lock: Lock) -> None: ...
    async def replace_catalog(self, catalog: Catalog) -> None: ...
    async def add_policy(self, policy: PolicyVersion) -> None:
        """Make `policy` the active one (adding the same version again only re-activates it)."""
        ...

    async def put_target(self, target: Target) -> None: ...
    async def add_token(self, token: Token) -> None: ...
    async def revoke_token(self, token_id: str, at: datetime) -> None: ...
    async def put_drifts(self, drifts: Sequence[Drift]) -> None:
        """Insert or replace by id."""
        ...

    async def add_target_read(self, read: TargetRead) -> None: ...
    async def put_sightings(self, sightings: Sequence[UseSighting]) -> None: ...
    async def add_review(self, review: Review) -> None: ...
    async def save_review(self, review: Review) -> None: ...
    async def put_items(self, items: Sequence[Item]) -> None: ...
    async def save_item(self, item: Item) -> None: ...
    async def record_reply(self, key: str, call_hash: str, reply: str, at: datetime) -> None: ...
    async def append(self, entries: Iterable[Entry]) -> None:
        """Record ledger entries; they are sequenced into the tree afterwards, in batches."""
        ...


class Store(Protocol):
    """State and ledger in one database."""

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` on one consistent view."""
        ...

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in a transaction and commit; on any error nothing of it remains.

        On `Conflict` it is run again a few times, so `work` must have no effects but on the transaction.
        Writers that arrive together may share one durable commit; each still succeeds or fails alone.
        """
        ...

    @property
    def ledger(self) -> LedgerStore:
        """The ledger's tables."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NextBatch:
    """Entries that have no place in the tree yet, and the tree as it stands, all seen at one instant.

    `entries` are (id, canonical bytes), by id. If there are any, `checkpoint` is the stored note for `size` entries and
    `edge` the stored ones of the hash tiles that `ledger.tiles.edge(size)` names.
    """

    size: int
    entries: Sequence[tuple[int, bytes]]
    checkpoint: bytes | None = None
    edge: Mapping[TileId, bytes] = field(default_factory=dict)


class LedgerStore(Protocol):
    """What the sequencer and the verifier need."""

    async def next_batch(self, limit: int) -> NextBatch:
        """At most `limit` entries for `commit_batch`, and what they are appended to."""
        ...

    async def pending(self, limit: int) -> Sequence[tuple[int, bytes]]:
        """(id, canonical bytes) of entries that have no place yet, by id."""
        ...

    async def commit_batch(
        self, expected_size: int, ids: Sequence[int], tiles: Mapping[TileId, bytes], checkpoint: bytes
    ) -> None:
        """Give the entries `ids` the next places, and store changed hash tiles and the signed checkpoint, or nothing.

        Raises:
            Conflict: the tree no longer has `expected_size` entries (another sequencer was faster), or one of `ids`
                has its place already.
        """
        ...

    async def size(self) -> int: ...
    async def entries(self, start: int, end: int) -> Sequence[tuple[int, bytes]]:
        """(seq, canonical bytes) for start <= seq < end, in order; gaps show as missing rows."""
        ...

    async def entries_of(self, start: int, end: int, types: Collection[str]) -> Sequence[tuple[str, bytes]]:
        """(type, canonical bytes) of the entries of these types with start <= seq < end, in order."""
        ...

    async def find(
        self, *, subject: str | None = None, type_prefix: str | None = None, page: Page
    ) -> Sequence[tuple[int, bytes]]:
        """Sequenced entries about `subject`, newest first."""
        ...

    async def tiles(self, places: Iterable[TileId]) -> Mapping[TileId, bytes]:
        """The stored ones of these hash tiles, all seen at one instant."""
        ...

    async def checkpoint(self, size: int | None = None) -> bytes | None:
        """The signed note for `size` entries, or the newest."""
        ...

    def sequencer_lease(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to be the one sequencer; yields False if another process holds it."""
        ...


class Connector(Protocol):
    """One kind of target. Every call is idempotent, bounded in time, and confirms by reading back.

    A target that is not reached, or answers nonsense, gives `Failed` outcomes (bulk calls) or `Unavailable`.
    """

    @property
    def fences(self) -> frozenset[Fence]: ...

    def account_for(self, native: Mapping[str, str], login: str | None, grant_id: str) -> str:
        """The account a new grant will use: the beneficiary's `login`, or a name for an ephemeral one.

        Raises:
            Refused: the entitlement needs an existing login and the beneficiary has none linked.
        """
        ...

    async def check(self, natives: Sequence[Mapping[str, str]]) -> TargetCheck: ...
    async def look(self, assignments: Sequence[Assignment]) -> Sequence[Before]:
        """What is there before anything is applied. Raises `Unavailable`."""
        ...

    async def apply(self, assignments: Sequence[Assignment]) -> Sequence[Applied | Failed]: ...
    async def remove(self, assignments: Sequence[Assignment]) -> Sequence[Removed | Failed]:
        """Rights removed, credentials dead, sessions cut, read back; one outcome for each, in order."""
        ...

    async def issue_credential(self, assignment: Assignment) -> Mapping[str, str]:
        """A fresh secret for an ephemeral account: `user`, `password`, `host`, `port`, `dbname`.

        It kills the previous one.
        """
        ...

    async def observe(self) -> Observation:
        """The true effective state of the whole target. Raises `Unavailable`."""
        ...

    async def close(self) -> None: ...


class Directory(Protocol):
    """Where people, groups and who has left come from (a file now; OIDC and SCIM later)."""

    async def fetch(self) -> Catalog: ...


class Notifier(Protocol):
    """One way to tell people. What it cannot deliver now, the outbox gives it again later."""

    @property
    def name(self) -> str:
        """What configuration calls it; its places begin with it."""
        ...

    def places(self, notice: Notice, catalog: Catalog) -> Places:
        """Where `notice` goes by this way; nowhere if it does not carry this kind of notice."""
        ...

    async def send(self, posting: Posting, place: str) -> None:
        """Deliver to one of `places`, in bounded time; the posting's id goes along.

        Raises:
            Unavailable: it did not work, or nobody knows whether it did: it is tried again.
            Refused: this place will never take it.
        """
        ...


class Engine(Protocol):
    """Where review SQL runs. Tables are Parquet files registered under their evidence name."""

    name: str

    def register(self, table: str, parquet: str) -> None: ...
    def query(self, sql: str, parameters: Mapping[str, Any] = ...) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...
