"""Changes of the policy: what one would have done to the past, proposals with their effects, and the second person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from lapse.bootstrap.effects import effects_of, replay_files
from lapse.control.policies import (
    activate_proposal,
    propose_policy,
    reject_proposal,
    stale,
    withdraw_proposal,
)
from lapse.control.replays import since
from lapse.domain.actors import Scope
from lapse.domain.data import Json, from_data, to_data
from lapse.domain.errors import LapseError
from lapse.domain.proposals import Proposal, ProposalState
from lapse.domain.times import Instant
from lapse.entrypoints.api.operations import MEBIBYTE, Body, Call, Lines, Listing, Query, Routes
from lapse.entrypoints.api.problems import problem_of
from lapse.policy import parse
from lapse.policy.effects import Effects
from lapse.policy.replay import ReplayReport
from lapse.ports import PolicyVersion, Reader

ROUTES = Routes("policy")
NDJSON = "application/x-ndjson"
_READERS = (Scope.ADMIN, Scope.AUDIT)
_LOOK_BACK = "90d"


class ReplayBody(Body, frozen=True, kw_only=True):
    """Files by name, and how far to look back: `90d`, a day, or an RFC 3339 time."""

    files: dict[str, str]
    since: str = _LOOK_BACK


class ProposalBody(Body, frozen=True, kw_only=True):
    """Files by name, why, and how far the replay looks back."""

    files: dict[str, str]
    reason: str
    since: str = _LOOK_BACK


class ActivationBody(Body, frozen=True, kw_only=True):
    """Why, and why to go on although some claims are neither proved nor refuted."""

    reason: str = ""
    accept_unknown: str = ""


class RejectionBody(Body, frozen=True, kw_only=True):
    """Why not."""

    reason: str


class WithdrawalBody(Body, frozen=True, kw_only=True):
    """Why it is taken back."""

    reason: str = ""


class ProposalQuery(Query, frozen=True, kw_only=True):
    """`open_only`: those that nobody decided yet."""

    open_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalLine:
    """A proposal in a listing. `stale`: another policy came into force since. `claims` counts them by outcome."""

    id: str
    state: ProposalState
    stale: bool
    reason: str
    proposed_by: str
    created_at: Instant
    policy_version: str
    base: str
    decided_by: str
    claims: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal with its effects, and with the files it would replace. `stale` as in the listing."""

    proposal: Proposal
    stale: bool
    effects: Effects
    base_files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """The proposal that came into force, and the policy that is in force now."""

    proposal: Proposal
    policy: PolicyVersion


@ROUTES.post("/api/v1/policy/replay", Lines, body=ReplayBody, limit=4 * MEBIBYTE, media_type=NDJSON, secret=True)
async def replay_policy(call: Call) -> Lines:
    """What files would have answered to all that was asked: lines of `progress`, then `report` or `problem`.

    Changes nothing.
    """
    call.actor.require(*_READERS)
    body: ReplayBody = call.body
    parse(body.files)
    return Lines(_replaying(call, body, since(body.since, call.app.clock.now())))


@ROUTES.post("/api/v1/policy/proposals", Proposal, body=ProposalBody, status=201, limit=4 * MEBIBYTE)
async def propose(call: Call) -> Proposal:
    """Propose files as the policy, with what they would do. Another administrator activates or rejects it."""
    body: ProposalBody = call.body
    call.actor.require(Scope.ADMIN)
    computed = await effects_of(call.app, body.files, since(body.since, call.app.clock.now()))
    return await propose_policy(
        call.control, call.actor, body.files, body.reason, base=computed.base, effects=computed.effects
    )


@ROUTES.get("/api/v1/policy/proposals", Listing[ProposalLine], query=ProposalQuery)
async def list_proposals(call: Call) -> Listing[ProposalLine]:
    """Proposals, newest first."""
    call.actor.require(*_READERS)

    async def work(reader: Reader) -> list[ProposalLine]:
        active = await reader.active_policy()
        return [_line(one, active) for one in await reader.proposals(open_only=call.query.open_only)]

    return Listing(await call.app.store.read(work))


@ROUTES.get("/api/v1/policy/proposals/{proposal_id}", ProposalView)
async def show_proposal(call: Call) -> ProposalView:
    """One proposal, with what it would do."""
    call.actor.require(*_READERS)

    async def work(reader: Reader) -> ProposalView:
        proposal = await reader.proposal(call.path["proposal_id"])
        base = await reader.policy(proposal.base)
        return ProposalView(
            proposal=proposal,
            stale=stale(proposal, await reader.active_policy()),
            effects=_effects(proposal),
            base_files=dict(base.files),
        )

    return await call.app.store.read(work)


@ROUTES.post("/api/v1/policy/proposals/{proposal_id}/activation", Activated, body=ActivationBody, status=201)
async def activate(call: Call) -> Activated:
    """Put a proposal in force, as a second person."""
    body: ActivationBody = call.body
    proposal, policy = await activate_proposal(
        call.control, call.actor, call.path["proposal_id"], reason=body.reason, accept_unknown=body.accept_unknown
    )
    return Activated(proposal=proposal, policy=policy)


@ROUTES.post("/api/v1/policy/proposals/{proposal_id}/rejection", Proposal, body=RejectionBody, status=201)
async def reject(call: Call) -> Proposal:
    """Say no to a proposal, as a second person."""
    return await reject_proposal(call.control, call.actor, call.path["proposal_id"], call.body.reason)


@ROUTES.post("/api/v1/policy/proposals/{proposal_id}/withdrawal", Proposal, body=WithdrawalBody, status=201)
async def withdraw(call: Call) -> Proposal:
    """Take back a proposal of one's own."""
    return await withdraw_proposal(call.control, call.actor, call.path["proposal_id"], call.body.reason)


async def _replaying(call: Call, body: ReplayBody, begin: datetime) -> AsyncIterator[dict[str, Json]]:
    """Progress as it comes (from another thread in a server), then the end."""
    loop, coming = asyncio.get_running_loop(), asyncio.Queue[tuple[int, int]]()

    def on_progress(done: int, total: int) -> None:
        loop.call_soon_threadsafe(coming.put_nowait, (done, total))

    task = asyncio.create_task(replay_files(call.app, body.files, begin, on_progress))
    try:
        while not task.done():
            news = asyncio.create_task(coming.get())
            await asyncio.wait({task, news}, return_when=asyncio.FIRST_COMPLETED)
            if news.done():
                done, total = news.result()
                yield {"progress": {"done": done, "total": total}}
            news.cancel()
        yield _end(task)
    finally:
        task.cancel()


def _end(task: asyncio.Task[ReplayReport]) -> dict[str, Json]:
    try:
        return {"report": to_data(task.result())}
    except LapseError as error:
        problem = problem_of(error)
        return {"problem": {"code": problem.code if problem else "internal", "detail": error.message}}


def _effects(proposal: Proposal) -> Effects:
    return from_data(Effects, dict(proposal.effects))


def _line(proposal: Proposal, active: PolicyVersion | None) -> ProposalLine:
    outcomes = [claim.outcome.value for claim in _effects(proposal).claims]
    return ProposalLine(
        id=proposal.id,
        state=proposal.state,
        stale=stale(proposal, active),
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        created_at=proposal.created_at,
        policy_version=proposal.policy_version,
        base=proposal.base,
        decided_by=proposal.decided_by,
        claims={outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
    )
