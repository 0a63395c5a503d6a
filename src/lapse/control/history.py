"""The past as the policy needs it: what a person held and asked for, and what the ticket system says.

Only what the rules about an entitlement look at is read (`policy.needed_facts`), so that most questions cost nothing.
Called by `questions`; what it gives is pinned in the ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lapse.control.context import Control
from lapse.domain.catalog import Catalog
from lapse.domain.grants import GRANT_LIFE, Grant
from lapse.domain.requests import Request, RequestState
from lapse.policy import Ask, History, NeededFacts, PastGrant, PastRequest, Policy, needed_facts
from lapse.policy.frequency import contiguous
from lapse.ports import Reader

MOST_REQUESTS = 2_000
"""How many of a requester's requests are looked through; a history that has more does not reach back further."""

_BEGINNING = datetime.min.replace(year=1970, tzinfo=UTC)
_LATER_REQUESTS = 200
"""How many requests a requester can have made after one whose justification is compared once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is no past, and counts all the same: what else is asked for in the same breath.

    `grants` are the other occurrences of what repeats, `requests` the others of a bundle that were looked at before,
    `pending` how many of those wait. `again` is the request that is asked once more, which is no part of its own past.
    """

    grants: tuple[PastGrant, ...] = ()
    requests: tuple[PastRequest, ...] = ()
    pending: int = 0
    again: Request | None = None

    def itself(self, request: Request) -> bool:
        """Whether `request` is what is asked once more."""
        return self.again is not None and request.id == self.again.id

    def together(self, request: Request) -> bool:
        """Whether `request` is what is asked once more, or of the same bundle, or was made after it."""
        again = self.again
        if again is None:
            return False
        same = request.id == again.id or (bool(again.bundle) and request.bundle == again.bundle)
        return same or (request.created_at, request.id) > (again.created_at, again.id)


ALONE = Beside()


async def with_facts(control: Control, reader: Reader, policy: Policy, ask: Ask, beside: Beside = ALONE) -> Ask:
    """`ask` with the contiguous time it would make, and with what the rules of `policy` look at."""
    catalog, needed = await reader.catalog(), needed_facts(policy, ask)
    held = await _held(reader, catalog, ask, ask.begins_at - needed.stretch, beside)
    ask = replace(ask, total_duration=max(ask.total_duration, contiguous(ask, held)))
    if needed.history:
        ask = replace(ask, history=await _history(reader, catalog, ask, needed, beside))
    if needed.ticket and ask.ticket is not None and control.tickets is not None:
        ask = replace(ask, ticket_facts=await control.tickets.look_up(ask.ticket))
    return ask


async def _held(reader: Reader, catalog: Catalog, ask: Ask, since: datetime, beside: Beside) -> tuple[PastGrant, ...]:
    """What the beneficiary, under any name, held of the entitlement since then, holds, and will hold."""
    names = catalog.names_of(ask.beneficiary.name)
    grants = await reader.grants_held(names, ask.entitlement.name, since)
    own = beside.again.id if beside.again is not None else ""
    return (*(_past(grant) for grant in grants if _counts(grant, own)), *beside.grants)


async def _history(reader: Reader, catalog: Catalog, ask: Ask, needed: NeededFacts, beside: Beside) -> History:
    since = ask.at - (needed.lookback or timedelta(0))
    requests = await _requests(reader, catalog, ask, since, MOST_REQUESTS)
    if len(requests) >= MOST_REQUESTS:
        since = requests[-1].created_at
    mine = [request for request in requests if not beside.itself(request)]
    return History(
        since=since,
        grants=await _held(reader, catalog, ask, since, beside),
        requests=(
            *(
                PastRequest(at=r.created_at, offer=r.terms.offer, automatic=r.terms.automatic)
                for r in mine
                if r.created_at > since
            ),
            *beside.requests,
        ),
        justifications=await _justifications(reader, catalog, ask, needed.justifications, beside),
        pending=beside.pending + sum(1 for request in mine if request.state is RequestState.PENDING),
        overdue_reviews=await _overdue(reader, catalog, ask) if needed.post_reviews else (),
    )


async def _overdue(reader: Reader, catalog: Catalog, ask: Ask) -> tuple[str, ...]:
    names = catalog.names_of(ask.beneficiary.name)
    return tuple(a.id for a in await reader.aftermaths() if a.beneficiary in names and a.overdue(ask.at))


async def _requests(reader: Reader, catalog: Catalog, ask: Ask, since: datetime, most: int) -> Sequence[Request]:
    return await reader.requests_made(catalog.names_of(ask.requester.name), since, most)


async def _justifications(reader: Reader, catalog: Catalog, ask: Ask, last: int, beside: Beside) -> tuple[str, ...]:
    """The last ones before this: what is asked in one bundle has one justification."""
    if not last:
        return ()
    more = 0 if beside.again is None else _LATER_REQUESTS
    newest = await _requests(reader, catalog, ask, _BEGINNING, last + more)
    return tuple(request.justification for request in newest if not beside.together(request))[:last]


def _counts(grant: Grant, own: str) -> bool:
    """Whether it gave access, gives it or will; the grants of the request that asks are not there yet."""
    gave = grant.activated_at is not None or grant.state not in GRANT_LIFE.terminal
    return gave and grant.request_id != own


def _past(grant: Grant) -> PastGrant:
    """From when to when it gives access: until it really ended, or is promised to."""
    begins = grant.activated_at or grant.starts_at
    promised = grant.ends_at or grant.starts_at + grant.duration
    return PastGrant(entitlement=grant.entitlement, begins_at=begins, ends_at=max(begins, grant.ended_at or promised))
