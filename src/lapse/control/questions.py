"""A request as a question to the policy: what is wanted, checked, in the context it is asked in.

Called by `requests` when something is asked and by `decisions` when an old request meets a newer policy. What repeats
is one question for each occurrence, each asked in the presence of all others; the requests of a bundle are asked in
order, each in the presence of those before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.control.guards import acting_principal, refuse_leaver, require_party_to
from lapse.control.history import ALONE, Beside, with_facts
from lapse.domain.actors import Actor
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, to_data
from lapse.domain.durations import check_duration
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import LIVE, Grant
from lapse.domain.names import check_text
from lapse.domain.recurrence import occurrences
from lapse.domain.requests import Recurrence, Request, RequestState, Ticket
from lapse.domain.terms import Terms
from lapse.domain.times import format_time
from lapse.policy import Ask, Evaluation, PastGrant, Policy, ask_for, decide
from lapse.ports import Reader

Judge = Callable[[Policy, Ask], Evaluation]

FURTHEST_START = timedelta(days=90)
"""A start further away than this is refused: what a person needs in a year is not known today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What a requester fills in. An empty beneficiary is the requester."""

    entitlement: str
    duration: timedelta
    justification: str = ""
    beneficiary: str = ""
    ticket: Ticket | None = None
    starts_at: datetime | None = None
    extends: str | None = None
    repeats: Recurrence | None = None
    break_glass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked request in its context: the value that the policy evaluates, and its answer."""

    wanted: NewRequest
    ask: Ask
    evaluation: Evaluation


async def question(
    control: Control, reader: Reader, actor: Actor, wanted: NewRequest, beside: Beside = ALONE, judge: Judge = decide
) -> Question:
    """Check `wanted` and let the policy in force answer it, beside what else is asked for.

    With `evaluate` as `judge` every rule is told of.
    """
    now = control.now()
    catalog = await reader.catalog()
    requester = acting_principal(actor, catalog)
    entitlement = catalog.entitlement(wanted.entitlement)
    wanted = _checked(wanted, requester.name, now)
    refuse_leaver(catalog, catalog.principal(wanted.beneficiary).name)
    extended = await _extended(reader, actor, wanted, catalog)
    connector = await control.connector_for(reader, entitlement.resource)
    login = catalog.principal(wanted.beneficiary).account_on(entitlement.resource)
    connector.account_for(entitlement.native, login, "preview")
    ask = ask_for(
        catalog,
        requester=requester.name,
        beneficiary=wanted.beneficiary,
        entitlement=entitlement.name,
        duration=wanted.duration,
        total_duration=await _total(reader, extended, wanted.duration),
        is_extension=extended is not None,
        justification=wanted.justification,
        ticket=wanted.ticket,
        starts_at=_start(extended, wanted.starts_at or now),
        break_glass=wanted.break_glass,
        at=now,
    )
    policy = await control.policy(reader)
    first, answer = await _answer(control, reader, policy, _occurring(ask, wanted), beside, judge)
    return Question(wanted=wanted, ask=first, evaluation=answer)


async def answer_again(control: Control, reader: Reader, policy: Policy, request: Request) -> tuple[Ask, Evaluation]:
    """An existing request as a question about people and resources as they are now, and what `policy` says to it.

    The access would begin now at the earliest, so that time that passed does not bring together what was apart.

    Raises:
        Refused: it repeats, and all its times have passed.
    """
    ask = await _asked_again(reader, request, control.now())
    try:
        asks = _occurring(ask, request)
    except InvalidInput:
        raise Refused(f"all times that request {request.id} asks for have passed") from None
    return await _answer(control, reader, policy, asks, Beside(again=request))


async def refuse_if_answer_changed(control: Control, reader: Reader, request: Request) -> dict[str, Json]:
    """An old request is no way round a new rule, nor round leaving a group: the answer today must be the same.

    Of a bundle, all that waits to be granted is asked again. What was asked for `request`, and of which policy, comes
    back, to be recorded with the yes.
    """
    others = await reader.requests_in_bundle(request.bundle) if request.bundle else ()
    waiting = [one for one in others if one.state is RequestState.APPROVED and one.id != request.id]
    policy = await control.policy(reader)
    asks: list[Ask] = []
    for one in (request, *waiting):
        ask, answer = await answer_again(control, reader, policy, one)
        asks.append(ask)
        if answer.terms != one.terms:
            what = "things" if policy.version == one.policy_version else "the policy"
            why = f": {answer.reason}" if answer.terms is None else ""
            raise Refused(
                f"{what} changed since request {one.id} was made, and the policy now gives another answer{why}",
                hint="deny it, and let the requester ask again",
            )
    return {"asked_again": to_data(asks[0]), "policy_then": policy.version}


async def _asked_again(reader: Reader, request: Request, now: datetime) -> Ask:
    extended = await reader.grant(request.extends) if request.extends else None
    return ask_for(
        await reader.catalog(),
        requester=request.requester,
        beneficiary=request.beneficiary,
        entitlement=request.entitlement,
        duration=request.requested_duration,
        total_duration=await _total(reader, extended, request.requested_duration),
        is_extension=extended is not None,
        justification=request.justification,
        ticket=request.ticket,
        starts_at=_start(extended, max(request.starts_at or now, now)),
        break_glass=request.terms.break_glass,
        at=request.created_at,
    )


