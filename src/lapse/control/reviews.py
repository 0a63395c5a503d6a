"""Decide an item of a review. A revocation is started here and carried out, and read back, by `enforcement`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.grants import end_grants
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import EndReason
from lapse.domain.names import check_text
from lapse.domain.reviews import Item, ItemDecision, ReviewState
from lapse.ledger.entry import changed
from lapse.ports import Transaction


async def decide_item(control: Control, actor: Actor, item_id: str, decision: ItemDecision, reason: str) -> Item:
    """Keep, shorten or revoke one permission; never one's own.

    A reason is needed to go against the recommendation, and to revoke. `SHORTEN` moves no deadline (a grant has one):
    it says that the permission was longer than its use, which step 5 turns into a proposal for the policy.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)
    reason = check_text(reason, what="reason")

    async def work(tx: Transaction) -> Item:
        item, catalog = await tx.item(item_id), await tx.catalog()
        await _refuse_sealed(tx, item)
        _refuse_own(actor, item, catalog)
        _require_reason(item, decision, reason)
        decided = _decided(item, actor, decision, reason, control.now())
        await tx.save_item(decided)
        await tx.append([changed("review.decided", item, decided, item.id, at=control.now(), actor=actor.name)])
        if decision is ItemDecision.REVOKE and item.grant_id is not None:
            grant = await tx.grant(item.grant_id)
            why = f"review {item.review_id}: {reason}"
            await end_grants(tx, [grant], EndReason.REVOKED, at=control.now(), actor=actor.name, why=why)
        return decided

    item = await control.store.write(work)
    control.wake()
    return item


async def _refuse_sealed(tx: Transaction, item: Item) -> None:
    review = await tx.review(item.review_id)
    if review.state is ReviewState.SEALED:
        raise Refused(f"review {review.id} is sealed", hint="start a new review to decide again")
    if item.carried_out_at is not None:
        raise Refused(f"item {item.id} is carried out already", hint="access is asked for anew with a request")


def _refuse_own(actor: Actor, item: Item, catalog: Catalog) -> None:
    """Nobody reviews an own permission, nor that of an agent or service they answer for."""
    reviewer = acting_principal(actor, catalog)
    mine = catalog.humans_behind(reviewer.name) | {reviewer.name}
    if item.principal and mine & (catalog.humans_behind(item.principal) | {item.principal}):
        raise Refused(f"item {item.id} is about your own access", hint="another reviewer must decide")


def _require_reason(item: Item, decision: ItemDecision, reason: str) -> None:
    if reason:
        return
    if decision is ItemDecision.REVOKE:
        raise InvalidInput("a revocation needs a reason", hint="say in a few words why the access must end")
    if decision is not item.recommendation:
        raise InvalidInput(
            f"the recommendation for item {item.id} is to {item.recommendation}, so deciding otherwise needs a reason",
            hint="give one with --reason",
        )


def _decided(item: Item, actor: Actor, decision: ItemDecision, reason: str, at: datetime) -> Item:
    return replace(
        item,
        decision=decision,
        decided_by=actor.name,
        decided_at=at,
        decision_reason=reason,
        version=item.version + 1,
    )
