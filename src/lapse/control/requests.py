"""Ask for access, preview the answer, cancel, extend, and let unanswered requests expire.

A request that the policy denies leaves no request behind, but a ledger entry with the full question and answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lapse.control.approvals import approve_request, grant_rest_of_bundle
from lapse.control.context import Control
from lapse.control.guards import is_party_to, refuse_locked
from lapse.control.history import Beside
from lapse.control.lookups import look_up_first
from lapse.control.questions import NewRequest, Question, question, refuse_if_answer_changed
from lapse.control.telling import decided, tell, tell_approvers, tell_on_call
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import tally
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.dead_ends import dead_end
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_text
from lapse.domain.requests import Request, RequestEvent, RequestState, Ticket
from lapse.domain.terms import Terms
from lapse.ledger.entry import Entry, changed, created
from lapse.policy import Evaluation, PastRequest, evaluate
from lapse.ports import Page, Reader, Transaction

MOST_IN_BUNDLE = 20
MOST_WAITING = 100
"""However the policy is written, no person has more requests waiting, so that no script floods those who decide."""


async def preview_request(control: Control, actor: Actor, wanted: NewRequest) -> Evaluation:
    """What the policy would answer to `wanted`, with every rule's outcome; nothing is recorded."""
    actor.require(Scope.REQUEST)
    await look_up_first(control, [wanted.ticket])
    asked = await control.store.read(lambda reader: question(control, reader, actor, wanted, judge=evaluate))
    return asked.evaluation


async def create_request(control: Control, actor: Actor, wanted: NewRequest) -> Request:
    """Record a request, under the terms the policy offers; without approval stages it is approved at once.

    Raises:
        Refused: the policy (with its reason), a lock, or the requester's own state forbids it.
        InvalidInput, NotFound: something in `wanted` cannot be right.
    """
    return (await create_bundle(control, actor, [wanted]))[0]


async def create_bundle(control: Control, actor: Actor, wanted: Sequence[NewRequest]) -> Sequence[Request]:
    """Record requests that are granted together or not at all; where the policy denies one, none is made.

    Raises: as `create_request`.
    """
    actor.require(Scope.REQUEST)
    check_bundle([one.entitlement for one in wanted])
    await look_up_first(control, [one.ticket for one in wanted])
    result = await control.store.write(lambda tx: _create(control, tx, actor, wanted))
    control.wake()
    if isinstance(result, Evaluation):
        raise Refused(result.reason, hint=result.hint or "`lapse policy explain` shows every rule and what it takes")
    await tell_on_call(control, result)
    return result


async def cancel_request(
    control: Control, actor: Actor, request_id: str, reason: str = "", *, alone: bool = False
) -> Request:
    """Withdraw a pending request: by its people or an administrator. What waits in its bundle goes with it.

    With `alone` it is taken out of its bundle instead, and the others are granted without it once they are approved.
    """
    actor.require(Scope.REQUEST, Scope.ADMIN)
    reason = check_text(reason, what="reason")

    async def work(tx: Transaction) -> Request:
        request, now = await tx.request(request_id), control.now()
        _refuse_strangers(request, actor, await tx.catalog())
        rest = request.bundle if alone else ""
        request = replace(request, bundle="") if alone else request
        closed = await close_request(tx, request, RequestEvent.CANCEL, at=now, actor=actor.name, reason=reason)
        await _grant_rest(control, tx, rest, actor)
        return closed

    closed = await control.store.write(work)
    control.wake()
    return closed


async def _grant_rest(control: Control, tx: Transaction, bundle: str, actor: Actor) -> None:
    """If all that is left of a bundle is approved, it is granted; the policy must still allow it."""
    left = await tx.requests_in_bundle(bundle) if bundle else ()
    if left and all(one.state is RequestState.APPROVED for one in left):
        await refuse_if_answer_changed(control, tx, left[0])
        await grant_rest_of_bundle(control, tx, left, actor=actor.name)


async def expire_requests(control: Control, limit: int = 200) -> int:
    """Close pending requests whose time-out has passed; returns how many. Called by the server's clock."""

    async def work(tx: Transaction) -> int:
        now = control.now()
        due = await tx.requests_to_expire(now, limit)
        for found in due:
            request = await tx.request(found.id) if found.bundle else found
            if request.state is not RequestState.PENDING:
                continue  # it went with another of its bundle
            expired = await close_request(
                tx,
                request,
                RequestEvent.EXPIRE,
                at=now,
                actor="system:clock",
                reason="nobody decided in time",
            )
            await tell(control, tx, decided(expired, now))
        return len(due)

    return await control.store.write(work)