async def _answer(
    control: Control, reader: Reader, policy: Policy, asks: Sequence[Ask], beside: Beside, judge: Judge = decide
) -> tuple[Ask, Evaluation]:
    """The answer to all of them, and the question with its facts that it is about: the first, or the first denied."""
    times = [
        PastGrant(entitlement=one.entitlement.name, begins_at=one.begins_at, ends_at=one.begins_at + one.duration)
        for one in asks
    ]
    known = [
        await with_facts(control, reader, policy, one, replace(beside, grants=(*times[:place], *times[place + 1 :])))
        for place, one in enumerate(asks)
    ]
    return _together(known, [judge(policy, one) for one in known])


def _occurring(ask: Ask, wanted: NewRequest | Request) -> list[Ask]:
    """One question for each occurrence; of what does not repeat, the one."""
    if wanted.repeats is None:
        return [ask]
    return [replace(ask, starts_at=begins) for begins in occurrences(wanted.repeats, ask.begins_at)]


def _together(asks: Sequence[Ask], answers: Sequence[Evaluation]) -> tuple[Ask, Evaluation]:
    """One answer to all occurrences: every one must be allowed, and on the same terms."""
    first = answers[0].terms
    for ask, answer in zip(asks, answers, strict=True):
        if answer.terms is None:
            reason = answer.reason if len(asks) == 1 else f"on {ask.begins_at:%Y-%m-%d}: {answer.reason}"
            return ask, replace(answer, reason=reason)
        if first is not None and _essential(answer.terms) != _essential(first):
            raise Refused(
                f"on {ask.begins_at:%Y-%m-%d} the policy has other terms than on {asks[0].begins_at:%Y-%m-%d}",
                hint="ask for those days separately",
            )
    return asks[0], answers[0]


def _essential(terms: Terms) -> Terms:
    """The terms without the time that approvers have, which the next window bounds and not every one."""
    return replace(terms, pending_timeout=timedelta(0))


def _checked(wanted: NewRequest, requester: str, now: datetime) -> NewRequest:
    if wanted.starts_at is not None and wanted.starts_at < now - timedelta(minutes=1):
        raise InvalidInput(
            f"the start {format_time(wanted.starts_at)} is in the past",
            hint="leave it out to start at approval",
        )
    if wanted.starts_at is not None and wanted.starts_at > now + FURTHEST_START:
        raise InvalidInput(
            f"the start {format_time(wanted.starts_at)} is more than {FURTHEST_START.days} days away",
            hint="ask again nearer to the time",
        )
    if wanted.repeats is not None and wanted.extends is not None:
        raise InvalidInput("an extension does not repeat", hint="extend the one grant")
    if wanted.break_glass and (wanted.repeats is not None or wanted.starts_at is not None):
        raise InvalidInput("an emergency begins now, and once", hint="leave out the start and the repetition")
    return replace(
        wanted,
        duration=check_duration(wanted.duration),
        justification=check_text(wanted.justification, what="justification"),
        beneficiary=wanted.beneficiary or requester,
        ticket=_checked_ticket(wanted.ticket),
    )


def _checked_ticket(ticket: Ticket | None) -> Ticket | None:
    if ticket is None:
        return None
    if not ticket.system.strip() or not ticket.number.strip():
        raise InvalidInput("a ticket has a system and a number", hint="e.g. system `jira`, number `OPS-1234`")
    return Ticket(
        system=check_text(ticket.system, what="ticket system", longest=64),
        number=check_text(ticket.number, what="ticket number", longest=64),
    )


async def _extended(reader: Reader, actor: Actor, wanted: NewRequest, catalog: Catalog) -> Grant | None:
    if wanted.extends is None:
        return None
    grant = await reader.grant(wanted.extends)
    require_party_to(grant, actor, catalog)
    if grant.state not in LIVE or grant.ends_at is None:
        raise Refused(f"grant {grant.id} is {grant.state.replace('_', ' ')}, so it has no time to extend")
    if (grant.entitlement, grant.beneficiary) != (wanted.entitlement, wanted.beneficiary):
        raise InvalidInput(f"grant {grant.id} is for another entitlement or beneficiary")
    if wanted.starts_at is not None:
        raise InvalidInput("an extension has no start of its own", hint="it continues the grant without a gap")
    followers = await reader.grants_of_accounts(grant.resource, [grant.account])
    if any(other.extends == grant.id for other in followers):
        raise Refused(f"grant {grant.id} is extended already", hint="extend the grant that continues it")
    return grant


def _start(extended: Grant | None, otherwise: datetime) -> datetime:
    """When the time that is asked for begins: an extension adds to the end of its grant."""
    return extended.ends_at if extended is not None and extended.ends_at is not None else otherwise


async def _total(reader: Reader, extended: Grant | None, duration: timedelta) -> timedelta:
    """Contiguous time from the first grant of the chain to the end that is asked for."""
    if extended is None or extended.ends_at is None:
        return duration
    chain = await reader.chain(extended.id)
    first = chain[0]
    began = (first.ends_at or extended.ends_at) - first.duration
    return extended.ends_at - began + duration
