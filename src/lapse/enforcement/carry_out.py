"""Carry out what reviewers decided to revoke, read it back, and record it on the item.

Level-triggered: an item is done when it says so, and not before the target was seen to refuse; so a crash or a target
that is away delays a revocation and never loses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lapse.domain.access import Assignment, Failed, Removed
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.grants import GrantState
from lapse.domain.reviews import Item, ItemDecision
from lapse.enforcement.parts import ACTOR, Parts
from lapse.ledger.entry import changed
from lapse.ports import Reader, Transaction


async def carry_out_review(parts: Parts, review_id: str) -> list[Item]:
    """Execute the revocations of one review that are decided and not carried out; returns those worked on."""
    items = await parts.store.read(lambda reader: reader.items(review_id))
    waiting = [i for i in items if i.decision is ItemDecision.REVOKE and i.carried_out_at is None]
    granted = [item for item in waiting if item.grant_id]
    standing = [item for item in waiting if not item.grant_id]
    done = [await _follow_grant(parts, item) for item in granted]
    for resource in sorted({item.resource for item in standing}):
        done += await _remove_standing(parts, resource, [i for i in standing if i.resource == resource])
    return done


async def _follow_grant(parts: Parts, item: Item) -> Item:
    """The enforcer ends the grant by itself; the item is done when the grant is."""
    grant = await parts.store.read(lambda reader: reader.grant(item.grant_id or ""))
    if grant.state is GrantState.ENDED:
        return await _save(parts, replace(item, carried_out_at=grant.ended_at, outcome="grant ended and read back"))
    return await _save(parts, replace(item, outcome=grant.last_error or f"grant is {grant.state.replace('_', ' ')}"))


async def _remove_standing(parts: Parts, resource: str, items: Sequence[Item]) -> list[Item]:
    catalog = await parts.store.read(lambda reader: reader.catalog())
    natives = await parts.store.read(lambda reader: _natives(reader, resource))
    possible = [item for item in items if item.role in natives]
    outside = [item for item in items if item.role not in natives]
    now = parts.clock.now()
    assignments = [
        Assignment(grant_id=i.id, account=i.account, native={**natives[i.role], "mode": "membership"}, ends_at=now)
        for i in possible
    ]
    outcomes = await _outcomes(parts, resource, assignments)
    saved = [await _save(parts, _settled(item, outcomes[item.id])) for item in possible]
    note = f"not managed by lapse on {catalog.resource(resource).name}: remove it there, then run the review again"
    return saved + [await _save(parts, replace(item, outcome=note)) for item in outside]


async def _natives(reader: Reader, resource: str) -> dict[str, dict[str, str]]:
    catalog: Catalog = await reader.catalog()
    return {e.native.get("role", ""): dict(e.native) for e in catalog.resource(resource).entitlements}


async def _outcomes(parts: Parts, resource: str, assignments: Sequence[Assignment]) -> dict[str, Removed | Failed]:
    try:
        found = await parts.connector(resource).remove(assignments) if assignments else ()
        return {outcome.grant_id: outcome for outcome in found}
    except LapseError as error:
        return {a.grant_id: Failed(grant_id=a.grant_id, error=error.message) for a in assignments}


def _settled(item: Item, outcome: Removed | Failed) -> Item:
    if isinstance(outcome, Removed):
        return replace(item, carried_out_at=outcome.refused_at, outcome="; ".join(outcome.proof))
    return replace(item, outcome=f"failed: {outcome.error}")


async def _save(parts: Parts, wanted: Item) -> Item:
    """Record the outcome on the item as it is now; nothing is written when it says so already."""

    async def work(tx: Transaction) -> Item:
        current = await tx.item(wanted.id)
        after = replace(
            current, carried_out_at=wanted.carried_out_at, outcome=wanted.outcome, version=current.version + 1
        )
        if (current.carried_out_at, current.outcome) == (after.carried_out_at, after.outcome):
            return current
        kind = "review.carried_out" if after.carried_out_at else "review.not_carried_out"
        await tx.save_item(after)
        await tx.append([changed(kind, current, after, after.id, at=parts.clock.now(), actor=ACTOR)])
        return after

    return await parts.store.write(work)
