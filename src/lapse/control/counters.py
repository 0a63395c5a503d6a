"""Offer less than was asked, and accept it: a shorter time, a narrower role on the same resource, or both.

Whoever may say yes may offer. While an offer waits nobody can approve; the requester accepts it, or cancels.
Accepting makes the request the smaller one, under the terms that the policy gives for that today. The offerer's yes
counts from then on; earlier ones stay if the request only became shorter and their stage is still there with the same
approvers, and count no more if it is for another role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from lapse.control.approvals import approve_request
from lapse.control.circumstances import OnCall, moment_at, on_call_for, relevant, vote_time
from lapse.control.context import Control
from lapse.control.decisions import (
    Ballot,
    ballot_for,
    counted_vote,
    refuse_closed,
    refuse_if_extended_ended,
    refuse_locked_yes,
    refuse_unfit,
    settle,
    vote_entry,
)
from lapse.control.guards import acting_principal, refuse_leaver, refuse_locked
from lapse.control.questions import answer_again
from lapse.control.requests import refuse_dead_end
from lapse.control.telling import countered, tell, wanted
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import tally
from lapse.domain.catalog import Catalog
from lapse.domain.data import to_data
from lapse.domain.durations import check_duration, human_duration
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_text
from lapse.domain.requests import CounterOffer, Decision, Request, RequestState, Verdict
from lapse.domain.terms import Terms
from lapse.ledger.entry import changed
from lapse.policy import Ask
from lapse.ports import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Less:
    """What an approver would agree to. What is left out stays as it was asked."""

    duration: timedelta | None = None
    entitlement: str = ""
    reason: str = ""


async def offer_less(control: Control, actor: Actor, request_id: str, less: Less) -> Request:
    """Offer the requester less than was asked, instead of saying yes or no.

    Raises:
        Refused: the actor may not say yes, another offer waits, or the policy does not allow what is offered.
        InvalidInput: it is not less, or there is no reason.
    """
    actor.require(Scope.APPROVE)
    reason = check_text(less.reason, what="reason")
    if not reason:
        raise InvalidInput("an offer needs a reason", hint="say in a few words why less is enough")
    on_call = await on_call_for(control, request_id)
    return await control.store.write(
        lambda tx: _offer(control, tx, actor, request_id, (replace(less, reason=reason), on_call))
    )


async def accept_less(control: Control, actor: Actor, request_id: str) -> Request:
    """Accept what an approver offered: the request is for that from now on, and may be approved by it.

    Raises:
        Refused: the actor did not ask, nothing is offered, or the policy does not allow it any more.
    """
    actor.require(Scope.REQUEST)
    on_call = await on_call_for(control, request_id)
    request = await control.store.write(lambda tx: _accept(control, tx, actor, request_id, on_call))
    control.wake()
    return request


async def _offer(
    control: Control, tx: Transaction, actor: Actor, request_id: str, what: tuple[Less, OnCall]
) -> Request:
    less, on_call = what
    ballot = await ballot_for(control, tx, actor, request_id, on_call)
    request = ballot.request
    vote, result = counted_vote(control, ballot, Verdict.APPROVE, less.reason)
    await refuse_locked_yes(tx, ballot, (*ballot.earlier, vote), result)
    await refuse_unfit(control, tx, request, ballot.catalog)
    offered = _checked(less, request, ballot.catalog)
    await _answer(control, tx, offered, ballot.catalog)
    offer = CounterOffer(
        approver=ballot.approver,
        entitlement=offered.entitlement,
        duration=offered.requested_duration,
        reason=less.reason,
        offered_at=ballot.moment.at,
        vote=vote,
    )
    after = request.countered(offer)
    await tx.save_request(after)
    entry = changed("request.countered", request, after, request.id, at=offer.offered_at, actor=actor.name)
    await tx.append([replace(entry, policy_version=request.policy_version, context={"via": actor.via})])
    await tell(control, tx, countered(after, offer.offered_at))
    return after


async def _accept(control: Control, tx: Transaction, actor: Actor, request_id: str, on_call: OnCall) -> Request:
    request, catalog, now = await tx.request(request_id), await tx.catalog(), control.now()
    offer = _acceptable(request, actor, catalog)
    refuse_closed(request, now)
    refuse_locked(await tx.locks(), catalog, [request.requester, request.beneficiary], offer.entitlement)
    refuse_leaver(catalog, request.beneficiary)
    await refuse_if_extended_ended(tx, request)
    smaller = replace(request, entitlement=offer.entitlement, requested_duration=offer.duration)
    terms, ask, version = await _answer(control, tx, smaller, catalog)
    earlier = tuple(await tx.decisions(request_id))
    after = request.reduced(terms, version, _void(request, smaller, terms, earlier))
    refuse_closed(after, now)
    refuse_dead_end(after, catalog)
    await tx.save_request(after)
    entry = changed("request.reduced", request, after, request.id, at=now, actor=actor.name)
    context = {"ask": to_data(ask), "via": actor.via}
    await tx.append([replace(entry, policy_version=version, context=context)])
    moment = await moment_at(tx, vote_time(now, (*earlier, offer.vote)), relevant(on_call, after))
    ballot = Ballot(approver=offer.approver, request=after, earlier=earlier, catalog=catalog, moment=moment)
    return await _count_offer(control, tx, actor, ballot, offer.vote)


async def _count_offer(control: Control, tx: Transaction, actor: Actor, ballot: Ballot, vote: Decision) -> Request:
    """The offerer's yes, cast when they offered, counts if they may say yes to the smaller request too."""
    request, now = ballot.request, control.now()
    if not request.terms.stages:
        reason = f"offer `{request.terms.offer}`"
        return await approve_request(control, tx, request, actor="system:policy", reason=reason)
    result = tally(request, (*ballot.earlier, vote), ballot.catalog, ballot.moment)
    await refuse_locked_yes(tx, ballot, (*ballot.earlier, vote), result)
    stage = result.counted.get(vote.id)
    if stage is not None:
        vote = replace(vote, stage=stage)
        await tx.add_decision(vote)
        await tx.append([replace(vote_entry(vote, ballot, ballot.before(), actor), at=now)])
    after = await settle(control, tx, request, result, vote)
    if after.state is RequestState.PENDING:
        await tell(control, tx, wanted(after, result.may_decide, now))
    return after


