"""What the enforcer's steps are given, and how each changes grants: state and ledger entry in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from lapse.domain.access import Assignment
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, changes, to_data
from lapse.domain.grants import LIVE, EndReason, Grant, GrantState
from lapse.ledger.entry import Entry
from lapse.ports import Clock, Connector, Store, Transaction

ACTOR = "system:enforcer"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Store, clock and connectors. `on_step` is told each step by name; tests stop the process there."""

    store: Store
    clock: Clock
    connector: Callable[[str], Connector]
    new_id: Callable[[str], str]
    on_step: Callable[[str], None] = lambda _name: None
    on_trouble: Callable[[str, str], None] = lambda _subject, _text: None


Step: TypeAlias = Callable[[Grant], Grant | None]
"""A grant's next state; None where the step no longer applies."""


async def transition(
    parts: Parts,
    grants: Sequence[Grant],
    step: Step,
    context: Callable[[Grant], dict[str, Json]] = lambda _grant: {},
) -> list[Grant]:
    """Take each grant through `step` and record it; returns those that moved.

    The values at hand are tried first. If somebody changed one meanwhile, all are read again and `step` decides anew.
    """
    tries = 0

    async def work(tx: Transaction) -> list[Grant]:
        nonlocal tries
        tries += 1
        current = grants if tries == 1 else [await tx.grant(grant.id) for grant in grants]
        pairs = [(before, after) for before in current if (after := step(before)) is not None]
        await tx.save_grants([after for _, after in pairs])
        at = parts.clock.now()
        await tx.append(e for before, after in pairs for e in _entries(before, after, at, context(after)))
        return [after for _, after in pairs]

    return await parts.store.write(work) if grants else []


def assignment_of(grant: Grant, catalog: Catalog) -> Assignment:
    """The grant as its connector needs it. Raises `NotFound` if the catalog lost the entitlement."""
    if grant.ends_at is None:
        raise ValueError(f"grant {grant.id} has no deadline yet")
    native = catalog.entitlement(grant.entitlement).native
    return Assignment(grant_id=grant.id, account=grant.account, native=native, ends_at=grant.ends_at)


async def latest_ends(parts: Parts, resource: str, grants: Sequence[Grant]) -> dict[str, datetime]:
    """By account, the latest deadline of all its live grants: a login serves a grant and those that extend it.

    The target is told this one, whichever of the grants it is told about, so that none ever shortens another.
    """
    accounts = {grant.account for grant in grants}
    others = await parts.store.read(lambda reader: reader.grants_of_accounts(resource, accounts))
    ends: dict[str, datetime] = {}
    for grant in (*grants, *others):
        if grant.ends_at is not None and grant.state in LIVE:
            ends[grant.account] = max(grant.ends_at, ends.get(grant.account, grant.ends_at))
    return ends


Holding: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""An account and a native right on one target."""


def holding_of(grant: Grant, catalog: Catalog) -> Holding:
    """What a grant holds on its target: account and native right. Two grants with the same one overlap."""
    entitlement = catalog.entitlement(grant.entitlement)
    return grant.account, frozenset(entitlement.native.items())


def _entries(before: Grant, after: Grant, at: datetime, context: dict[str, Json]) -> Iterator[Entry]:
    """One entry for each arrow of the lifecycle; none for a retry that fails like the one before."""
    if before.suspended_by != after.suspended_by and before.state is after.state:
        yield _entry("grant.suspended", after, at, changes(before, after), context)
        return
    if before.state is after.state and before.last_error == after.last_error:
        return
    if before.state in LIVE and after.state is GrantState.ENDED:
        began, ended = _both_steps(before.state, after.end_reason, after.ended_at)
        yield _entry("grant.revoking", after, at, began, {})
        yield _entry("grant.ended", after, at, ended, context)
        return
    kind = f"grant.{after.state}" if before.state is not after.state else f"grant.{after.state}.retried"
    yield _entry(kind, after, at, changes(before, after), context)


Change: TypeAlias = tuple[dict[str, Json], dict[str, Json]]
"""The fields that changed: what they were, what they are."""


@lru_cache(maxsize=8)
def _both_steps(state: GrantState, reason: EndReason | None, ended_at: datetime | None) -> tuple[Change, Change]:
    """What the two steps to the end changed: the same for all that ended together, thousands perhaps."""
    began: Change = {"state": str(state)}, {"state": "revoking", "end_reason": to_data(reason)}
    ended: Change = {"state": "revoking"}, {"state": "ended", "ended_at": to_data(ended_at)}
    return began, ended


def _entry(kind: str, grant: Grant, at: datetime, change: Change, context: dict[str, Json]) -> Entry:
    was, now = change
    return Entry(
        type=kind,
        at=at,
        actor=ACTOR,
        subject=grant.id,
        before=was,
        after=now,
        policy_version=grant.policy_version,
        context=context,
    )
