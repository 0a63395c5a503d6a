"""The items of reviews: read them, decide them (several in one act), hand them on, take a decision back, draw a sample.

Which items are canaries is shown only once their review is sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from lapse.control.reviews import ItemVerdict, decide_items, open_item, reassign_items, undo_item
from lapse.domain.actors import Scope
from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.domain.removals import Removal
from lapse.domain.reviews import Item, ItemDecision, ReviewState
from lapse.domain.times import parse_time
from lapse.enforcement.removals import carry_out_review
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes
from lapse.ports import Reader
from lapse.review.items.canaries import disguised
from lapse.review.items.sampling import sample
from lapse.review.validate import ranked

ROUTES = Routes("reviews")
_READERS = (Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)
_ENDING = frozenset({ItemDecision.REVOKE, ItemDecision.NARROW, ItemDecision.SHORTEN})
Ids = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=500)]


class ItemDecisionBody(Body, frozen=True, kw_only=True):
    """What becomes of a permission, and why. `until`: kept or shortened to then; `narrow_to`: the narrower role."""

    decision: ItemDecision
    reason: str = ""
    until: str = ""
    narrow_to: str = ""

    def verdict(self) -> ItemVerdict:
        """This as a value."""
        until = parse_time(self.until) if self.until else None
        return ItemVerdict(decision=self.decision, reason=self.reason, until=until, narrow_to=self.narrow_to)


class ItemDecisionsBody(ItemDecisionBody, frozen=True, kw_only=True):
    """The same for several items in one act."""

    items: Ids


class ReassignBody(Body, frozen=True, kw_only=True):
    """Who is asked about these items instead."""

    items: Ids
    to: str
    reason: str = ""


class UndoBody(Body, frozen=True, kw_only=True):
    """Why it is needed after all."""

    reason: str


class ItemQuery(Query, frozen=True, kw_only=True):
    """`undecided`: only what nobody decided yet; `mine`: only what the caller is asked about now; `group`: of one."""

    undecided: bool = False
    mine: bool = False
    group: str = ""


class SampleQuery(Query, frozen=True, kw_only=True):
    """How many, and the seed that chooses them."""

    size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 25
    seed: str


@ROUTES.get("/api/v1/reviews/{review_id}/items", Listing[Item], query=ItemQuery)
async def list_items(call: Call) -> Listing[Item]:
    """The permissions to decide on, riskiest first; without the right to read all, those one is asked about."""
    query: ItemQuery = call.query

    async def work(reader: Reader) -> tuple[Sequence[Item], str]:
        person = (await reader.catalog()).person_of(call.actor.name) or call.actor.name
        return await _shown(reader, await reader.items(call.path["review_id"])), person

    items, person = await call.app.store.read(work)
    if not _reads_all(call):
        items = [item for item in items if any(person in line.persons for line in item.asked)]
    if query.undecided:
        items = [item for item in items if item.decision is None]
    if query.mine:
        items = [item for item in items if item.decision is None and person in item.turn]
    if query.group:
        items = [item for item in items if item.group == query.group]
    return Listing(ranked(items))


@ROUTES.get("/api/v1/reviews/{review_id}/sample", Listing[Item], query=SampleQuery)
async def draw_sample(call: Call) -> Listing[Item]:
    """A sample of the items, chosen by the seed alone: the same for everybody who draws it."""
    call.actor.require(*_READERS)
    items = await call.app.store.read(lambda reader: reader.items(call.path["review_id"]))
    return Listing(sample((item for item in items if not item.canary), call.query.size, call.query.seed))


@ROUTES.get("/api/v1/review-items/{item_id}", Item)
async def show_item(call: Call) -> Item:
    """One item with all its evidence. That a reviewer opened it is recorded."""
    call.actor.require(*_READERS, Scope.APPROVE)
    await _require_sight(call)
    if call.actor.scopes & {Scope.REVIEW, Scope.APPROVE, Scope.ADMIN}:
        await open_item(call.control, call.actor, call.path["item_id"])
    return await _one(call)


@ROUTES.post("/api/v1/review-items/{item_id}/decision", Item, body=ItemDecisionBody, status=201)
async def decide(call: Call) -> Item:
    """Decide one permission; what is taken away is carried out and read back."""
    body: ItemDecisionBody = call.body
    await _decide(call, [call.path["item_id"]], body.verdict())
    return await _one(call)


@ROUTES.post("/api/v1/review-items/decisions", Listing[Item], body=ItemDecisionsBody, status=201)
async def decide_together(call: Call) -> Listing[Item]:
    """Decide several permissions alike, in one act: all, or none."""
    body: ItemDecisionsBody = call.body
    done = await _decide(call, body.items, body.verdict())
    ids = [item.id for item in done]

    async def work(reader: Reader) -> Sequence[Item]:
        return await _shown(reader, [await reader.item(item_id) for item_id in ids])

    return Listing(await call.app.store.read(work))


@ROUTES.post("/api/v1/review-items/reassignments", Listing[Item], body=ReassignBody, status=201)
async def reassign(call: Call) -> Listing[Item]:
    """Have somebody else asked about items."""
    body: ReassignBody = call.body
    items = await reassign_items(call.control, call.actor, body.items, body.to, body.reason)
    return Listing(await call.app.store.read(lambda reader: _shown(reader, items)))


@ROUTES.post("/api/v1/review-items/{item_id}/undo", Removal, body=UndoBody, status=201)
async def undo(call: Call) -> Removal:
    """Give standing access back that was taken away, while its time for that goes on."""
    removal = await undo_item(call.control, call.actor, call.path["item_id"], call.body.reason)
    await carry_out_review(call.app.parts, removal.review_id)
    return await call.app.store.read(lambda reader: reader.removal(removal.id))


async def _decide(call: Call, ids: Sequence[str], verdict: ItemVerdict) -> list[Item]:
    items = await decide_items(call.control, call.actor, ids, verdict)
    if verdict.decision in _ENDING:
        await call.app.enforcer.tick()
        for review_id in sorted({item.review_id for item in items}):
            await carry_out_review(call.app.parts, review_id)
    return items


async def _require_sight(call: Call) -> None:
    """Who may not read all items sees those that they are asked about; of others not even that they are there."""

    async def work(reader: Reader) -> bool:
        item, person = await reader.item(call.path["item_id"]), (await reader.catalog()).person_of(call.actor.name)
        return any(person in line.persons for line in item.asked)

    if not _reads_all(call) and not await call.app.store.read(work):
        raise NotFound(
            f"there is no item `{shown(call.path['item_id'])}`", hint="`lapse review items --mine` lists yours"
        )


async def _one(call: Call) -> Item:
    async def work(reader: Reader) -> Item:
        return (await _shown(reader, [await reader.item(call.path["item_id"])]))[0]

    return await call.app.store.read(work)


async def _shown(reader: Reader, items: Iterable[Item]) -> list[Item]:
    """Items as people may see them: who knew which are canaries would look at those alone."""
    found, sealed = list(items), dict[str, bool]()
    for review_id in {item.review_id for item in found}:
        sealed[review_id] = (await reader.review(review_id)).state is ReviewState.SEALED
    return [disguised(item) if item.canary and not sealed[item.review_id] else item for item in found]


def _reads_all(call: Call) -> bool:
    return bool(call.actor.scopes & set(_READERS))