async def extend_grant(  # noqa: PLR0913  the grant and what is said about it; two have a default
    control: Control,
    actor: Actor,
    grant_id: str,
    duration: timedelta,
    justification: str,
    *,
    ticket: Ticket | None = None,
    break_glass: bool = False,
) -> Request:
    """Ask for more time on a live grant: a new request that continues it without a gap, under today's policy."""
    grant = await control.store.read(lambda reader: reader.grant(grant_id))
    wanted = NewRequest(
        entitlement=grant.entitlement,
        duration=duration,
        justification=justification,
        beneficiary=grant.beneficiary,
        ticket=ticket,
        extends=grant_id,
        break_glass=break_glass,
    )
    return await create_request(control, actor, wanted)


async def close_request(
    tx: Transaction, request: Request, event: RequestEvent, *, at: datetime, actor: str, reason: str
) -> Request:
    """Take `request` to the state after `event`, with its ledger entry; what waits in its bundle is cancelled."""
    closed = request.after(event, at=at, reason=reason)
    await tx.save_request(closed)
    entry = changed(f"request.{closed.state}", request, closed, request.id, at=at, actor=actor)
    await tx.append([replace(entry, policy_version=request.policy_version)])
    if closed.bundle:
        await _close_bundle(tx, closed, at=at)
    return closed


async def _close_bundle(tx: Transaction, closed: Request, *, at: datetime) -> None:
    reason = f"request {closed.id} of the same bundle is {closed.state}"
    for other in await tx.requests_in_bundle(closed.bundle):
        if other.state is not RequestState.PENDING:
            continue
        cancelled = other.after(RequestEvent.CANCEL, at=at, reason=reason)
        await tx.save_request(cancelled)
        entry = changed("request.cancelled", other, cancelled, other.id, at=at, actor="system:bundle")
        await tx.append([replace(entry, policy_version=other.policy_version)])


async def _create(
    control: Control, tx: Transaction, actor: Actor, wanted: Sequence[NewRequest]
) -> Sequence[Request] | Evaluation:
    catalog, locks = await tx.catalog(), await tx.locks()
    asked = await _questions(control, tx, actor, wanted)
    for one in asked:
        names = [one.ask.requester.name, one.ask.beneficiary.name]
        refuse_locked(locks, catalog, names, one.wanted.entitlement)
    refused = [one for one in asked if one.evaluation.terms is None]
    if refused:
        await tx.append([_refusal(one, actor) for one in refused])
        return _named(refused[0], among=len(wanted))
    _refuse_half_an_emergency(asked)
    await _refuse_flood(tx, catalog, asked)
    bundle = control.new_id("bun") if len(wanted) > 1 else ""
    made = [await _record(control, tx, actor, one, (bundle, _expiry(asked))) for one in asked]
    # All of a bundle is there before any of it is approved, so that it is not complete too early.
    return [await _unless_somebody_decides(control, tx, request) for request in made]


def _expiry(asked: Sequence[Question]) -> datetime:
    """What is granted together waits together, no longer than the shortest of it may."""
    return min(one.ask.at + one.evaluation.terms.pending_timeout for one in asked if one.evaluation.terms is not None)


async def _questions(
    control: Control, tx: Transaction, actor: Actor, wanted: Sequence[NewRequest]
) -> Sequence[Question]:
    """Each in the presence of those before: what takes up a quota takes it up within one bundle too."""
    asked: list[Question] = []
    beside = Beside()
    for one in wanted:
        asked.append(await question(control, tx, actor, one, beside))
        terms = asked[-1].evaluation.terms
        if terms is not None:
            made = PastRequest(at=asked[-1].ask.at, offer=terms.offer, automatic=terms.automatic)
            waiting = beside.pending + bool(terms.stages)
            beside = replace(beside, requests=(*beside.requests, made), pending=waiting)
    return asked


def _refuse_half_an_emergency(asked: Sequence[Question]) -> None:
    """What is given at once cannot wait for the approval of something else."""
    terms = [(one.wanted.entitlement, one.evaluation.terms) for one in asked]
    waiting = next((name for name, found in terms if found is not None and found.stages), None)
    if waiting is not None and any(found is not None and found.break_glass for _, found in terms):
        raise Refused(
            f"`{waiting}` needs an approval, so it cannot go together with break-glass",
            hint="ask for it by itself",
        )


