"""Approve or deny: one eligible person's vote, counted with all others, recorded with who else could have voted.

A vote is taken if and only if `domain.approval` counts it. Two approvers at the same instant lose nothing: every vote
also bumps the request's version, so that the slower transaction is run again on what the faster one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from lapse.control.approvals import approve_request
from lapse.control.circumstances import OnCall, moment_at, on_call_for, relevant, vote_time
from lapse.control.context import Control
from lapse.control.guards import acting_principal, refuse_leaver, refuse_locked, refuse_locked_actor
from lapse.control.lookups import look_up_first
from lapse.control.questions import refuse_if_answer_changed
from lapse.control.requests import close_request
from lapse.control.telling import decided, tell, wanted
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import Tally, cast, tally
from lapse.domain.approvers import Moment, acts_for_interested, interested_persons, principals_of_delegate
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, to_data
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
            request is not pending, a counter-offer waits, a lock forbids it, or the policy would answer otherwise.
    """
    actor.require(Scope.APPROVE)
    reason = check_text(reason, what="reason")
    on_call = await on_call_for(control, request_id)
    asked = await control.store.read(lambda reader: reader.request(request_id))
    await look_up_first(control, [asked.ticket])
    request = await control.store.write(lambda tx: _decide(control, tx, actor, request_id, (verdict, reason), on_call))
    control.wake()
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A vote before it is counted: who casts it on what, after which others, and when."""

    approver: str
    request: Request
    earlier: tuple[Decision, ...]
    catalog: Catalog
    moment: Moment

    @property
    def person(self) -> str:
        """The human who votes; empty if that is no active person."""
        return self.catalog.person_of(self.approver) or ""

    def before(self) -> Tally:
        """The count without it."""
        return tally(self.request, self.earlier, self.catalog, self.moment)


async def ballot_for(control: Control, tx: Transaction, actor: Actor, request_id: str, on_call: OnCall) -> Ballot:
    """The ballot of `actor`, who is not locked, on a request that is pending; else `Refused`."""
    now, request, catalog = control.now(), await tx.request(request_id), await tx.catalog()
    approver = acting_principal(actor, catalog).name
    refuse_closed(request, now)
    await refuse_locked_actor(tx, actor)
    earlier = tuple(await tx.decisions(request_id))
    return Ballot(
        approver=approver,
        request=request,
        earlier=earlier,
        catalog=catalog,
        moment=await moment_at(tx, vote_time(now, earlier), relevant(on_call, request)),
    )


def counted_vote(control: Control, ballot: Ballot, verdict: Verdict, reason: str) -> tuple[Decision, Tally]:
    """The vote as it counts, and the count with it; `Refused`, with why, if it does not count."""
    vote = Decision(
        id=control.new_id("dec"),
        request_id=ballot.request.id,
        approver=ballot.approver,
        person=ballot.person,
        verdict=verdict,
        stage="",
        decided_at=ballot.moment.at,
        reason=reason,
    )
    taken = cast(ballot.request, ballot.earlier, vote, ballot.catalog, ballot.moment)
    if taken is None:
        raise _refusal(ballot)
    return taken


async def refuse_locked_yes(tx: Transaction, ballot: Ballot, votes: Sequence[Decision], result: Tally) -> None:
    """Raise `Refused` if a lock covers what is asked, who asks, or somebody by or for whom a yes would count.

    A no is taken under a lock as well: it gives nobody anything.
    """
    request, counted = ballot.request, [one for one in votes if one.id in result.counted]
    voters = [name for one in counted for name in (one.approver, one.on_behalf_of) if name]
    names = [request.requester, request.beneficiary, *voters]
    refuse_locked(await tx.locks(), ballot.catalog, names, request.entitlement)


async def settle(control: Control, tx: Transaction, request: Request, result: Tally, last: Decision) -> Request:
    """What the count comes to: approved, denied, or waiting for more."""
    if result.denied_by is not None:
        closed = await close_request(
            tx, request, RequestEvent.DENY, at=last.decided_at, actor=last.approver, reason=last.reason
        )
        await tell(control, tx, decided(closed, control.now()))
        return closed
    if result.approved:
        approved = await approve_request(control, tx, request, actor=last.approver)
        await tell(control, tx, decided(approved, control.now()))
        return approved
    waiting = replace(request, version=request.version + 1)
    await tx.save_request(waiting)
    return waiting


async def _decide(
    control: Control, tx: Transaction, actor: Actor, request_id: str, vote: tuple[Verdict, str], on_call: OnCall
) -> Request:
    ballot = await ballot_for(control, tx, actor, request_id, on_call)
    request, before = ballot.request, ballot.before()
    own = _own_vote(ballot, before)
    if vote[0] is Verdict.APPROVE and before.approved and own is not None:
        # Somebody who never answered is no approver any more, so that the votes that are there have come to suffice.
        await refuse_locked_yes(tx, ballot, ballot.earlier, before)
        await refuse_unfit(control, tx, request, ballot.catalog)
        return await settle(control, tx, request, before, own)
    decision, result = counted_vote(control, ballot, *vote)
    basis: dict[str, Json] = {}
    if decision.verdict is Verdict.APPROVE:
        await refuse_locked_yes(tx, ballot, (*ballot.earlier, decision), result)
        basis = await refuse_unfit(control, tx, request, ballot.catalog)
    await tx.add_decision(decision)
    await tx.append([vote_entry(decision, ballot, before, actor, basis)])
    after = await settle(control, tx, request, result, decision)
    if after.state is RequestState.PENDING:
        await tell(control, tx, wanted(after, _newly_open(before, result), control.now()))
    return after


def _newly_open(before: Tally, after: Tally) -> frozenset[str]:
    """Those who may decide in a stage that the last vote opened."""
    opened = {one.stage.name for one in after.open_stages} - {one.stage.name for one in before.open_stages}
    return frozenset[str]().union(*(one.may_decide for one in after.open_stages if one.stage.name in opened))


def refuse_closed(request: Request, now: datetime) -> None:
    """Raise `Refused` unless `request` waits for a decision."""
    if request.state is not RequestState.PENDING:
        raise Refused(f"request {request.id} is {request.state} already", hint="only a pending request can be decided")
    if request.expires_at <= now:
        raise Refused(f"request {request.id} has expired", hint="the requester can ask again")


async def refuse_unfit(control: Control, tx: Transaction, request: Request, catalog: Catalog) -> dict[str, Json]:
    """Raise `Refused` if the request could not be approved now, whoever said yes.

    What was asked of which policy to tell comes back, to be recorded with the yes.
    """
    if request.counter is not None:
        raise Refused(
            f"`{request.counter.approver}` offered less for request {request.id}, and the requester has not answered",
            hint="it can be approved once they accept; a denial is possible",
        )
    refuse_leaver(catalog, request.beneficiary)
    basis = await refuse_if_answer_changed(control, tx, request)
    await refuse_if_extended_ended(tx, request)
    return basis


def _own_vote(ballot: Ballot, before: Tally) -> Decision | None:
    """The earlier vote of the same person that counts, if there is one."""
    mine = (one for one in ballot.earlier if one.id in before.counted)
    return next((one for one in mine if ballot.catalog.person_of(one.approver) == ballot.person), None)


def _refusal(ballot: Ballot) -> Refused:  # noqa: PLR0911  one return a reason
    """Why a vote does not count."""
    approver, request, catalog, before = ballot.approver, ballot.request, ballot.catalog, ballot.before()
    acting = principals_of_delegate(ballot.person, ballot.moment, catalog)
    if not ballot.person:
        return Refused(f"`{approver}` is not an active person, and only persons can decide")
    if ballot.person in interested_persons(request, catalog):
        return Refused(f"`{approver}` cannot decide on an own request", hint="somebody else must decide")
    if _own_vote(ballot, before) is not None:
        return Refused(f"`{approver}` has decided on request {request.id} already")
    if acts_for_interested(acting, request, catalog):
        return Refused(
            f"`{approver}` acts for somebody who has a part in request {request.id}, so somebody else must decide",
            hint="`lapse delegation list` shows who acts for whom",
        )
    if ballot.person in before.mandates:
        return Refused(f"somebody has approved request {request.id} as the delegate of `{approver}` already")
    stage = before.open_stage
    if stage is None:
        return Refused(f"request {request.id} has no open stage")
    later = [s.stage.name for s in before.stages if ballot.person in s.may_decide]
    hint = f"stage `{later[0]}` opens for you later" if later else "the request names who may"
    names = " or ".join(f"`{one.stage.name}`" for one in before.open_stages)
    return Refused(f"`{approver}` may not decide in stage {names} of request {request.id}", hint=hint)


async def refuse_if_extended_ended(tx: Transaction, request: Request) -> None:
    """Raise `Refused` if the grant that the request extends is over."""
    if request.extends is None:
        return
    grant = await tx.grant(request.extends)
    if grant.state not in LIVE:
        raise Refused(f"grant {grant.id}, which this extends, is over", hint="the requester can ask for a new grant")


def vote_entry(
    decision: Decision, ballot: Ballot, before: Tally, actor: Actor, basis: Mapping[str, Json] = MappingProxyType({})
) -> Entry:
    """The entry for a vote, with those who could have cast one instead, and what the policy was asked for a yes."""
    could = next((s.may_decide for s in before.open_stages if s.stage.name == decision.stage), frozenset[str]())
    return created(
        f"decision.{decision.verdict}",
        decision,
        ballot.request.id,
        at=decision.decided_at,
        actor=actor.name,
        policy_version=ballot.request.policy_version,
        eligible=to_data(could),
        interested=to_data(interested_persons(ballot.request, ballot.catalog)),
        via=actor.via,
        **basis,
    )
