"""Approve or deny: one eligible person's vote, counted with all others, recorded with who else could have voted.

Two approvers at the same instant lose nothing: every vote also bumps the request's version, so that the slower
transaction is run again on what the faster one left.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lapse.control.approvals import approve_request
from lapse.control.context import Control
from lapse.control.guards import acting_principal, refuse_leaver, refuse_locked
from lapse.control.questions import answer_again
from lapse.control.requests import close_request
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import StageTally, interested_persons, tally
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import LIVE
from lapse.domain.names import check_text
from lapse.domain.requests import Decision, Request, RequestEvent, RequestState, Verdict
from lapse.ledger.entry import Entry, created
from lapse.ports import Transaction


async def approve(control: Control, actor: Actor, request_id: str, reason: str = "") -> Request:
    """Say yes to a pending request; with the last vote that is needed, its grant is scheduled."""
    return await decide(control, actor, request_id, Verdict.APPROVE, reason)


async def deny(control: Control, actor: Actor, request_id: str, reason: str) -> Request:
    """Say no, with a reason; one eligible person's no is enough."""
    if not reason.strip():
        raise InvalidInput("a denial needs a reason", hint="say in a few words what would have to change")
    return await decide(control, actor, request_id, Verdict.DENY, reason)


async def decide(control: Control, actor: Actor, request_id: str, verdict: Verdict, reason: str) -> Request:
    """Count the actor's vote on a pending request.

    Raises:
        Refused: the actor may not decide (own request, not an approver, decided already, stage not open), the
            request is not pending, a lock is in force, or the policy would answer otherwise today.
    """
    actor.require(Scope.APPROVE)
    reason = check_text(reason, what="reason")
    request = await control.store.write(lambda tx: _decide(control, tx, actor, request_id, (verdict, reason)))
    control.wake()
    return request


async def _decide(
    control: Control, tx: Transaction, actor: Actor, request_id: str, vote: tuple[Verdict, str]
) -> Request:
    now = control.now()
    request = await tx.request(request_id)
    catalog = await tx.catalog()
    approver = acting_principal(actor, catalog).name
    _refuse_closed(request, now)
    locks = await tx.locks()
    refuse_locked(locks, catalog, [approver, request.requester, request.beneficiary], request.entitlement)
    earlier = list(await tx.decisions(request_id))
    stage = _open_stage_for(approver, request, earlier, catalog)
    if vote[0] is Verdict.APPROVE:
        refuse_leaver(catalog, request.beneficiary)
        await _refuse_if_answer_changed(control, tx, request)
        await _refuse_if_extended_ended(tx, request)
    decision = _decision(control, request, stage, approver, catalog, vote)
    await tx.add_decision(decision)
    await tx.append([_entry(decision, request, stage, catalog, actor)])
    return await _settle(control, tx, request, [*earlier, decision], catalog)


async def _settle(
    control: Control, tx: Transaction, request: Request, decisions: list[Decision], catalog: Catalog
) -> Request:
    result, last = tally(request, decisions, catalog), decisions[-1]
    if result.denied_by is not None:
        return await close_request(
            tx, request, RequestEvent.DENY, at=last.decided_at, actor=last.approver, reason=last.reason
        )
    if result.approved:
        return await approve_request(control, tx, request, actor=last.approver)
    waiting = replace(request, version=request.version + 1)
    await tx.save_request(waiting)
    return waiting


def _refuse_closed(request: Request, now: datetime) -> None:
    if request.state is not RequestState.PENDING:
        raise Refused(f"request {request.id} is {request.state} already", hint="only a pending request can be decided")
    if request.expires_at <= now:
        raise Refused(f"request {request.id} has expired", hint="the requester can ask again")


def _open_stage_for(approver: str, request: Request, earlier: list[Decision], catalog: Catalog) -> StageTally:
    person = catalog.person_of(approver)
    if person is None:
        raise Refused(f"`{approver}` is not an active person, and only persons can decide")
    if person in interested_persons(request, catalog):
        raise Refused(f"`{approver}` cannot decide on an own request", hint="somebody else must decide")
    if any(decision.person == person for decision in earlier):
        raise Refused(f"`{approver}` has decided on request {request.id} already")
    result = tally(request, earlier, catalog)
    stage = result.open_stage
    if stage is None:
        raise Refused(f"request {request.id} has no open stage")
    if person not in stage.may_decide:
        later = [s.stage.name for s in result.stages if person in s.may_decide]
        hint = f"stage `{later[0]}` opens for you later" if later else "the request names who may"
        raise Refused(f"`{approver}` may not decide in stage `{stage.stage.name}` of request {request.id}", hint=hint)
    return stage


async def _refuse_if_answer_changed(control: Control, tx: Transaction, request: Request) -> None:
    """An old request is no way round a new rule, nor round leaving a group: the answer today must be the same."""
    policy = await control.policy(tx)
    answer = await answer_again(control, tx, policy, request)
    if answer.terms != request.terms:
        what = "the catalog" if policy.version == request.policy_version else "the policy"
        raise Refused(
            f"{what} changed since request {request.id} was made, and the policy now gives another answer",
            hint="deny it, and let the requester ask again",
        )


async def _refuse_if_extended_ended(tx: Transaction, request: Request) -> None:
    if request.extends is None:
        return
    grant = await tx.grant(request.extends)
    if grant.state not in LIVE:
        raise Refused(f"grant {grant.id}, which this extends, is over", hint="the requester can ask for a new grant")


def _decision(
    control: Control,
    request: Request,
    stage: StageTally,
    approver: str,
    catalog: Catalog,
    vote: tuple[Verdict, str],
) -> Decision:
    return Decision(
        id=control.new_id("dec"),
        request_id=request.id,
        approver=approver,
        person=catalog.person_of(approver) or approver,
        verdict=vote[0],
        stage=stage.stage.name,
        decided_at=control.now(),
        reason=vote[1],
    )


def _entry(decision: Decision, request: Request, stage: StageTally, catalog: Catalog, actor: Actor) -> Entry:
    return created(
        f"decision.{decision.verdict}",
        decision,
        request.id,
        at=decision.decided_at,
        actor=actor.name,
        policy_version=request.policy_version,
        eligible=to_data(stage.may_decide),
        interested=to_data(interested_persons(request, catalog)),
        via=actor.via,
    )
