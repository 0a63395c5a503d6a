"""Post notices and look at the outbox.

`post` writes into the caller's transaction: a change that is rolled back tells nobody, and one that is committed is
told even if the process dies right after. Called by every use case that somebody should hear of; `delivery` sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lapse.control.context import Control
from lapse.domain.actors import Actor, Scope
from lapse.domain.notices import Notice, Posting, PostingState
from lapse.ledger.entry import Entry
from lapse.ports import Page, Transaction


async def post(control: Control, tx: Transaction, notices: Iterable[Notice]) -> None:
    """Put `notices` into the outbox, to be delivered as soon as `tx` is committed."""
    postings = [Posting(id=control.new_id("not"), notice=notice, due_at=notice.at) for notice in notices]
    if postings:
        await tx.add_postings(postings)


async def retry_notice(control: Control, actor: Actor, posting_id: str) -> Posting:
    """Try a notice that was given up once more, also at places that refused it.

    Raises:
        Refused: it was not given up.
    """
    actor.require(Scope.ADMIN)

    async def work(tx: Transaction) -> Posting:
        found, now = await tx.posting(posting_id), control.now()
        again = found.revived(now)
        await tx.save_postings([again])
        await tx.append([_retried(again, actor)])
        return again

    return await control.store.write(work)


def _retried(again: Posting, actor: Actor) -> Entry:
    return Entry(
        type="notice.retried",
        at=again.due_at,
        actor=actor.name,
        subject=again.notice.subject,
        after={"state": again.state.value},
        context={"notice": again.id, "via": actor.via},
    )


async def list_notices(
    control: Control, actor: Actor, page: Page, *, states: Iterable[PostingState] = ()
) -> Sequence[Posting]:
    """What was posted, and what became of it."""
    actor.require(Scope.ADMIN, Scope.AUDIT)
    return await control.store.read(lambda reader: reader.postings(page, states=states))
