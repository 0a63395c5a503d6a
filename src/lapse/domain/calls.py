"""Who must be called now because a request waits: reminders and escalations, each once for a stage. Pure.

Called by `control.reminders`; what was called is kept in `Request.told`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.domain.approval import StageTally, Tally
from lapse.domain.approvers import Moment, persons_of
from lapse.domain.catalog import Catalog
from lapse.domain.durations import iso_duration
from lapse.domain.notices import NoticeKind
from lapse.domain.requests import Request, RequestState
from lapse.domain.terms import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A reminder, or the beginning of an escalation, in `stage`; `key` is what `Request.told` remembers of it."""

    key: str
    kind: NoticeKind
    stage: str
    persons: frozenset[str]


def may_be_due(request: Request, now: datetime) -> bool:
    """Whether a call could be due: cheap, and never false where one is. No stage is open before the request is made."""
    if request.state is not RequestState.PENDING or request.counter is not None:
        return False
    open_for = now - request.created_at
    return any(
        after <= open_for and key not in request.told
        for stage in request.terms.stages
        for key, after in [(_escalation(stage, n), step.after) for n, step in enumerate(stage.escalations)]
        + ([(_reminder(stage), stage.remind_after)] if stage.remind_after is not None else [])
    )


def calls_due(request: Request, result: Tally, catalog: Catalog, moment: Moment) -> tuple[Call, ...]:
    """The calls that are due at `moment`, where `result` is the count at that moment."""
    if not may_be_due(request, moment.at):
        return ()
    found = [call for one in result.open_stages for call in _calls(request, one, catalog, moment)]
    return tuple(call for call in found if call.key not in request.told)


def _calls(request: Request, one: StageTally, catalog: Catalog, moment: Moment) -> list[Call]:
    stage, open_for = one.stage, moment.at - (one.opened_at or moment.at)
    calls: list[Call] = []
    for number, step in enumerate(stage.escalations):
        if step.after <= open_for:
            asked = persons_of(step.approvers, request, catalog, moment.on_call)
            may = frozenset(
                who for who in one.may_decide if {who, catalog.person_of(one.through.get(who, who))} & asked
            )
            calls.append(Call(key=_escalation(stage, number), kind=NoticeKind.ESCALATED, stage=stage.name, persons=may))
    if stage.remind_after is not None and stage.remind_after <= open_for:
        new = frozenset[str]().union(*(call.persons for call in calls if call.key not in request.told))
        persons = one.may_decide - new
        calls.append(Call(key=_reminder(stage), kind=NoticeKind.REMINDER, stage=stage.name, persons=persons))
    return calls


def _reminder(stage: Stage) -> str:
    return f"remind {stage.name}"


def _escalation(stage: Stage, number: int) -> str:
    return f"escalate {stage.name} {iso_duration(stage.escalations[number].after)}"