def _void(request: Request, smaller: Request, terms: Terms, earlier: Iterable[Decision]) -> list[str]:
    """The votes that were about something else: another role, or a stage that is not there any more."""
    asked = {one.name: one.approvers for one in request.terms.stages}
    kept = {one.name for one in terms.stages if asked.get(one.name) == one.approvers}
    same = smaller.entitlement == request.entitlement
    return [one.id for one in earlier if not same or one.stage not in kept]


def _acceptable(request: Request, actor: Actor, catalog: Catalog) -> CounterOffer:
    """The offer that waits for the actor, who asked (under any name), or answers for who did."""
    acting_principal(actor, catalog)
    if actor.name != request.requester and catalog.person_of(actor.name) not in catalog.humans_behind(
        request.requester
    ):
        raise Refused(f"request {request.id} is not yours", hint=f"`{request.requester}` can accept what is offered")
    if request.counter is None:
        raise Refused(f"nothing is offered for request {request.id}", hint="`lapse request show` says where it stands")
    return request.counter


def _checked(less: Less, request: Request, catalog: Catalog) -> Request:
    """The request as it would be; `InvalidInput` if that is not less."""
    duration = request.requested_duration if less.duration is None else check_duration(less.duration)
    entitlement = catalog.entitlement(less.entitlement or request.entitlement).name
    if duration > request.requested_duration:
        longest = human_duration(request.requested_duration)
        raise InvalidInput(f"`{human_duration(duration)}` is longer than the {longest} that were asked for")
    if (entitlement, duration) == (request.entitlement, request.requested_duration):
        raise InvalidInput("this is what was asked for", hint="approve it, or offer less with --for or --entitlement")
    if entitlement.partition("/")[0] != request.entitlement.partition("/")[0]:
        raise InvalidInput(f"`{entitlement}` is on another resource", hint="offer another role on the same one")
    if request.extends is not None and entitlement != request.entitlement:
        raise InvalidInput(f"this extends grant {request.extends}, so only its duration can be less")
    return replace(request, entitlement=entitlement, requested_duration=duration)


async def _answer(control: Control, tx: Transaction, smaller: Request, catalog: Catalog) -> tuple[Terms, Ask, str]:
    """What the policy gives for the smaller request, the question, and the policy's version."""
    refuse_locked(await tx.locks(), catalog, [smaller.requester, smaller.beneficiary], smaller.entitlement)
    await _refuse_twice(tx, smaller)
    entitlement = catalog.entitlement(smaller.entitlement)
    connector = await control.connector_for(tx, entitlement.resource)
    login = catalog.principal(smaller.beneficiary).account_on(entitlement.resource)
    connector.account_for(entitlement.native, login, "preview")
    policy = await control.policy(tx)
    ask, answer = await answer_again(control, tx, policy, smaller)
    if answer.terms is None:
        what = f"`{smaller.entitlement}` for {human_duration(smaller.requested_duration)}"
        raise Refused(f"the policy does not allow {what}: {answer.reason}", hint=answer.hint)
    return answer.terms, ask, policy.version


async def _refuse_twice(tx: Transaction, smaller: Request) -> None:
    if not smaller.bundle:
        return
    others = [one for one in await tx.requests_in_bundle(smaller.bundle) if one.id != smaller.id]
    if any(one.entitlement == smaller.entitlement for one in others):
        raise Refused(f"`{smaller.entitlement}` is asked for in the same bundle already")
