"""Where a request stands, as the API shows it: its stages, its votes, and who may decide now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from lapse.control.inbox import Standing
from lapse.domain.approval import StageTally
from lapse.domain.grants import Grant
from lapse.domain.requests import Decision, Request, RequestState
from lapse.domain.terms import Escalation
from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One stage: who said yes, and who still may decide.

    `state` is `open`, `met` or `later`. `needed` is how many persons must say yes, as far as is known now. Those of
    `may_decide` who may only do so as a delegate are in `through`, with whom they act for.
    """

    name: str
    state: str
    quorum: int
    needed: int
    everyone: bool
    approvers: tuple[str, ...]
    excluded: tuple[str, ...]
    approved_by: tuple[str, ...]
    may_decide: tuple[str, ...]
    through: dict[str, str]
    escalations: tuple[Escalation, ...]
    opened_at: Instant | None
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetail(Request):
    """A request with its votes, its stages and the grants that followed.

    `counted` are the ids of the votes that count now. `dead_end` says why it can no longer be approved, if so.
    """

    decisions: tuple[Decision, ...] = ()
    counted: tuple[str, ...] = ()
    stages: tuple[StageView, ...] = ()
    grants: tuple[str, ...] = ()
    dead_end: str = ""


def request_detail(found: Standing, followed: Sequence[Grant]) -> RequestDetail:
    """Everything about one request."""
    request = found.request
    pending = request.state is RequestState.PENDING and request.counter is None
    return RequestDetail(
        **{field.name: getattr(request, field.name) for field in fields(Request)},
        decisions=found.decisions,
        counted=tuple(found.result.counted),
        stages=tuple(_stage(one, pending=pending) for one in found.result.stages),
        grants=tuple(grant.id for grant in followed),
        dead_end=found.dead_end,
    )


def _stage(one: StageTally, *, pending: bool) -> StageView:
    """Of a request that is closed nobody may decide any more, nor say yes while less is offered."""
    return StageView(
        name=one.stage.name,
        state="met" if one.met else "later" if one.opened_at is None else "open",
        quorum=one.stage.quorum,
        needed=one.needed,
        everyone=one.stage.everyone,
        approvers=one.stage.approvers,
        excluded=one.stage.excluded,
        approved_by=one.approved_by,
        may_decide=tuple(sorted(one.may_decide)) if pending else (),
        through=dict(one.through) if pending else {},
        escalations=one.stage.escalations,
        opened_at=one.opened_at,
        met=one.met,
    )
