"""Sign off a sealed review: two persons, each of whom names the hash that was sealed. Called by the API."""

from __future__ import annotations

from dataclasses import replace

from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict, InvalidInput, Refused
from lapse.domain.names import check_text, shown
from lapse.domain.reviews import Review, ReviewState, SignOff
from lapse.ledger.entry import changed
from lapse.ports import Transaction

FEWEST_DIGITS = 12
"""Of the hash, as many as nobody types by chance."""


async def sign_review(control: Control, actor: Actor, review_id: str, sealed: str, note: str = "") -> Review:
    """Sign what was sealed under the hash that begins with `sealed`.

    Raises:
        Refused: the review is not sealed, or the person signed it already.
        InvalidInput: fewer than 12 digits are given.
        Conflict: the sealed hash is another one.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)
    note, named = check_text(note, what="note"), sealed.strip().lower().removeprefix("sha256:")
    if len(named) < FEWEST_DIGITS:
        raise InvalidInput(
            f"`{shown(sealed)}` is too short to name what you sign", hint=f"give at least {FEWEST_DIGITS} digits of it"
        )

    async def work(tx: Transaction) -> Review:
        review, catalog, now = await tx.review(review_id), await tx.catalog(), control.now()
        if review.state is not ReviewState.SEALED:
            raise Refused(f"review {review.id} is {review.state}", hint=f"`lapse review seal {review.id}` comes first")
        if not review.hashes.get("manifest", "").startswith(named):
            raise Conflict(
                f"review {review.id} was sealed under another hash than `{shown(named)}`",
                hint="verify the pack that you read, and name the hash that this prints",
            )
        person = catalog.person_of(acting_principal(actor, catalog).name)
        if person is None:
            raise Refused(f"`{shown(actor.name)}` is no person", hint="two persons sign a review")
        if any(one.person == person for one in review.sign_offs):
            raise Refused(f"`{shown(person)}` signed review {review.id} already", hint="another person must sign it")
        mark = SignOff(by=actor.name, person=person, at=now, sealed=review.hashes["manifest"], note=note)
        after = replace(review, sign_offs=(*review.sign_offs, mark), version=review.version + 1)
        await tx.save_review(after)
        await tx.append([changed("review.signed", review, after, review.id, at=now, actor=actor.name)])
        return after

    return await control.store.write(work)
