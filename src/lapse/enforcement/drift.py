"""What a target has that no grant explains, and what grants should have and have not. Pure.

Nothing observed is ever adopted as wanted. Access that was there when the target was first read is `standing`;
access that appeared later is `unknown_access`; a grant whose access is gone is `missing_access`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.domain.access import Observation
from lapse.domain.grants import ENDING, LIVE, Grant, GrantState
from lapse.domain.resources import Entitlement
from lapse.domain.targets import Drift, DriftKind

Held = tuple[str, str]
"""An account and a role, both in the target's own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPlan:
    """What one read of a target says.

    `found` is all drift that is there now, `new` what of it no read saw before, `cleared` what is no longer there,
    `missing` the active grants without their access.
    """

    found: tuple[Drift, ...]
    new: tuple[Drift, ...]
    cleared: tuple[Drift, ...]
    missing: tuple[Grant, ...]


def plan_drift(
    observation: Observation,
    entitlements: Sequence[Entitlement],
    grants: Iterable[Grant],
    known: Iterable[Drift],
    *,
    first_read: bool,
) -> DriftPlan:
    """Compare one observation of a resource with its unfinished grants and the drift known so far.

    `grants` are those that are live or ending. An observation that may lack memberships clears nothing and
    misses nothing.
    """
    roles = {e.name: e.native.get("role", "") for e in entitlements}
    ours: defaultdict[Held, list[Grant]] = defaultdict(list)
    for grant in grants:
        if grant.state in LIVE | ENDING:
            ours[grant.account, roles.get(grant.entitlement, "")].append(grant)
    held = _held(observation, frozenset(roles.values()))
    before = {(d.account, d.role): d for d in known if d.cleared_at is None}
    at = observation.observed_at
    found = [
        _drift(observation, pair, before.get(pair), _kind(explained=pair in ours, first_read=first_read))
        for pair in sorted(held)
        if pair not in ours or all(grant.held_before for grant in ours[pair])
    ]
    seen = {(d.account, d.role) for d in found}
    gone = [replace(d, cleared_at=at) for pair, d in before.items() if pair not in seen]
    return DriftPlan(
        found=tuple(found),
        new=tuple(d for d in found if (d.account, d.role) not in before),
        cleared=tuple(gone) if observation.memberships_complete else (),
        missing=tuple(_missing(observation, ours, held)) if observation.memberships_complete else (),
    )


def _held(observation: Observation, roles: frozenset[str]) -> set[Held]:
    """Direct memberships in governed roles, but for those that lapse's own account needs to manage them."""
    return {
        (m.member, m.role)
        for m in observation.memberships
        if m.role in roles and not m.via and m.member != observation.own_account
    }


def _missing(observation: Observation, ours: Mapping[Held, Sequence[Grant]], held: set[Held]) -> Iterator[Grant]:
    """Grants that were active when the target was read, and whose access was not there.

    What was held before may be held in any way, so it is missing only where there is none.
    """
    anyhow = {(m.member, m.role) for m in observation.memberships}
    mighty = {account.name for account in observation.accounts if "superuser" in account.powers}
    for pair, grants in ours.items():
        for grant in grants:
            there = pair in held or (grant.held_before and (pair in anyhow or pair[0] in mighty))
            if grant.state is GrantState.ACTIVE and _began_before(grant, observation) and not there:
                yield grant


def _began_before(grant: Grant, observation: Observation) -> bool:
    return grant.activated_at is None or grant.activated_at <= observation.observed_at


def _kind(*, explained: bool, first_read: bool) -> DriftKind:
    return DriftKind.STANDING if first_read or explained else DriftKind.UNKNOWN_ACCESS


def _drift(observation: Observation, pair: Held, known: Drift | None, kind: DriftKind) -> Drift:
    at: datetime = observation.observed_at
    if known is not None:
        return replace(known, last_seen=at)
    account, role = pair
    return Drift(
        id=f"{observation.resource}:{account}:{role}:{int(at.timestamp() * 1e6)}",
        resource=observation.resource,
        kind=kind,
        account=account,
        role=role,
        first_seen=at,
        last_seen=at,
        detail=observation.evidence.get("memberships", ""),
    )
