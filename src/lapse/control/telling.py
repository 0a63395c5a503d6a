"""The notices about requests: who hears what, in which words. They leave with the transaction that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from lapse.control.circumstances import moment_at, on_call_by
from lapse.control.context import Control
from lapse.control.notices import post
from lapse.domain.approval import tally
from lapse.domain.approvers import rotas_of
from lapse.domain.durations import human_duration
from lapse.domain.errors import LapseError
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.recurrence import recurrence_words
from lapse.domain.requests import Request, RequestState
from lapse.ports import Transaction


async def tell(control: Control, tx: Transaction, notice: Notice | None) -> None:
    """Tell those whom it concerns, if anybody."""
    if notice is not None and notice.to:
        await post(control, tx, [notice])


async def tell_approvers(control: Control, tx: Transaction, request: Request) -> None:
    """Tell those who may decide on a new request; who is on call is asked later, by `tell_on_call`."""
    moment = await moment_at(tx, control.now(), {})
    result = tally(request, (), await tx.catalog(), moment)
    await tell(control, tx, wanted(request, result.may_decide, moment.at))


async def tell_on_call(control: Control, requests: Sequence[Request]) -> None:
    """Tell those who may decide on new requests because they are on call: rotas are asked outside of a transaction.

    The requests are made whether or not this works out, so it does not fail; who is not told now is reminded later.
    """
    with suppress(LapseError):
        await _tell_on_call(control, requests)


async def _tell_on_call(control: Control, requests: Sequence[Request]) -> None:
    pending = [one for one in requests if one.state is RequestState.PENDING and rotas_of(one.terms)]
    on_call = await on_call_by(control, [one.terms for one in pending])
    if not any(on_call.values()):
        return

    async def work(tx: Transaction) -> None:
        catalog, at = await tx.catalog(), control.now()
        for request in pending:
            with_rota = tally(request, (), catalog, await moment_at(tx, at, on_call)).may_decide
            without = tally(request, (), catalog, await moment_at(tx, at, {})).may_decide
            await tell(control, tx, wanted(request, with_rota - without, at))

    await control.store.write(work)


def wanted(
    request: Request, persons: Iterable[str], at: datetime, kind: NoticeKind = NoticeKind.APPROVAL_WANTED
) -> Notice:
    """That `persons` may decide on a request now; `kind` says whether for the first time."""
    words = {
        NoticeKind.REMINDER: "still waits for your decision",
        NoticeKind.ESCALATED: "waits for a decision, and now you may decide too",
    }.get(kind, "waits for your decision")
    return _notice(kind, request, persons, f"{_what(request)} {words}", at)


def decided(request: Request, at: datetime) -> Notice:
    """How a request ended, for who asked."""
    why = f": {request.close_reason}" if request.close_reason else ""
    return _notice(NoticeKind.DECIDED, request, _askers(request), f"{_what(request)} is {request.state}{why}", at)


def countered(request: Request, at: datetime) -> Notice | None:
    """What an approver offers instead, for who asked."""
    offer = request.counter
    if offer is None:
        return None
    less = f"`{offer.entitlement}` for {human_duration(offer.duration)}"
    text = f"`{offer.approver}` offers {less} instead of {_what(request)}: {offer.reason}"
    return _notice(NoticeKind.COUNTER_OFFER, request, _askers(request), text, at)


def _what(request: Request) -> str:
    whom = "" if request.beneficiary == request.requester else f" for `{request.beneficiary}`"
    sponsor = f" (who acts for `{request.sponsor}`)" if request.sponsor else ""
    length = human_duration(request.requested_duration)
    again = f", {recurrence_words(request.repeats)}" if request.repeats else ""
    return f"the request of `{request.requester}`{whom}{sponsor} for `{request.entitlement}` over {length}{again}"


def _askers(request: Request) -> list[str]:
    """Who asked and benefits; of an agent also the person it acts for, since it reads no mail."""
    return sorted({request.requester, request.beneficiary, request.sponsor} - {""})


def _notice(kind: NoticeKind, request: Request, to: Iterable[str], text: str, at: datetime) -> Notice:
    return Notice(kind=kind, subject=request.id, to=tuple(sorted(to)), text=text, at=at)
