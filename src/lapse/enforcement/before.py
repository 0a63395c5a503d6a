"""What an account held before a grant: left as it was found, and never given again by us. Called by `activation`.

Who holds a role by a grant of ours does not hold it "before". And where access that was there before is taken away by
somebody, no grant brings it back: what lapse does not remove at the end it must not give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lapse.domain.access import Assignment, Failed
from lapse.domain.catalog import Catalog
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant
from lapse.enforcement.parts import Holding, Parts, assignment_of, holding_of, transition


async def held_before(parts: Parts, resource: str, planned: Sequence[Grant], catalog: Catalog) -> dict[str, bool]:
    """By grant id, whether the account has the right already by no grant of ours.

    Live grants that began with such access, which is seen to be gone, end here: otherwise what the new grant puts
    in its place would be left behind as if it had been found.
    """
    looked = await parts.connector(resource).look([assignment_of(grant, catalog) for grant in planned])
    held = {before.grant_id for before in looked if before.held}
    ours = await _ours(parts, resource, planned, catalog)
    lost = [
        other
        for grant in planned
        if grant.id not in held
        for other in ours[holding_of(grant, catalog)]
        if other.held_before
    ]
    await transition(parts, list({grant.id: grant for grant in lost}.values()), _lost)
    return {
        grant.id: grant.id in held and all(other.held_before for other in ours[holding_of(grant, catalog)])
        for grant in planned
    }


def _lost(grant: Grant) -> Grant | None:
    return grant.ending(EndReason.DRIFT) if grant.state in LIVE else None


async def _ours(
    parts: Parts, resource: str, planned: Sequence[Grant], catalog: Catalog
) -> defaultdict[Holding, list[Grant]]:
    """Holdings that other grants of ours put (or are taking) there."""
    accounts = {grant.account for grant in planned}
    others = await parts.store.read(lambda reader: reader.grants_of_accounts(resource, accounts))
    found: defaultdict[Holding, list[Grant]] = defaultdict(list)
    for other in others:
        if other.state in LIVE | ENDING:
            found[holding_of(other, catalog)].append(other)
    return found


async def gone_since(
    parts: Parts, resource: str, begun: Sequence[Grant], assignments: Sequence[Assignment]
) -> dict[str, Failed]:
    """The failures of those grants that began with access held before, and whose access is no longer there."""
    names = {grant.id for grant in begun if grant.held_before}
    if not names:
        return {}
    looked = await parts.connector(resource).look([a for a in assignments if a.grant_id in names])
    error = "the access that was held before this grant was taken away on the target, and is not given again"
    return {b.grant_id: Failed(grant_id=b.grant_id, error=error, maybe_applied=False) for b in looked if not b.held}
