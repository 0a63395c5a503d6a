"""The parts of a world that act, together: what `run` drives day by day, and what plants may change.

Built once by `run`; every plant gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lapse.domain.data import Json
from lapse.ledger.entry import Entry
from lapse.policy import parse, version_of
from lapse.ports import PolicyVersion
from lapse.review.simulation.demand import Demand
from lapse.review.simulation.emergencies import Emergencies
from lapse.review.simulation.reviews import Reviews
from lapse.review.simulation.routine import Routine
from lapse.review.simulation.rules import Rule
from lapse.review.simulation.targets import Targets
from lapse.review.simulation.tickets import Tickets
from lapse.review.simulation.turnover import Turnover
from lapse.review.simulation.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A policy that comes into force: who wanted it, who agreed, whether it permits more than the one before."""

    files: dict[str, str]
    proposed_by: str
    approved_by: str
    widens: bool | None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Parts:
    """All that acts. `rules` and `limits` come into the last version of the policy; `dead` ones decide nothing.

    `exceptions` is the register of them. `miscounted` says how many rows of a table a source has that were not read.
    `at_end` is done when the period is over, before the targets are written.
    """

    world: World
    tickets: Tickets
    demand: Demand
    emergencies: Emergencies
    reviews: Reviews
    routine: Routine
    turnover: Turnover
    targets: Targets
    rules: list[Rule] = field(default_factory=list)
    limits: list[Rule] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    exceptions: list[dict[str, Any]] = field(default_factory=list)
    miscounted: dict[str, int] = field(default_factory=dict)
    at_end: list[Callable[[], None]] = field(default_factory=list)

    def put_in_force(self, change: Change) -> None:
        """The policy is another one from now on; the change is on record."""
        world, before = self.world, self.world.version
        version = version_of(change.files)
        world.policy = parse(change.files)
        world.version = PolicyVersion(
            version=version, files=change.files, activated_at=world.now, activated_by=change.proposed_by
        )
        world.versions.append(world.version)
        entry = Entry(
            type="policy.activated",
            at=world.now,
            actor=change.proposed_by,
            subject=version,
            before={"version": before.version},
            after={"version": version, "files": dict[str, Json](change.files)},
            policy_version=version,
        )
        world.books.record(entry)
        world.books.add("policy_changes", self._row(change, before, world.now))

    def _row(self, change: Change, before: PolicyVersion, at: datetime) -> dict[str, Any]:
        return {
            "policy_version": self.world.version.version,
            "activated_at": at,
            "proposed_by": change.proposed_by,
            "approved_by": change.approved_by or None,
            "base": before.version,
            "widens": change.widens,
            "detail": change.detail or None,
        }
