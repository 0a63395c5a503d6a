"""`ports.Reader` over a link. Used by the store for reads, and as the reading half of a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lapse.domain.actors import Token
from lapse.domain.aftermath import Aftermath
from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.exceptions import ReviewException
from lapse.domain.grants import GRANT_LIFE, Grant, GrantState
from lapse.domain.locks import Lock
from lapse.domain.looks import KnownFinding
from lapse.domain.notices import Posting, PostingState
from lapse.domain.proposals import Proposal
from lapse.domain.removals import Removal
from lapse.domain.requests import REQUEST_LIFE, Decision, Request, RequestState
from lapse.domain.reviews import Item, Review
from lapse.domain.schedules import ReviewSchedule
from lapse.domain.sign_ins import SignIn
from lapse.domain.targets import Drift, Target, TargetRead, UseSighting
from lapse.domain.templates import Template
from lapse.ports import Page, PolicyVersion
from lapse.storage import queries, schema, shelves
from lapse.storage.catalogs import CatalogCache
from lapse.storage.documents import instant, micros
from lapse.storage.links import Link
from lapse.storage.reading_gateway import SqlGatewayReader
from lapse.storage.rows import missing


class SqlReader(SqlGatewayReader):
    """One consistent view: the link is inside a transaction that began before the first call."""

    def __init__(self, link: Link, catalogs: CatalogCache) -> None:
        super().__init__(link)
        self._catalogs = catalogs
        self._catalog: Catalog | None = None

    async def request(self, request_id: str) -> Request:
        """One request."""
        return await self._one(shelves.REQUESTS, request_id)

    async def requests(
        self,
        page: Page,
        *,
        states: Iterable[RequestState] = (),
        requester: str | None = None,
        entitlement: str | None = None,
    ) -> Sequence[Request]:
        """A page of requests; `requester` matches requester or beneficiary."""
        wanted = frozenset(states)
        filters: dict[str, str | None] = {"requester": requester, "entitlement": entitlement}
        unfinished = bool(wanted) and not wanted & REQUEST_LIFE.terminal
        return await self._page(shelves.REQUESTS, page, filters, [s.value for s in wanted], unfinished=unfinished)

    async def requests_to_expire(self, now: datetime, limit: int) -> Sequence[Request]:
        """Pending with `expires_at <= now`, oldest first."""
        return await self._many(shelves.REQUESTS.documents, queries.REQUESTS_DUE, now=micros(now), limit=limit)

    async def decisions(self, request_id: str) -> Sequence[Decision]:
        """All decisions on one request."""
        return await self._where(shelves.DECISIONS, request_id=request_id)

    async def grant(self, grant_id: str) -> Grant:
        """One grant."""
        return await self._one(shelves.GRANTS, grant_id)

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
        """A page of grants."""
        wanted = frozenset(states)
        filters = {
            "beneficiary": beneficiary,
            "entitlement": entitlement,
            "resource": resource,
            "request_id": request_id,
        }
        unfinished = bool(wanted) and not wanted & GRANT_LIFE.terminal
        return await self._page(shelves.GRANTS, page, filters, [s.value for s in wanted], unfinished=unfinished)

    async def grants_by_id(self, grant_ids: Iterable[str]) -> Sequence[Grant]:
        """Those of `grant_ids` that there are."""
        return await self._many(shelves.GRANTS.documents, queries.GRANTS_BY_ID, ids=sorted(set(grant_ids)))

    async def grants_of_accounts(self, resource: str, accounts: Iterable[str]) -> Sequence[Grant]:
        """All grants in a live or ending state for these accounts."""
        found = await self._many(
            shelves.GRANTS.documents,
            queries.GRANTS_OF_ACCOUNTS,
            accounts=sorted(set(accounts)),
        )
        return sorted((grant for grant in found if grant.resource == resource), key=lambda grant: grant.id)

    async def grants_going_on(self, resource: str, accounts: Iterable[str], at: datetime) -> Sequence[Grant]:
        """Live grants for these accounts with a deadline after `at`."""
        found = await self._many(
            shelves.GRANTS.documents, queries.GRANTS_GOING_ON, accounts=sorted(set(accounts)), at=micros(at)
        )
        there = [g for g in found if g.resource == resource and g.ends_at is not None and g.ends_at > at]
        return sorted(there, key=lambda grant: grant.id)

    async def grants_due(self, now: datetime, limit: int, *, besides: Iterable[str] = ()) -> Sequence[Grant]:
        """What the enforcer must act on at `now`, earliest first, but not on the resources `besides`."""
        left_out = sorted(set(besides))
        query = queries.GRANTS_DUE_BESIDES if left_out else queries.GRANTS_DUE
        return await self._many(shelves.GRANTS.documents, query, now=micros(now), limit=limit, besides=left_out)

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        """The earliest instant, later than `after` if given, at which a grant becomes due."""
        if after is None:
            rows = await self._link.rows(queries.NEXT_DUE)
        else:
            rows = await self._link.rows(queries.NEXT_DUE_AFTER, after=micros(after))
        return instant(rows[0][0]) if rows else None

    async def chain(self, grant_id: str) -> Sequence[Grant]:
        """The grant and everything it extends, oldest first."""
        found = await self._many(shelves.GRANTS.documents, queries.CHAIN, key=grant_id)
        if not found:
            raise missing(shelves.GRANTS.what, grant_id)
        return found

    async def grants_held(self, beneficiaries: Iterable[str], entitlement: str, since: datetime) -> Sequence[Grant]:
        """Grants of `entitlement` to any of `beneficiaries` that are not over, or ended after `since`."""
        found = await self._many(
            shelves.GRANTS.documents,
            queries.GRANTS_HELD,
            beneficiaries=sorted(set(beneficiaries)),
            entitlement=entitlement,
            since=micros(since),
        )
        return sorted(found, key=lambda grant: grant.id)

    async def requests_made(self, requesters: Iterable[str], since: datetime, limit: int) -> Sequence[Request]:
        """Of the newest `limit` requests of `requesters` those made after `since`, and those that are pending."""
        found = await self._many(
            shelves.REQUESTS.documents, queries.REQUESTS_MADE, requesters=sorted(set(requesters)), limit=limit
        )
        return [r for r in found if r.created_at > since or r.state is RequestState.PENDING]

    async def requests_in_bundle(self, bundle: str) -> Sequence[Request]:
        """All requests of one bundle."""
        return await self._many(shelves.REQUESTS.documents, queries.REQUESTS_IN_BUNDLE, bundle=bundle)

    async def delegations(self, *, delegate: str | None = None, now: datetime | None = None) -> Sequence[Delegation]:
        """All delegations, those to `delegate`, those in force at `now`."""
        if now is None:
            return await self._where(shelves.DELEGATIONS, delegate=delegate)
        found = await self._many(shelves.DELEGATIONS.documents, queries.DELEGATIONS_UNTIL, now=micros(now))
        return [d for d in found if d.in_force(now) and delegate in {None, d.delegate}]

    async def delegation(self, delegation_id: str) -> Delegation:
        """One delegation."""
        return await self._one(shelves.DELEGATIONS, delegation_id)

    async def templates(self) -> Sequence[Template]:
        """All request templates, by name."""
        return await self._where(shelves.TEMPLATES)

    async def template(self, name: str) -> Template:
        """One request template."""
        return await self._one(shelves.TEMPLATES, name)

    async def aftermaths(self, *, beneficiary: str | None = None, open_only: bool = True) -> Sequence[Aftermath]:
        """Post-reviews of break-glass: open or all, of one beneficiary or of all."""
        if not open_only:
            return await self._where(shelves.AFTERMATHS, beneficiary=beneficiary)
        found = await self._many(shelves.AFTERMATHS.documents, queries.OPEN_AFTERMATHS)
        return [a for a in found if beneficiary in {None, a.beneficiary}]

    async def aftermath(self, aftermath_id: str) -> Aftermath:
        """One post-review."""
        return await self._one(shelves.AFTERMATHS, aftermath_id)

    async def proposals(self, *, open_only: bool = False) -> Sequence[Proposal]:
        """Policy proposals, newest first."""
        query = queries.OPEN_PROPOSALS if open_only else queries.PROPOSALS
        return await self._many(shelves.PROPOSALS.documents, query)

    async def proposal(self, proposal_id: str) -> Proposal:
        """One policy proposal."""
        return await self._one(shelves.PROPOSALS, proposal_id)

    async def postings(self, page: Page, *, states: Iterable[PostingState] = ()) -> Sequence[Posting]:
        """A page of the outbox."""
        wanted = frozenset(states)
        unfinished = wanted == {PostingState.WAITING}
        return await self._page(shelves.NOTICES, page, {}, [s.value for s in wanted], unfinished=unfinished)

    async def postings_due(self, now: datetime, limit: int) -> Sequence[Posting]:
        """Waiting notices with `due_at <= now`, oldest first."""
        return await self._many(shelves.NOTICES.documents, queries.NOTICES_DUE, now=micros(now), limit=limit)

    async def posting(self, posting_id: str) -> Posting:
        """One notice of the outbox."""
        return await self._one(shelves.NOTICES, posting_id)

    async def locks(self, *, in_force: bool = True) -> Sequence[Lock]:
        """All locks, or those that are in force."""
        query = queries.LOCKS_IN_FORCE if in_force else queries.everything(shelves.LOCKS.table)
        return await self._many(shelves.LOCKS.documents, query)

    async def lock(self, lock_id: str) -> Lock:
        """One lock."""
        return await self._one(shelves.LOCKS, lock_id)

    async def catalog(self) -> Catalog:
        """The catalog; the same value as long as nobody changes it."""
        if self._catalog is None:
            self._catalog = await self._catalogs.current(self._link)
        return self._catalog

    async def active_policy(self) -> PolicyVersion | None:
        """The policy that was activated last."""
        found = await self._many(shelves.POLICY_DOCUMENTS, queries.ACTIVE_POLICY)
        return found[0] if found else None

    async def policy(self, version: str) -> PolicyVersion:
        """One policy, active or not."""
        found = await self._many(shelves.POLICY_DOCUMENTS, queries.by_key(schema.policies), key=version)
        if not found:
            raise missing("policy", version)
        return found[0]

    async def policies(self) -> Sequence[PolicyVersion]:
        """All policies in the order of their last activation."""
        return await self._many(shelves.POLICY_DOCUMENTS, queries.POLICIES)

    async def target(self, resource: str) -> Target:
        """How one resource is reached."""
        return await self._one(shelves.TARGETS, resource)

    async def targets(self) -> Sequence[Target]:
        """All targets."""
        return await self._where(shelves.TARGETS)

    async def token_by_digest(self, digest: str) -> Token | None:
        """The token with this digest."""
        found = await self._many(shelves.TOKENS.documents, queries.TOKEN_BY_DIGEST, digest=digest)
        return found[0] if found else None

    async def tokens(self, principal: str | None = None) -> Sequence[Token]:
        """All tokens, or those of one principal."""
        return await self._where(shelves.TOKENS, principal=principal)

    async def sign_in(self, sign_in_id: str) -> SignIn:
        """One sign-in."""
        return await self._one(shelves.SIGN_INS, sign_in_id)

    async def sign_in_by_digest(self, digest: str) -> SignIn | None:
        """The sign-in with this digest."""
        found = await self._many(shelves.SIGN_INS.documents, queries.SIGN_IN_BY_DIGEST, digest=digest)
        return found[0] if found else None

    async def sign_ins(self, principal: str | None = None) -> Sequence[SignIn]:
        """All that are kept, or those of one principal."""
        return await self._where(shelves.SIGN_INS, principal=principal)

    async def drifts(self, *, resource: str | None = None, open_only: bool = True) -> Sequence[Drift]:
        """All drifts, or the open ones, or those of one resource."""
        if not open_only:
            return await self._where(shelves.DRIFTS, resource=resource)
        if resource is None:
            return await self._many(shelves.DRIFTS.documents, queries.OPEN_DRIFTS)
        return await self._many(shelves.DRIFTS.documents, queries.OPEN_DRIFTS_ON, resource=resource)

    async def target_reads(self, resource: str | None = None) -> Sequence[TargetRead]:
        """All reads of targets, or of one."""
        return await self._where(shelves.TARGET_READS, resource=resource)

    async def sightings(self, resource: str | None = None) -> Sequence[UseSighting]:
        """All sightings, or those on one resource."""
        return await self._where(shelves.SIGHTINGS, resource=resource)

    async def review(self, review_id: str) -> Review:
        """One review."""
        return await self._one(shelves.REVIEWS, review_id)

    async def reviews(self) -> Sequence[Review]:
        """All reviews."""
        return await self._where(shelves.REVIEWS)

    async def item(self, item_id: str) -> Item:
        """One item of a review."""
        return await self._one(shelves.ITEMS, item_id)

    async def items(self, review_id: str) -> Sequence[Item]:
        """All items of one review."""
        return await self._where(shelves.ITEMS, review_id=review_id)

    async def exceptions(self) -> Sequence[ReviewException]:
        """All exceptions, ended or not."""
        return await self._where(shelves.EXCEPTIONS)

    async def exception(self, exception_id: str) -> ReviewException:
        """One exception."""
        return await self._one(shelves.EXCEPTIONS, exception_id)

    async def removals(self, *, resource: str | None = None) -> Sequence[Removal]:
        """All removals, or those on one resource."""
        return await self._where(shelves.REMOVALS, resource=resource)

    async def removal(self, removal_id: str) -> Removal:
        """One removal."""
        return await self._one(shelves.REMOVALS, removal_id)

    async def removals_due(self, now: datetime, limit: int) -> Sequence[Removal]:
        """Removals with something to do by `now`, oldest first."""
        return await self._many(shelves.REMOVALS.documents, queries.REMOVALS_DUE, now=micros(now), limit=limit)

    async def schedules(self) -> Sequence[ReviewSchedule]:
        """All schedules of reviews, by name."""
        return await self._where(shelves.SCHEDULES)

    async def schedule(self, name: str) -> ReviewSchedule:
        """One schedule."""
        return await self._one(shelves.SCHEDULES, name)

    async def known_findings(self, schedule: str) -> Sequence[KnownFinding]:
        """All that is known of findings by the looks of one schedule."""
        return await self._where(shelves.KNOWN_FINDINGS, schedule=schedule)

    async def idempotent_reply(self, key: str) -> tuple[str, str] | None:
        """(hash of the first call, its reply as JSON) recorded under `key`."""
        rows = await self._link.rows(queries.REPLY, key=key)
        return (rows[0][0], rows[0][1]) if rows else None
