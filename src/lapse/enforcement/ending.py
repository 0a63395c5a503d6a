"""End what must end on one resource: rights removed, sessions cut, read back, recorded.

The removal does not wait for the record that it began: the deadline itself has been on record since activation, and
a store that is slow or down must not lengthen access. Each grant ends with the proof the target gave, or stays
`revoke_failed` and is tried again for ever.
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
from lapse.enforcement.parts import Parts, assignment_of, holding_of, transition

_IN_HAND = timedelta(seconds=30)
"""How long a removal that is under way is left alone by other enforcers."""


async def end_batch(parts: Parts, resource: str, due: Sequence[Grant]) -> None:
    """End all of `due`, which are live and past their deadline, or ending already."""
    catalog = await parts.store.read(lambda reader: reader.catalog())
    kept = await _kept(parts, resource, due, catalog)
    going = [grant for grant in due if grant.id not in kept]
    parts.on_step("end.decided")
    outcomes, revoking = await asyncio.gather(_remove(parts, resource, going, catalog), _record_begin(parts, due))
    parts.on_step("end.removed")
    if isinstance(revoking, BaseException):
        raise revoking
    await _record_outcomes(parts, revoking, outcomes | kept)
    parts.on_step("end.recorded")


async def _kept(parts: Parts, resource: str, due: Sequence[Grant], catalog: Catalog) -> dict[str, Removed | Failed]:
    """Grants whose right stays on the target: another live grant holds it, or it was there before."""
    accounts = {grant.account for grant in due}
    others = await parts.store.read(lambda reader: reader.grants_of_accounts(resource, accounts))
    ids = {grant.id for grant in due}
    holders = {holding_of(o, catalog): o for o in others if o.id not in ids and o.state in LIVE}
    now = parts.clock.now()
    kept: dict[str, Removed | Failed] = {}
    for grant in due:
        holder = holders.get(holding_of(grant, catalog))
        if holder is not None:
            kept[grant.id] = Removed(grant_id=grant.id, refused_at=now, proof=(f"continues under grant {holder.id}",))
        elif grant.held_before:
            kept[grant.id] = Removed(grant_id=grant.id, refused_at=now, proof=("left as found: held before the grant",))
    return kept


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


async def _record_outcomes(parts: Parts, revoking: Sequence[Grant], outcomes: Mapping[str, Removed | Failed]) -> None:
    def settle(grant: Grant) -> Grant | None:
        if grant.state not in ENDING:
            return None
        outcome = outcomes.get(grant.id) or Failed(grant_id=grant.id, error="the target gave no outcome")
        if isinstance(outcome, Removed):
            return grant.ended(at=outcome.refused_at)
        return grant.end_failed(error=outcome.error, next_attempt_at=next_attempt(parts.clock.now(), grant.attempts))

    def proof(grant: Grant) -> dict[str, Json]:
        outcome = outcomes.get(grant.id)
        if not isinstance(outcome, Removed):
            return {}
        return {"proof": list(outcome.proof), "sessions_cut": outcome.sessions_cut}

    for grant in await transition(parts, revoking, settle, proof):
        if grant.state in ENDING:
            parts.on_trouble(grant.id, f"access could not be removed: {grant.last_error}")
