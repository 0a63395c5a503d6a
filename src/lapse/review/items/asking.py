"""Items made ready to be decided: who is asked about each, and canaries mixed in. Called when a review is validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lapse.domain.catalog import Catalog
from lapse.domain.requests import Verdict
from lapse.domain.reviewers import with_reviewers
from lapse.domain.reviews import Item, Review
from lapse.domain.times import Instant
from lapse.ports import Reader
from lapse.review.items.canaries import canaries
from lapse.review.validate import ranked


async def asked_items(reader: Reader, review: Review, items: Sequence[Item], at: Instant) -> list[Item]:
    """`items` of `review` with those who are asked, and its canaries among them, gravest first."""
    catalog = await reader.catalog()
    asked = with_reviewers(items, catalog, await _approvers(reader, items), review.plan.fallback or review.started_by)
    made = canaries(asked, _names(catalog, items), review.plan.canaries, review.plan.seed, at)
    return list(ranked([*asked, *made]))


def _names(catalog: Catalog, items: Sequence[Item]) -> set[str]:
    return {*catalog.principals, *(item.account for item in items)}


async def _approvers(reader: Reader, items: Sequence[Item]) -> Mapping[str, frozenset[str]]:
    """The persons who approved, by grant."""
    found = {}
    for grant in await reader.grants_by_id(sorted({item.grant_id for item in items if item.grant_id})):
        votes = await reader.decisions(grant.request_id)
        found[grant.id] = frozenset(vote.person for vote in votes if vote.verdict is Verdict.APPROVE)
    return found
