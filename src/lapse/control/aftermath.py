"""Looking at break-glass afterwards: what is due, and the judgement of an independent person."""

from __future__ import annotations

from collections.abc import Sequence

from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.aftermath import Aftermath, Judgement
from lapse.domain.approvers import interested_persons, persons_of
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_text
from lapse.domain.requests import Request
from lapse.ledger.entry import changed
from lapse.ports import Reader, Transaction

_SEES_ALL = frozenset({Scope.APPROVE, Scope.REVIEW, Scope.AUDIT, Scope.ADMIN})


async def list_aftermaths(control: Control, actor: Actor, *, open_only: bool = True) -> Sequence[Aftermath]:
    """The post-reviews of break-glass that are due, or all; who may only ask sees their own."""

    async def work(reader: Reader) -> Sequence[Aftermath]:
        found = await reader.aftermaths(open_only=open_only)
        if actor.scopes & _SEES_ALL:
            return found
        actor.require(Scope.REQUEST)
        catalog = await reader.catalog()
        return [one for one in found if one.beneficiary in catalog.names_of(actor.name)]

    return await control.store.read(work)


async def judge(control: Control, actor: Actor, aftermath_id: str, judgement: Judgement, note: str) -> Aftermath:
    """Say whether a use of break-glass was justified, once and for all.

    Raises:
        Refused: the actor is no reviewer of it, or has a part in it; or it was judged already.
    """
    actor.require(Scope.APPROVE, Scope.REVIEW)
    note = check_text(note, what="note")
    if not note:
        raise InvalidInput("a review needs a note", hint="say in a few words what you looked at")

    async def work(tx: Transaction) -> Aftermath:
        found, catalog = await tx.aftermath(aftermath_id), await tx.catalog()
        request = await tx.request(found.request_id)
        person = _independent(found, request, actor, catalog)
        judged = found.judged(judgement, by=person, at=control.now(), note=note)
        await tx.save_aftermath(judged)
        entry = changed("breakglass.reviewed", found, judged, request.id, at=control.now(), actor=actor.name)
        await tx.append([entry])
        return judged

    return await control.store.write(work)


def _independent(found: Aftermath, request: Request, actor: Actor, catalog: Catalog) -> str:
    """The person who judges: a reviewer by the offer, and nobody who asked, benefited or stands behind either."""
    acting_principal(actor, catalog)
    person = catalog.person_of(actor.name)
    if person is None:
        raise Refused(f"`{actor.name}` is not an active person, and only persons can review")
    if person in interested_persons(request, catalog):
        raise Refused(f"`{actor.name}` cannot review an own use of break-glass", hint="somebody else must")
    if person not in persons_of(found.reviewers, request, catalog):
        raise Refused(
            f"`{actor.name}` is no reviewer of {found.id}", hint=f"its reviewers are {', '.join(found.reviewers)}"
        )
    return person
