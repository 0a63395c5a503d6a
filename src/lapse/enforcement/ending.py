"""End what must end on one resource: rights removed, sessions cut, read back, recorded.

The removal does not wait for the record that it began, nor does the record delay it: the deadline itself has been on
record since activation, and a store that is slow or down must not lengthen access. Each grant ends with the proof the
target gave, or stays `revoke_failed` and is tried again for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from lapse.domain.access import Failed, Removed
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json
from lapse.domain.errors import LapseError
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant
from lapse.enforcement.backoff import next_attempt
from lapse.enforcement.parts import Holding, Parts, assignment_of, holding_of, transition

_IN_HAND = timedelta(seconds=30)
"""How long a removal that is under way is left alone by other enforcers."""


_UNSEEN_SECONDS = 1.0
"""A removal that takes longer is put on record as begun while it goes on; a quicker one is recorded when it is done."""


async def end_batch(parts: Parts, resource: str, due: Sequence[Grant]) -> None:
    """End all of `due`, which are live and past their deadline, or ending already."""
    catalog = await parts.store.read(lambda reader: reader.catalog())
    holders = await _holders(parts, resource, due, catalog)
    kept = _kept(parts, due, holders, catalog)
    going = [grant for grant in due if grant.id not in kept]
    parts.on_step("end.decided")
    removing = asyncio.ensure_future(_remove(parts, resource, going, catalog))
    await asyncio.wait({removing}, timeout=_UNSEEN_SECONDS)
    known = due if removing.done() else await _record_begin(parts, due)
    outcomes = await removing
    parts.on_step("end.removed")
    if isinstance(known, BaseException):
        raise known
    await _record_outcomes(parts, known, outcomes | kept)
    parts.on_step("end.recorded")
    await _shorten(parts, resource, due, holders, catalog)


async def _holders(parts: Parts, resource: str, due: Sequence[Grant], catalog: Catalog) -> dict[Holding, Grant]:
    """Live grants, not about to end themselves, that hold what some of `due` hold: of several, the last to end."""
    accounts = {grant.account for grant in due}
    now, ids = parts.clock.now(), {grant.id for grant in due}
    others = await parts.store.read(lambda reader: reader.grants_going_on(resource, accounts, now))
    live = [other for other in others if other.id not in ids]
    return {holding_of(o, catalog): o for o in sorted(live, key=lambda o: (o.ends_at, o.id))}


def _kept(
    parts: Parts, due: Sequence[Grant], holders: Mapping[Holding, Grant], catalog: Catalog
) -> dict[str, Removed | Failed]:
    """Grants whose right stays on the target: another live grant holds it, or it was there before."""
    now = parts.clock.now()
    kept: dict[str, Removed | Failed] = {}
    for grant in due:
        holder = holders.get(holding_of(grant, catalog)) if holders else None
        if holder is not None:
            kept[grant.id] = Removed(grant_id=grant.id, refused_at=now, proof=(f"continues under grant {holder.id}",))
        elif grant.held_before:
            kept[grant.id] = Removed(grant_id=grant.id, refused_at=now, proof=("left as found: held before the grant",))
    return kept


async def _shorten(
    parts: Parts, resource: str, due: Sequence[Grant], holders: Mapping[Holding, Grant], catalog: Catalog
) -> None:
    """A login that served a longer grant as well is told the earlier end of the one that goes on.

    Where that fails the grant still ends on time, by the enforcer alone; so it is said, and not tried again.
    """
    pairs = [(grant, holders.get(holding_of(grant, catalog))) for grant in due] if holders else []
    early = {
        holder.id: holder
        for grant, holder in pairs
        if holder is not None and holder.ends_at is not None and grant.ends_at is not None
        if holder.ends_at < grant.ends_at
    }
    if not early:
        return
    assignments = [assignment_of(holder, catalog) for holder in early.values()]
    try:
        connector = parts.connector(resource)
        there = {before.grant_id for before in await connector.look(assignments) if before.held}
        outcomes = await connector.apply([a for a in assignments if a.grant_id in there])
        failures = [(outcome.grant_id, outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]
    except LapseError as error:
        failures = [(name, error.message) for name in early]
    for name, problem in failures:
        parts.on_trouble(name, f"the target itself would end this later than promised: {problem}")


async def _remove(parts: Parts, resource: str, going: Sequence[Grant], catalog: Catalog) -> dict[str, Removed | Failed]:
    if not going:
        return {}
    try:
        outcomes = await parts.connector(resource).remove([assignment_of(grant, catalog) for grant in going])
        return {outcome.grant_id: outcome for outcome in outcomes}
    except LapseError as error:
        return {grant.id: Failed(grant_id=grant.id, error=error.message) for grant in going}


async def _record_begin(parts: Parts, due: Sequence[Grant]) -> list[Grant] | BaseException:
    """The grants as they stand once the beginning of the end is on record; an error is returned, not raised."""
    again = parts.clock.now() + _IN_HAND

    def begin(grant: Grant) -> Grant | None:
        return grant.ending(EndReason.ELAPSED, in_hand_until=again) if grant.state in LIVE else None

    live = [grant for grant in due if grant.state in LIVE]
    try:
        begun = {grant.id: grant for grant in await transition(parts, live, begin)}
        lost = [grant.id for grant in live if grant.id not in begun]
        begun |= {name: await _now(parts, name) for name in lost}
    except Exception as error:  # noqa: BLE001  whatever failed, the removal beside it must be waited for
        return error
    return [begun.get(grant.id, grant) for grant in due]


async def _now(parts: Parts, grant_id: str) -> Grant:
    """A grant that somebody else changed meanwhile, as it is."""
    return await parts.store.read(lambda reader: reader.grant(grant_id))


async def _record_outcomes(parts: Parts, known: Sequence[Grant], outcomes: Mapping[str, Removed | Failed]) -> None:
    """Record what became of each. A grant whose end was not on record yet takes both steps in one transaction."""
    unsure = [grant for grant in known if not isinstance(outcomes.get(grant.id), Removed)]
    begun = await _record_begin(parts, unsure)
    if isinstance(begun, BaseException):
        raise begun
    now_begun = {grant.id: grant for grant in begun}

    def settle(grant: Grant) -> Grant | None:
        outcome = outcomes.get(grant.id) or Failed(grant_id=grant.id, error="the target gave no outcome")
        if isinstance(outcome, Removed) and grant.state in LIVE:
            return grant.elapsed(at=outcome.refused_at)
        if grant.state not in ENDING:
            return None
        if isinstance(outcome, Removed):
            return grant.ended(at=outcome.refused_at)
        return grant.end_failed(error=outcome.error, next_attempt_at=next_attempt(parts.clock.now(), grant.attempts))

    def proof(grant: Grant) -> dict[str, Json]:
        outcome = outcomes.get(grant.id)
        if not isinstance(outcome, Removed):
            return {}
        return {"proof": list(outcome.proof), "sessions_cut": outcome.sessions_cut}

    for grant in await transition(parts, [now_begun.get(g.id, g) for g in known], settle, proof):
        if grant.state in ENDING:
            parts.on_trouble(grant.id, f"access could not be removed: {grant.last_error}")
