"""Ask for access, preview the answer, cancel, extend, and let unanswered requests expire.

A request that the policy denies leaves no request behind, but a ledger entry with the full question and answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lapse.control.approvals import approve_request
from lapse.control.context import Control
from lapse.control.guards import refuse_locked
from lapse.control.questions import NewRequest, Question, question
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import eligible_persons
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.errors import Refused
from lapse.domain.names import check_text
from lapse.domain.requests import Request, RequestEvent
from lapse.domain.terms import Terms
from lapse.ledger.entry import Entry, changed, created
from lapse.policy import Evaluation
from lapse.ports import Transaction


async def preview_request(control: Control, actor: Actor, wanted: NewRequest) -> Evaluation:
    """What the policy would answer to `wanted`, with every rule's outcome; nothing is recorded."""
    actor.require(Scope.REQUEST)
    asked = await control.store.read(lambda reader: question(control, reader, actor, wanted))
    return asked.evaluation


async def create_request(control: Control, actor: Actor, wanted: NewRequest) -> Request:
    """Record a request, under the terms the policy offers; without approval stages it is approved at once.

    Raises:
        Refused: the policy (with its reason), a lock, or the requester's own state forbids it.
        InvalidInput, NotFound: something in `wanted` cannot be right.
    """
    actor.require(Scope.REQUEST)
    result = await control.store.write(lambda tx: _create(control, tx, actor, wanted))
    control.wake()
    if isinstance(result, Evaluation):
        raise Refused(result.reason, hint=result.hint or "`lapse policy explain` shows every rule and what it takes")
    return result


async def cancel_request(control: Control, actor: Actor, request_id: str, reason: str = "") -> Request:
    """Withdraw a pending request: by its requester, its beneficiary or an administrator."""
    actor.require(Scope.REQUEST, Scope.ADMIN)
    reason = check_text(reason, what="reason")

    async def work(tx: Transaction) -> Request:
        request = await tx.request(request_id)
        if actor.name not in {request.requester, request.beneficiary} and Scope.ADMIN not in actor.scopes:
            raise Refused(f"request {request_id} is not yours", hint="its requester can cancel it")
        return await close_request(tx, request, RequestEvent.CANCEL, at=control.now(), actor=actor.name, reason=reason)

    return await control.store.write(work)


async def expire_requests(control: Control, limit: int = 200) -> int:
    """Close pending requests whose time-out has passed; returns how many. Called by the server's clock."""

    async def work(tx: Transaction) -> int:
        now = control.now()
        due = await tx.requests_to_expire(now, limit)
        for request in due:
            await close_request(
                tx,
                request,
                RequestEvent.EXPIRE,
                at=now,
                actor="system:clock",
                reason="nobody decided in time",
            )
        return len(due)

    return await control.store.write(work)


async def extend_grant(
    control: Control, actor: Actor, grant_id: str, duration: timedelta, justification: str
) -> Request:
    """Ask for more time on a live grant: a new request that continues it without a gap, under today's policy."""
    grant = await control.store.read(lambda reader: reader.grant(grant_id))
    wanted = NewRequest(
        entitlement=grant.entitlement,
        duration=duration,
        justification=justification,
        beneficiary=grant.beneficiary,
        extends=grant_id,
    )
    return await create_request(control, actor, wanted)


async def close_request(
    tx: Transaction, request: Request, event: RequestEvent, *, at: datetime, actor: str, reason: str
) -> Request:
    """Take `request` to the state after `event`, with its ledger entry."""
    closed = request.after(event, at=at, reason=reason)
    await tx.save_request(closed)
    entry = changed(f"request.{closed.state}", request, closed, request.id, at=at, actor=actor)
    await tx.append([replace(entry, policy_version=request.policy_version)])
    return closed


async def _create(control: Control, tx: Transaction, actor: Actor, wanted: NewRequest) -> Request | Evaluation:
    asked = await question(control, tx, actor, wanted)
    catalog = await tx.catalog()
    refuse_locked(await tx.locks(), catalog, [asked.ask.requester.name, asked.ask.beneficiary.name], wanted.entitlement)
    if asked.evaluation.terms is None:
        await tx.append([_refusal(asked, actor)])
        return asked.evaluation
    request = _request(control, asked, asked.evaluation.terms)
    _refuse_unreachable_quorum(request, catalog)
    await tx.add_request(request)
    await tx.append([_creation(request, asked, actor)])
    if request.terms.stages:
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
    )


def _refuse_unreachable_quorum(request: Request, catalog: Catalog) -> None:
    """A stage that not enough people could ever decide is said at once, not after the time-out."""
    for stage in request.terms.stages:
        able = len(eligible_persons(stage, request, catalog))
        if able < stage.quorum:
            raise Refused(
                f"nobody could approve this: stage `{stage.name}` needs {stage.quorum} of "
                f"{', '.join(stage.approvers)}, and {able} of them may decide on this request",
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
