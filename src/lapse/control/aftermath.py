"""Looking at break-glass afterwards: what is due, who is reminded of it, and the judgement of an independent person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lapse.control.circumstances import OnCall, on_call_in
from lapse.control.context import Control
from lapse.control.guards import acting_principal, refuse_locked_actor
from lapse.control.notices import post
from lapse.domain.actors import Actor, Scope
from lapse.domain.aftermath import Aftermath, Judgement, ReviewCall
from lapse.domain.approvers import ON_CALL, interested_persons, persons_of
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.durations import human_duration
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_text
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.requests import Request
from lapse.domain.times import format_time
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

    due = await control.store.read(lambda reader: reader.aftermath(aftermath_id))
    on_call = await on_call_in(control, due.rotas)

    async def work(tx: Transaction) -> Aftermath:
        await refuse_locked_actor(tx, actor)
        found, catalog = await tx.aftermath(aftermath_id), await tx.catalog()
        request = await tx.request(found.request_id)
        person = _independent(actor, catalog, request, found.reviewers, on_call)
        judged = found.judged(judgement, by=person, at=control.now(), note=note)
        await tx.save_aftermath(judged)
        entry = changed("breakglass.reviewed", found, judged, request.id, at=control.now(), actor=actor.name)
        await tx.append([entry])
        return judged

    return await control.store.write(work)


async def remind_reviewers(control: Control) -> int:
    """Call the reviewers of what was not looked at: who is on call at once, all half way, and when it is overdue.

    Each call is recorded and posted in one transaction. Returns how many. Called by the server's clock.
    """
    made = 0
    for one in await control.store.read(lambda reader: reader.aftermaths()):
        call = one.call_due(control.now())
        on_call = await on_call_in(control, one.rotas) if call is not None else {}
        if call is None or (call is ReviewCall.USED and set(one.rotas) - set(on_call)):
            continue  # a rota that cannot be read now is asked again
        await control.store.write(lambda tx, name=one.id, rota=on_call: _call(control, tx, name, rota))  # type: ignore[misc]
        made += 1
    return made


async def _call(control: Control, tx: Transaction, aftermath_id: str, on_call: OnCall) -> None:
    found, now = await tx.aftermath(aftermath_id), control.now()
    call = found.call_due(now)
    if call is None:
        return
    request, catalog = await tx.request(found.request_id), await tx.catalog()
    parties = [one for one in found.reviewers if call is not ReviewCall.USED or one.startswith(f"{ON_CALL}:")]
    persons = persons_of(parties, request, catalog, on_call) - interested_persons(request, catalog)
    after = found.called(call)
    await tx.save_aftermath(after)
    entry = changed("breakglass.reminded", found, after, request.id, at=now, actor="system:clock")
    await tx.append([replace(entry, context={"call": str(call), "to": to_data(persons)})])
    told = sorted(persons | _blocked(found, catalog)) if call is ReviewCall.OVERDUE else sorted(persons)
    if told:
        await post(control, tx, [_notice(found, request, call, tuple(told), now)])


def _notice(found: Aftermath, request: Request, call: ReviewCall, told: tuple[str, ...], at: datetime) -> Notice:
    what = f"`{request.requester}` used break-glass for `{request.entitlement}`"
    if call is ReviewCall.USED:
        text = f"{what}: {request.justification}"
        return Notice(kind=NoticeKind.BREAK_GLASS, subject=found.id, to=told, text=text, at=at)
    when = (
        f"was due by {format_time(found.due_at)[:16]}"
        if call is ReviewCall.OVERDUE
        else (f"is due within {human_duration(found.due_at - at)}")
    )
    text = f"{what}, and the review of it {when}: {request.justification}"
    return Notice(kind=NoticeKind.REVIEW_DUE, subject=found.id, to=told, text=text, at=at)


def _blocked(found: Aftermath, catalog: Catalog) -> frozenset[str]:
    """Who has no second break-glass until it is looked at."""
    return catalog.humans_behind(found.beneficiary)


def _independent(actor: Actor, catalog: Catalog, request: Request, reviewers: Sequence[str], on_call: OnCall) -> str:
    """The person who judges: a reviewer by the offer, and nobody who asked, benefited or stands behind either."""
    acting_principal(actor, catalog)
    person = catalog.person_of(actor.name)
    if person is None:
        raise Refused(f"`{actor.name}` is not an active person, and only persons can review")
    if person in interested_persons(request, catalog):
        raise Refused(f"`{actor.name}` cannot review an own use of break-glass", hint="somebody else must")
    if person not in persons_of(reviewers, request, catalog, on_call):
        raise Refused(f"`{actor.name}` is no reviewer of this", hint=f"its reviewers are {', '.join(reviewers)}")
    return person
