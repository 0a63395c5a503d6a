"""Post notices and look at the outbox.

`post` writes into the caller's transaction: a change that is rolled back tells nobody, and one that is committed is
told even if the process dies right after. Called by every use case that somebody should hear of; `delivery` sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lapse.control.context import Control
from lapse.domain.actors import Actor, Scope
from lapse.domain.notices import Notice, Posting, PostingState
from lapse.ports import Page, Transaction


async def post(control: Control, tx: Transaction, notices: Iterable[Notice]) -> None:
    """Put `notices` into the outbox, to be delivered as soon as `tx` is committed."""
    postings = [Posting(id=control.new_id("not"), notice=notice, due_at=notice.at) for notice in notices]
    if postings:
        await tx.add_postings(postings)


async def list_notices(
    control: Control, actor: Actor, page: Page, *, states: Iterable[PostingState] = ()
) -> Sequence[Posting]:
    """What was posted, and what became of it."""
    actor.require(Scope.ADMIN, Scope.AUDIT)
    return await control.store.read(lambda reader: reader.postings(page, states=states))
