"""A review that people decide, in the world of `support.world`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lapse.control.reviews import ItemVerdict, decide_items
from lapse.domain.reviewers import with_reviewers
from lapse.domain.reviews import Item, ItemDecision, Review, ReviewPlan, ReviewState, Usage

DAY = timedelta(days=1)
KEEP, REVOKE = ItemDecision.KEEP, ItemDecision.REVOKE


def an_item(name: str, account: str = "dave_login", role: str = "app_writer", **facts: object) -> Item:
    """Standing access of dave, if nothing else is said; recommended to be revoked."""
    return Item(
        **{
            "id": f"itm_{name}", "review_id": "rev_1", "resource": "pg-prod", "account": account, "principal": "dave",
            "role": role, "holding": "standing", "usage": Usage.UNKNOWN, "usage_coverage": "", "risk": 50,
            "recommendation": REVOKE, "recommendation_reason": "nobody knows why",
        }
        | facts
    )  # fmt: skip


async def a_review(world, *items: Item, plan: ReviewPlan | None = None, fallback: str = "carol") -> Review:
    """A validated review of `items` with who is asked: the owner (olga), then the manager, then `fallback`."""
    plan = plan or ReviewPlan()
    now = world.clock.now()
    review = Review(
        id="rev_1", scope="all", period="2026-Q3", period_start=now, period_end=now, started_by="root", started_at=now,
        state=ReviewState.VALIDATED, title="Quarter", plan=plan, due_at=now + plan.within,
    )  # fmt: skip
    catalog = await world.read(lambda reader: reader.catalog())
    asked = with_reviewers(items, catalog, {}, fallback)

    async def work(tx):
        await tx.add_review(review)
        await tx.put_items(asked)

    await world.store.write(work)
    for item in items:
        if item.holding == "standing" and not item.canary:
            world.target.target.add_login(item.account)
            world.target.target.grant(item.account, item.role)
    return review


async def decide(world, who: str, decision: ItemDecision, *names: str, **more: object) -> list[Item]:
    """`who` says the same of the items called so."""
    said = ItemVerdict(decision=decision, **{"reason": "seen", **more})
    return await decide_items(world.control, world.actor(who), [f"itm_{name}" for name in names], said)


async def item(world, name: str) -> Item:
    return await world.read(lambda reader: reader.item(f"itm_{name}"))


async def seal(world) -> None:
    """The review is sealed under a hash."""

    async def work(tx):
        review = await tx.review("rev_1")
        sealed = replace(
            review, state=ReviewState.SEALED, hashes={"manifest": "ab" * 32}, version=review.version + 1,
            sealed_at=world.clock.now(),
        )  # fmt: skip
        await tx.save_review(sealed)

    await world.store.write(work)
