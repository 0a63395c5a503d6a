"""Where a request stands, and what waits for somebody's decision. Read by whoever shows them; nothing is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.control.circumstances import OnCall, moment_at, on_call_by, on_call_for, pending_after, relevant
from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.approval import Tally, tally
from lapse.domain.catalog import Catalog
from lapse.domain.dead_ends import dead_end
from lapse.domain.requests import Decision, Request, RequestState
from lapse.domain.times import Instant
from lapse.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A request with its votes and their count as of now. `dead_end` says why it can no longer be approved, if so."""

    request: Request
    decisions: tuple[Decision, ...]
    result: Tally
    dead_end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that somebody may say yes to now, in `stage`, which needs `missing` more and waits `since`.

    `on_behalf_of` is whose delegate they would be; empty in their own right.
    """

    request: Request
    stage: str
    approved_by: tuple[str, ...]
    missing: int
    since: Instant
    on_behalf_of: str = ""


async def standing_of(control: Control, request_id: str) -> Standing:
    """Where a request stands now; of one that is closed, where it stood as far as its people are still there."""
    on_call = await on_call_for(control, request_id)
    return await control.store.read(lambda reader: _standing(reader, request_id, control.now(), on_call))


async def waiting_for(control: Control, actor: Actor) -> Sequence[Waiting]:
    """What waits for the actor's decision, the soonest to expire first. Costs grow with the requests that wait."""
    actor.require(Scope.APPROVE)
    pending = [one for one in await _pending(control) if one.counter is None and one.expires_at > control.now()]
    on_call = await on_call_by(control, [one.terms for one in pending])

    async def work(reader: Reader) -> list[Waiting]:
        catalog = await reader.catalog()
        acting_principal(actor, catalog)
        person = catalog.person_of(actor.name)
        found: list[Waiting] = []
        now = await moment_at(reader, control.now(), {})
        for request in pending if person else ():
            moment = replace(now, on_call=relevant(on_call, request))
            result = tally(request, await reader.decisions(request.id), catalog, moment)
            found += _open_to(person or "", request, result)
        return found

    return sorted(await control.store.read(work), key=lambda one: (one.request.expires_at, one.request.id))


def _open_to(person: str, request: Request, result: Tally) -> Iterator[Waiting]:
    for one in result.open_stages:
        if person in one.may_decide:
            yield Waiting(
                request=request,
                stage=one.stage.name,
                approved_by=one.approved_by,
                missing=one.missing,
                since=one.opened_at or request.created_at,
                on_behalf_of=one.through.get(person, ""),
            )


async def _standing(reader: Reader, request_id: str, now: datetime, on_call: OnCall) -> Standing:
    request, catalog = await reader.request(request_id), await reader.catalog()
    decisions = tuple(await reader.decisions(request_id))
    result = tally(request, decisions, catalog, await moment_at(reader, now, relevant(on_call, request)))
    return Standing(request=request, decisions=decisions, result=result, dead_end=_dead_end(request, result, catalog))


def _dead_end(request: Request, result: Tally, catalog: Catalog) -> str:
    found = dead_end(result, request, catalog) if request.state is RequestState.PENDING else None
    return found.text if found else ""


async def _pending(control: Control) -> list[Request]:
    found: list[Request] = []
    while page := await pending_after(control, found[-1].id if found else None):
        found += page
    return found
