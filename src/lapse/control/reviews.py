"""Decide, hand on and take back items of a review. What is taken away is carried out, and read back, by `enforcement`.

Only those who are asked about an item decide it, or who may at any time: nobody on their own access, and nobody on
what they approved. Called by the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.grants import end_grants
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import EndReason
from lapse.domain.names import check_text, shown
from lapse.domain.removals import Removal, RemovalEvent
from lapse.domain.requests import Verdict
from lapse.domain.reviewers import barred, reassigned
from lapse.domain.reviews import Item, ItemDecision, ItemVote, Review, ReviewState
from lapse.domain.times import Instant
from lapse.ledger.entry import changed, created
from lapse.policy.problems import nearest
from lapse.ports import Transaction

_ENDS = frozenset({ItemDecision.REVOKE, ItemDecision.SHORTEN, ItemDecision.NARROW})


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemVerdict:
    """What is said of items: until when they are kept, or to when shortened; the narrower role."""

    decision: ItemDecision
    reason: str = ""
    until: Instant | None = None
    narrow_to: str = ""


async def decide_items(control: Control, actor: Actor, item_ids: Sequence[str], said: ItemVerdict) -> list[Item]:
    """Say the same of one or more items, in one act: all are decided, or none.

    A reason is needed to go against the recommendation, and to take anything away. `SHORTEN` of a grant without a time
    moves no deadline (a grant has one): it says that the permission was longer than its use, which step 5 turns into a
    proposal for the policy.

    Raises:
        Refused: the review is sealed or its time is over, the actor must not decide one of them, or it is carried out.
        InvalidInput: a reason is missing, or what is said makes no sense for one of them.
    """
    actor.require(Scope.REVIEW, Scope.APPROVE, Scope.ADMIN)
    said = replace(said, reason=check_text(said.reason, what="reason"))
    if not item_ids:
        raise InvalidInput("no item is named", hint="`lapse review items` lists them")
    act = control.new_id("act") if len(item_ids) > 1 else ""

    async def work(tx: Transaction) -> list[Item]:
        return [await _decide(control, tx, actor, item_id, said, act) for item_id in dict.fromkeys(item_ids)]

    items = await control.store.write(work)
    control.wake()
    return items


async def _decide(control: Control, tx: Transaction, actor: Actor, item_id: str, said: ItemVerdict, act: str) -> Item:
    item, catalog, now = await tx.item(item_id), await tx.catalog(), control.now()
    review = await open_review(tx, item)
    person = await _reviewer(tx, actor, item, catalog, review)
    _check(item, said, now, review)
    said = _with_role_on_target(item, said, catalog)
    if any(vote.stage < item.stage and vote.by == person for vote in item.votes):
        raise Refused(f"`{shown(person)}` decided item {item.id} before", hint="another person decides this stage")
    vote = ItemVote(
        decision=said.decision, by=actor.name, at=now, stage=item.stage, reason=said.reason, until=said.until,
        narrow_to=said.narrow_to, act=act,
    )  # fmt: skip
    decided = await record_vote(tx, item, vote, review)
    await tx.append([changed("review.decided", item, decided, item.id, at=now, actor=actor.name)])
    return decided


async def record_vote(tx: Transaction, item: Item, vote: ItemVote, review: Review) -> Item:
    """The item after `vote`, saved, with what follows from it set in motion. The caller writes the ledger entry."""
    after = item.voted(vote, review.plan.stages)
    if after.decision in _ENDS and not after.canary:
        after = replace(after, carry_out_by=vote.at + review.plan.carry_out_within)
        await _take_away(tx, after, vote, review)
    await tx.save_item(after)
    return after


async def _take_away(tx: Transaction, item: Item, vote: ItemVote, review: Review) -> None:
    if item.decision is ItemDecision.SHORTEN and item.until is None:
        return
    later = item.until if item.decision is ItemDecision.SHORTEN and item.until else vote.at
    removal = Removal(
        id=item.id,
        review_id=item.review_id,
        resource=item.resource,
        account=item.account,
        role=item.role,
        asked_by=vote.by,
        asked_at=vote.at,
        reversible_until=later + review.plan.reversible_for,
        due_at=later,
        grant_id=item.grant_id or "",
        instead=item.narrow_to,
    )
    await tx.add_removals([removal])
    await tx.append([created("removal.asked", removal, removal.id, at=vote.at, actor=vote.by)])
    if item.grant_id and later <= vote.at:
        grant = await tx.grant(item.grant_id)
        why = f"review {item.review_id}: {vote.reason}"
        await end_grants(tx, [grant], EndReason.REVOKED, at=vote.at, actor=vote.by, why=why)


async def reassign_items(control: Control, actor: Actor, item_ids: Sequence[str], to: str, reason: str) -> list[Item]:
    """Have `to` asked about items instead: by those who are asked now, or an administrator.

    Raises:
        NotFound: `to` is no active person.
        Refused: `to` holds or approved one of them, the actor is not asked about one, or the review is sealed.
    """
    actor.require(Scope.REVIEW, Scope.APPROVE, Scope.ADMIN)
    reason = check_text(reason, what="reason")

    async def work(tx: Transaction) -> list[Item]:
        catalog, now, done = await tx.catalog(), control.now(), []
        for item_id in dict.fromkeys(item_ids):
            item = await tx.item(item_id)
            review = await open_review(tx, item)
            await _reviewer(tx, actor, item, catalog, review, handing_on=True)
            after = reassigned(item, to, catalog, {item.grant_id or "": await approvers_of(tx, item)})
            await tx.save_item(after)
            entry = changed("review.reassigned", item, after, item.id, at=now, actor=actor.name)
            await tx.append([replace(entry, context={"reason": reason, "to": to})])
            done.append(after)
        return done

    return await control.store.write(work)


async def open_item(control: Control, actor: Actor, item_id: str) -> Item:
    """The item for somebody who is about to decide it: that they looked at its evidence is recorded once."""
    actor.require(Scope.REVIEW, Scope.APPROVE, Scope.ADMIN)

    async def work(tx: Transaction) -> Item:
        item, catalog = await tx.item(item_id), await tx.catalog()
        asked = catalog.person_of(actor.name) in {person for line in item.asked for person in line.persons}
        if item.opened_at is not None or not asked:
            return item
        after = replace(item, opened_at=control.now(), version=item.version + 1)
        await tx.save_item(after)
        return after

    return await control.store.write(work)


async def undo_item(control: Control, actor: Actor, item_id: str, reason: str) -> Removal:
    """Take back that standing access was taken away, while its time for that goes on.

    Raises:
        NotFound: nothing was taken away for this item.
        Refused: the time is over, it was a grant (which is ended for good), or the actor must not.
    """
    actor.require(Scope.REVIEW, Scope.APPROVE, Scope.ADMIN)
    reason = check_text(reason, what="reason")
    if not reason:
        raise InvalidInput(
            "taking a decision back needs a reason", hint="say in a few words why it is needed after all"
        )

    async def work(tx: Transaction) -> Removal:
        item, removal, now = await tx.item(item_id), await tx.removal(item_id), control.now()
        await _reviewer(tx, actor, item, await tx.catalog(), await tx.review(item.review_id))
        if removal.grant_id:
            raise Refused(f"grant {removal.grant_id} is ended for good", hint="access is asked for anew with a request")
        if removal.reversible_until <= now:
            raise Refused(
                f"item {item.id} could be taken back until {removal.reversible_until:%Y-%m-%d %H:%M} UTC",
                hint="access is asked for anew with a request",
            )
        after = removal.after(RemovalEvent.UNDO, at=now)
        await tx.save_removals([after])
        entry = changed("removal.undone", removal, after, item.id, at=now, actor=actor.name)
        await tx.append([replace(entry, context={"reason": reason})])
        return after

    removal = await control.store.write(work)
    control.wake()
    return removal


async def open_review(tx: Transaction, item: Item) -> Review:
    """The review of `item`, if it can still be decided; raises `Refused` otherwise."""
    review = await tx.review(item.review_id)
    if review.state is ReviewState.SEALED:
        raise Refused(f"review {review.id} is sealed", hint="start a new review to decide again")
    if item.carried_out_at is not None:
        raise Refused(f"item {item.id} is carried out already", hint="access is asked for anew with a request")
    if item.decision in _ENDS and any(one.id == item.id for one in await tx.removals(resource=item.resource)):
        raise Refused(f"item {item.id} is being carried out", hint=f"`lapse review undo {item.id}` takes it back")
    return review


async def approvers_of(tx: Transaction, item: Item) -> frozenset[str]:
    """The persons who approved the grant that `item` is about."""
    if not item.grant_id:
        return frozenset()
    grant = await tx.grant(item.grant_id)
    votes = await tx.decisions(grant.request_id)
    return frozenset(vote.person for vote in votes if vote.verdict is Verdict.APPROVE)


async def _reviewer(
    tx: Transaction, actor: Actor, item: Item, catalog: Catalog, review: Review, *, handing_on: bool = False
) -> str:
    """The person who acts, if they may decide `item`. Nobody decides on an own permission or an own approval."""
    reviewer = acting_principal(actor, catalog)
    person = catalog.person_of(reviewer.name) or reviewer.name
    if handing_on and Scope.ADMIN in actor.scopes:
        return person
    refused = barred(item, catalog, {item.grant_id or "": await approvers_of(tx, item)})
    if person in refused or reviewer.name in {item.principal, *catalog.names_of(item.principal)}:
        what = "what you approved" if person not in catalog.humans_behind(item.principal) else "your own access"
        raise Refused(f"item {item.id} is about {what}", hint="another reviewer must decide")
    asked = {one for line in item.asked for one in line.persons}
    if not asked:
        actor.require(Scope.REVIEW, Scope.ADMIN)
    if asked and person not in asked and person != catalog.person_of(review.started_by):
        raise Refused(
            f"`{shown(person)}` is not asked about item {item.id}",
            hint=f"it is for {', '.join(item.turn) or 'nobody'}; they can hand it on with `lapse review reassign`",
        )
    return person


def _check(item: Item, said: ItemVerdict, now: datetime, review: Review) -> None:
    if said.decision in _ENDS and not said.reason:
        raise InvalidInput("taking access away needs a reason", hint="say in a few words why the access must end")
    if said.decision is not item.recommendation and said.decision is not ItemDecision.CANNOT_SAY and not said.reason:
        raise InvalidInput(
            f"the recommendation for item {item.id} is to {item.recommendation}, so deciding otherwise needs a reason",
            hint="give one with --reason",
        )
    if said.until is not None and (said.decision not in {ItemDecision.KEEP, ItemDecision.SHORTEN} or said.until <= now):
        raise InvalidInput("a time only goes with keep and shorten, and lies ahead", hint="leave --until out")
    if (said.decision is ItemDecision.NARROW) != bool(said.narrow_to):
        raise InvalidInput("narrow needs the narrower role, and nothing else does", hint="name it with --to")
    if said.decision is ItemDecision.NARROW and item.grant_id:
        raise InvalidInput(
            f"item {item.id} is a grant, which ends by itself: it cannot be made narrower",
            hint="revoke it, and let the narrower role be asked for",
        )
    if review.over(now):
        raise Refused(f"the time to decide review {review.id} was over on {review.due_at:%Y-%m-%d}")


def _with_role_on_target(item: Item, said: ItemVerdict, catalog: Catalog) -> ItemVerdict:
    """What is said, with the narrower role as the target calls it: only what lapse gives there can be given instead."""
    if not said.narrow_to:
        return said
    given = [
        entitlement for entitlement in catalog.resource(item.resource).entitlements if "role" in entitlement.native
    ]
    natives = {e.role: e.native["role"] for e in given} | {e.native["role"]: e.native["role"] for e in given}
    if said.narrow_to not in natives:
        raise InvalidInput(
            f"`{shown(said.narrow_to)}` is no role that lapse gives on `{item.resource}`",
            hint=nearest(said.narrow_to, natives) or "the catalog has no entitlement there: revoke it instead",
        )
    if natives[said.narrow_to] == item.role:
        raise InvalidInput(
            f"`{shown(said.narrow_to)}` is what is held already, and nothing narrower",
            hint="name another one with --to",
        )
    return replace(said, narrow_to=natives[said.narrow_to])


def undecided(items: Iterable[Item]) -> list[Item]:
    """Those that nobody decided yet."""
    return [item for item in items if item.decision is None]
