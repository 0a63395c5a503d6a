"""What a decision depends on beside the catalog, gathered when it is taken: who is on call, and who acts for whom.

Rotas are asked before a transaction begins, since they live in other systems; one that does not answer is left out, and
then nobody may decide by it. Called by everything that counts votes as of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.domain.approvers import Moment, rotas_of
from lapse.domain.errors import LapseError
from lapse.domain.requests import Decision, Request, RequestState
from lapse.domain.terms import Terms
from lapse.ports import Page, Reader

OnCall = Mapping[str, tuple[str, ...]]
PAGE = 500
_TICK = timedelta(microseconds=1)


async def on_call_by(control: Control, terms: Iterable[Terms]) -> OnCall:
    """Who is on call now, for every rota that decides under `terms`; what cannot be read is left out."""
    return await on_call_in(control, frozenset[str]().union(*(rotas_of(one) for one in terms)))


async def on_call_in(control: Control, rotas: Iterable[str]) -> OnCall:
    """Who is on call now in each of `rotas`; what cannot be read is left out."""
    if control.rotas is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for rota in sorted(set(rotas)):
        try:
            found[rota] = tuple(sorted(await control.rotas.on_call(rota, control.now())))
        except LapseError:
            continue
    return found


async def on_call_for(control: Control, request_id: str) -> OnCall:
    """Who is on call now, as far as request `request_id` depends on it."""
    request = await control.store.read(lambda reader: reader.request(request_id))
    return await on_call_by(control, [request.terms])


async def pending_after(control: Control, after: str | None) -> Sequence[Request]:
    """A page of the requests that wait, oldest first: those after the one with id `after`; () at the end."""
    page = Page(limit=PAGE, after=after, newest_first=False)
    return await control.store.read(lambda reader: reader.requests(page, states=[RequestState.PENDING]))


async def moment_at(reader: Reader, at: datetime, on_call: OnCall) -> Moment:
    """The moment of a decision at `at`."""
    return Moment(at=at, on_call=on_call, delegations=tuple(await reader.delegations(now=at)))


def vote_time(now: datetime, earlier: Iterable[Decision]) -> datetime:
    """`now`, but later than every earlier vote: they count in the order of recording, whatever clocks say."""
    return max([now, *(decision.decided_at + _TICK for decision in earlier)])


def relevant(on_call: OnCall, request: Request) -> OnCall:
    """The part of `on_call` on which `request` depends."""
    wanted = rotas_of(request.terms)
    return {rota: names for rota, names in on_call.items() if rota in wanted}
