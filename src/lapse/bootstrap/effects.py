"""Computes what a proposed policy would do: replay, proofs, differences, warnings. Nothing is changed by it.

Called by the API, for `lapse policy replay` and for each proposal. Whatever cannot be computed says why.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lapse.bootstrap.apart import apart
from lapse.bootstrap.app import App
from lapse.control.replays import OnProgress, replay_ledger
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError, Refused
from lapse.policy import Policy, lint, parse
from lapse.policy.effects import ClaimEffect, DiffEffect, Effects
from lapse.policy.proof.outcomes import claim_effects
from lapse.policy.proof.previews import diff_effect, oddities
from lapse.policy.replay import ReplayReport
from lapse.ports import PolicyVersion, Reader

MOST_WARNINGS = 100
TIME_FOR_A_CLAIM = timedelta(seconds=10)
"""After which a claim counts as unknown, and somebody has to accept that."""

TIME_FOR_THE_DIFFERENCE = timedelta(seconds=30)
TIME_FOR_ODDITIES = timedelta(seconds=20)
"""After which the rest is said to be unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The effects of files, and the policy they would replace."""

    base: str
    effects: Effects


async def replay_files(
    app: App, files: Mapping[str, str], since: datetime, on_progress: OnProgress = lambda _done, _total: None
) -> ReplayReport:
    """Everything that was asked since then, under the policy that `files` say.

    Raises:
        PolicyErrors: the files have errors.
    """
    policy, until = parse(files), app.clock.now()
    return await apart(app, lambda own: replay_ledger(own.store.ledger, policy, since, until, on_progress))


async def effects_of(app: App, files: Mapping[str, str], since: datetime) -> Computed:
    """What `files` would do instead of the policy in force.

    Raises:
        PolicyErrors: the files have errors.
        Refused: no policy is in force, so that there is nothing to compare with.
    """
    policy, until = parse(files), app.clock.now()

    async def work(own: App) -> Computed:
        old, catalog = await own.store.read(_before)
        replay, missing = await _replayed(own, policy, since, until)
        effects = Effects(
            diff=difference(parse(old.files), policy),
            claims=claims(policy),
            replay=replay,
            replay_missing=missing,
            warnings=warnings(policy, catalog, own.integrations.rotas.names),
        )
        return Computed(base=old.version, effects=effects)

    return await apart(app, work)


def claims(policy: Policy) -> tuple[ClaimEffect, ...]:
    """What can be said of each claim of `policy`, for all people and things there could be."""
    return claim_effects(policy, timeout=TIME_FOR_A_CLAIM, clock=time.monotonic)


def difference(old: Policy, new: Policy) -> DiffEffect:
    """How the answers change."""
    return diff_effect(old, new, timeout=TIME_FOR_THE_DIFFERENCE, clock=time.monotonic)


def warnings(policy: Policy, catalog: Catalog, rotas: Collection[str]) -> tuple[str, ...]:
    """What is probably not meant, and what is odd."""
    meant = tuple(map(str, lint(policy, catalog, rotas=rotas)))
    odd = oddities(policy, catalog, timeout=TIME_FOR_ODDITIES, clock=time.monotonic)
    return (*meant, *odd)[:MOST_WARNINGS]


async def _before(reader: Reader) -> tuple[PolicyVersion, Catalog]:
    active = await reader.active_policy()
    if active is None:
        raise Refused("no policy is in force yet", hint="the first one is put in force with `lapse policy apply`")
    return active, await reader.catalog()


async def _replayed(own: App, policy: Policy, since: datetime, until: datetime) -> tuple[ReplayReport | None, str]:
    try:
        return await replay_ledger(own.store.ledger, policy, since, until), ""
    except LapseError as error:
        return None, error.message