async def _refuse_flood(reader: Reader, catalog: Catalog, asked: Sequence[Question]) -> None:
    new = sum(1 for one in asked if one.evaluation.terms is not None and one.evaluation.terms.stages)
    if not new:
        return
    names = catalog.names_of(asked[0].ask.requester.name)
    waiting = new
    for name in sorted(names):
        pending = await reader.requests(Page(limit=MOST_WAITING), states=[RequestState.PENDING], requester=name)
        waiting += sum(1 for request in pending if request.requester == name)
    if waiting > MOST_WAITING:
        raise Refused(
            f"{waiting - new} of your requests wait for a decision already, {MOST_WAITING} at most",
            hint="wait until some are decided, or cancel what is not needed",
        )


def _refuse_strangers(request: Request, actor: Actor, catalog: Catalog) -> None:
    if Scope.ADMIN not in actor.scopes and not is_party_to(request, actor, catalog):
        raise Refused(f"request {request.id} is not yours", hint="its requester can cancel it")


def _named(refused: Question, *, among: int) -> Evaluation:
    """The refusal, which says of which one it speaks where there are several."""
    answer = refused.evaluation
    return answer if among == 1 else replace(answer, reason=f"`{refused.wanted.entitlement}`: {answer.reason}")


def check_bundle(names: Sequence[str]) -> None:
    """Raise `InvalidInput` unless these entitlements can be asked for together."""
    if not names:
        raise InvalidInput("nothing is asked for", hint="name at least one entitlement")
    if len(names) > MOST_IN_BUNDLE:
        raise InvalidInput(f"these are {len(names)} entitlements, {MOST_IN_BUNDLE} at most", hint="ask in several goes")
    if len(set(names)) < len(names):
        raise InvalidInput("an entitlement is asked for twice", hint="name each once")


async def _record(
    control: Control, tx: Transaction, actor: Actor, asked: Question, together: tuple[str, datetime]
) -> Request:
    if asked.evaluation.terms is None:
        raise TypeError("only what is allowed becomes a request")
    bundle, expires_at = together
    request = replace(_request(control, asked, asked.evaluation.terms), bundle=bundle, expires_at=expires_at)
    refuse_dead_end(request, await tx.catalog())
    await tx.add_request(request)
    await tx.append([_creation(request, asked, actor)])
    return request


async def _unless_somebody_decides(control: Control, tx: Transaction, request: Request) -> Request:
    """Where nobody needs to approve it is approved now."""
    if request.terms.stages:
        await tell_approvers(control, tx, request)
        return request
    return await approve_request(control, tx, request, actor="system:policy", reason=f"offer `{request.terms.offer}`")


def _request(control: Control, asked: Question, terms: Terms) -> Request:
    wanted, ask = asked.wanted, asked.ask
    return Request(
        id=control.new_id("req"),
        requester=ask.requester.name,
        beneficiary=ask.beneficiary.name,
        entitlement=wanted.entitlement,
        requested_duration=wanted.duration,
        justification=wanted.justification,
        terms=terms,
        policy_version=asked.evaluation.policy_version,
        created_at=ask.at,
        expires_at=ask.at + terms.pending_timeout,
        ticket=wanted.ticket,
        starts_at=wanted.starts_at,
        extends=wanted.extends,
        repeats=wanted.repeats,
        sponsor=ask.beneficiary.sponsor or ask.requester.sponsor,
    )


def refuse_dead_end(request: Request, catalog: Catalog) -> None:
    """A request that not enough people could ever approve is said at once, not after the time-out."""
    found = dead_end(tally(request, (), catalog), request, catalog)
    if found is not None:
        raise Refused(
            f"nobody could approve this: {found.text}",
            hint="an administrator must add approvers to the set or change the policy",
        )


def _creation(request: Request, asked: Question, actor: Actor) -> Entry:
    return created(
        "request.created",
        request,
        request.id,
        at=request.created_at,
        actor=actor.name,
        policy_version=request.policy_version,
        ask=to_data(asked.ask),
        via=actor.via,
    )


def _refusal(asked: Question, actor: Actor) -> Entry:
    return Entry(
        type="request.refused",
        at=asked.ask.at,
        actor=actor.name,
        subject=asked.ask.entitlement.name,
        policy_version=asked.evaluation.policy_version,
        context={"ask": to_data(asked.ask), "reason": asked.evaluation.reason, "via": actor.via},
    )
