"""The clock of pending requests: reminds those who may decide, and calls others once a stage has waited too long.

Each call is made once: that it was made is recorded with the request, in the transaction that posts the notice, so that
neither a restart nor a second process makes it again. Costs grow with the requests that wait, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lapse.control.circumstances import OnCall, moment_at, on_call_by, pending_after, relevant
from lapse.control.context import Control
from lapse.control.telling import tell, wanted
from lapse.domain.approval import tally
from lapse.domain.calls import Call, calls_due, may_be_due
from lapse.domain.data import to_data
from lapse.domain.notices import NoticeKind
from lapse.domain.requests import Request
from lapse.ledger.entry import changed
from lapse.ports import Reader, Transaction


async def remind(control: Control) -> int:
    """Make every call that is due now; returns how many. Called by the server's clock."""
    made, after = 0, None
    while page := await pending_after(control, after):
        due = [request for request in page if may_be_due(request, control.now())]
        on_call = await on_call_by(control, [request.terms for request in due])
        for request in due:
            made += await _make(control, request, on_call)
        after = page[-1].id
    return made


async def _make(control: Control, request: Request, on_call: OnCall) -> int:
    """Looking costs no write: most of what may be due is not."""
    if not await control.store.read(lambda reader: _due(control, reader, request, on_call)):
        return 0
    return await control.store.write(lambda tx: _call(control, tx, request.id, on_call))


async def _due(control: Control, reader: Reader, request: Request, on_call: OnCall) -> Sequence[Call]:
    catalog, moment = await reader.catalog(), await moment_at(reader, control.now(), relevant(on_call, request))
    result = tally(request, await reader.decisions(request.id), catalog, moment)
    return calls_due(request, result, catalog, moment)


async def _call(control: Control, tx: Transaction, request_id: str, on_call: OnCall) -> int:
    """Record and post what is due, as the request is by now."""
    request, now = await tx.request(request_id), control.now()
    calls = await _due(control, tx, request, on_call)
    for call in calls:
        after = replace(request, told=(*request.told, call.key), version=request.version + 1)
        await tx.save_request(after)
        kind = "request.escalated" if call.kind is NoticeKind.ESCALATED else "request.reminded"
        entry = changed(kind, request, after, request.id, at=now, actor="system:clock")
        await tx.append([replace(entry, context={"stage": call.stage, "to": to_data(call.persons)})])
        await tell(control, tx, wanted(after, call.persons, now, call.kind))
        request = after
    return len(calls)
