"""The store's registers: emergencies and their looks, credentials, drift, changes of policy, earlier reviews.

What is outside of the scope is left out and counted. Called by `population`, within its view of the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from lapse.domain.aftermath import Aftermath
from lapse.domain.catalog import Catalog
from lapse.domain.credentials import Credential
from lapse.domain.data import from_data
from lapse.domain.errors import InvalidInput
from lapse.domain.exceptions import ReviewException
from lapse.domain.proposals import Proposal, ProposalState
from lapse.domain.reviews import Item, Review, ReviewState
from lapse.domain.targets import Drift
from lapse.policy import version_of
from lapse.policy.effects import Effects
from lapse.ports import Page, PolicyVersion, Reader
from lapse.review.collection.rows import Row
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.frame import Population
from lapse.review.scope import parse_scope

_PAGE = 1_000
_GRAVE = 40
"""Risk from which an item counts as grave."""
_CONTROLS = "controls"
"""Tag of a resource or entitlement: what its holders can change, separated by `;`."""


async def write_registers(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    """Write all of them."""
    await _write_aftermaths(reader, population, writer)
    await _write_credentials(reader, population, writer)
    await _write_drifts(reader, population, writer)
    await _write_policy_changes(reader, population, writer)
    await _write_reviews(reader, population, writer)
    await _write_exceptions(reader, population, writer)
    writer.begin("boundaries", "catalog", f"tag `{_CONTROLS}`")
    writer.add("boundaries", boundary_rows(population.catalog, population.resources))
    if population.facts.tickets:
        writer.begin("tickets", "ledger", "what ticket systems said when requests named them")
        writer.add("tickets", population.facts.tickets.rows())
    writer.begin("people_events", "ledger", "type catalog.principal.*")
    writer.add("people_events", population.facts.people.rows())


async def _write_aftermaths(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    writer.begin("breakglass_reviews", "store")
    for one in await reader.aftermaths(open_only=False):
        if one.entitlement.partition("/")[0] in population.resources:
            writer.add("breakglass_reviews", [aftermath_row(one)])
        else:
            writer.left_out("breakglass_reviews", 1)


async def _write_credentials(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    writer.begin("credentials", "store")
    ended = {g.id: g.ended_at for g in await reader.grants_by_id(await _grants_with_credentials(reader))}
    async for credential in _all_credentials(reader):
        if credential.resource in population.resources:
            writer.add("credentials", [credential_row(credential, ended.get(credential.grant_id))])
        else:
            writer.left_out("credentials", 1)


async def _write_drifts(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    writer.begin("drifts", "store")
    for name in sorted(population.resources):
        writer.add("drifts", map(drift_row, await reader.drifts(resource=name, open_only=False)))


async def _write_policy_changes(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    policies, active = await reader.policies(), await reader.active_policy()
    writer.begin("policy_changes", "store", "policies and the proposals that they came from")
    writer.add("policy_changes", policy_change_rows(policies, await reader.proposals()))
    writer.begin("live_policies", "policy in force", "its files, hashed again")
    if active is not None:
        row = {"place": "server", "policy_version": active.version, "seen_at": population.at}
        writer.add("live_policies", [row | {"files_sha256": version_of(active.files)}])


async def _write_exceptions(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    writer.begin("exceptions", "store")
    for one in await reader.exceptions():
        if one.ended_at is None and (not one.resource or one.resource in population.resources):
            writer.add("exceptions", [exception_row(one)])
        else:
            writer.left_out("exceptions", 1)


async def _write_reviews(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    writer.begin("reviews", "store")
    writer.begin("review_decisions", "store")
    for review in await reader.reviews():
        if review.id == population.scope.review_id:
            continue
        writer.add("reviews", review_rows(review, population))
        over = review.state is ReviewState.SEALED
        for item in await reader.items(review.id):
            if not item.canary and (item.decision is not None or over):
                writer.add("review_decisions", [review_decision_row(item)])


def aftermath_row(one: Aftermath) -> Row:
    """The look that must follow one break-glass."""
    return {
        "request_id": one.request_id,
        "due_at": one.due_at,
        "reviewed_at": one.reviewed_at,
        "reviewed_by": one.reviewed_by or None,
        "judgement": str(one.judgement) if one.judgement else None,
    }


def credential_row(credential: Credential, ended_at: datetime | None) -> Row:
    """One credential of the gateway. The gateway takes none whose grant is over; a host that knows the key may."""
    stops = [at for at in (credential.revoked_at, None if credential.direct else ended_at) if at is not None]
    return {
        "credential_id": credential.id,
        "resource": credential.resource,
        "kind": str(credential.kind),
        "account": credential.login,
        "principal": credential.granted_to,
        "grant_id": credential.grant_id,
        "issued_at": credential.created_at,
        "valid_until": credential.expires_at,
        "revoked_at": min(stops, default=None),
        "rotated_at": None,
        "last_used": credential.used_at,
    }


def drift_row(drift: Drift) -> Row:
    """One difference between what should be on a target and what was there."""
    return {
        "resource": drift.resource,
        "account": drift.account,
        "role": drift.role,
        "kind": str(drift.kind),
        "first_seen": drift.first_seen,
        "last_seen": drift.last_seen,
        "cleared_at": drift.cleared_at,
        "grant_id": drift.grant_id,
        "detail": drift.detail or None,
    }


def policy_change_rows(policies: Iterable[PolicyVersion], proposals: Iterable[Proposal]) -> Iterator[Row]:
    """Each policy that came into force, with who wanted it and who agreed."""
    activated = {(one.policy_version, one.decided_at): one for one in proposals if one.state is ProposalState.ACTIVATED}
    in_order: list[PolicyVersion | None] = [None, *sorted(policies, key=lambda policy: policy.activated_at)]
    for before, policy in pairwise(in_order):
        if policy is not None:
            proposal = activated.get((policy.version, policy.activated_at))
            yield _policy_change_row(policy, before.version if before else None, proposal)


def _policy_change_row(policy: PolicyVersion, base: str | None, proposal: Proposal | None) -> Row:
    effects = _effects(proposal)
    return {
        "policy_version": policy.version,
        "activated_at": policy.activated_at,
        "proposed_by": (proposal.proposed_by if proposal else policy.activated_by) or None,
        "approved_by": proposal.decided_by if proposal else None,
        "base": base,
        "widens": None if effects is None or effects.diff.missing else effects.diff.widens,
        "detail": "; ".join(effects.diff.lines[:5]) or None if effects else None,
    }


def _effects(proposal: Proposal | None) -> Effects | None:
    if proposal is None:
        return None
    try:
        return from_data(Effects, dict(proposal.effects))
    except (InvalidInput, ValueError, TypeError):
        return None


def exception_row(one: ReviewException) -> Row:
    """One exception that was not ended."""
    return {
        "exception_id": one.id,
        "resource": one.resource or None,
        "account": one.account or None,
        "role": one.role or None,
        "finding": one.finding or None,
        "owner": one.owner,
        "until": one.until,
        "reason": one.reason,
        "given_at": one.given_at,
        "given_by": one.given_by,
    }


def review_rows(review: Review, population: Population) -> Iterator[Row]:
    """One earlier review, a row for each resource that it covered."""
    try:
        scope = parse_scope(review.scope, review.period)
    except InvalidInput:
        return
    for name in sorted(population.resources):
        if scope.covers(population.catalog.resource(name)):
            yield {
                "review_id": review.id,
                "resource": name,
                "started_at": review.started_at,
                "title": review.title or None,
                "period_start": review.period_start,
                "period_end": review.period_end,
                "due_at": review.due_at,
                "sealed_at": review.sealed_at,
                "signed_at": max(one.at for one in review.sign_offs) if review.signed else None,
                "signed_by": ";".join(sorted(one.person for one in review.sign_offs)) or None,
            }


def review_decision_row(item: Item) -> Row:
    """One item of an earlier review; `undecided` where nobody decided it."""
    return {
        "item_id": item.id,
        "review_id": item.review_id,
        "resource": item.resource,
        "account": item.account,
        "role": item.role or None,
        "grant_id": item.grant_id,
        "principal": item.principal or None,
        "decision": str(item.decision) if item.decision else "undecided",
        "decided_by": item.decided_by or None,
        "decided_at": item.decided_at,
        "by_default": item.by_default,
        "sensitive": item.risk >= _GRAVE,
        "act": next((vote.act for vote in reversed(item.votes) if vote.act), None),
        "opened_at": item.opened_at,
        "carry_out_by": item.carry_out_by,
        "carried_out_at": item.carried_out_at,
        "outcome": item.outcome or None,
    }


def boundary_rows(catalog: Catalog, resources: Iterable[str]) -> Iterator[Row]:
    """Roles whose holders can change what binds them, as the catalog's tags say."""
    for name in sorted(resources):
        resource = catalog.resource(name)
        yield from _controls(name, "*", resource.tags)
        for entitlement in resource.entitlements:
            yield from _controls(name, entitlement.native.get("role", entitlement.role), entitlement.tags)


def _controls(resource: str, role: str, tags: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for what in tags.get(_CONTROLS, "").split(";"):
        if what.strip():
            yield {"resource": resource, "role": role, "controls": what.strip()}


async def _grants_with_credentials(reader: Reader) -> Sequence[str]:
    return sorted({credential.grant_id async for credential in _all_credentials(reader)})


async def _all_credentials(reader: Reader) -> AsyncIterator[Credential]:
    after: str | None = None
    while page := await reader.credentials(Page(limit=_PAGE, after=after, newest_first=False)):
        for credential in page:
            yield credential
        after = page[-1].id
