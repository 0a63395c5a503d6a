"""What goes on every day without anybody asking: services at work, targets read, use recorded, drift cleared up.

Called by `run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lapse.ledger.entry import Entry
from lapse.review.simulation.chance import poisson
from lapse.review.simulation.organization import standing_service
from lapse.review.simulation.usage import write_use
from lapse.review.simulation.world import World

RUNS_HOURS = (1.5, 5.0)
"""Hours a day that a service is at work with the role that it holds."""

RECORDED_BEFORE = timedelta(days=120)
"""The record of use begins so long before the period."""

DRIFTS_A_MONTH = 0.4
"""How often somebody gives a role by hand on one resource, which is seen and taken away."""

_DAYS_A_MONTH = 30.4
_READ_HOUR = timedelta(hours=23, minutes=48)
_Row = dict[str, Any]


@dataclass(slots=True)
class Routine:
    """`gaps` are times in which use of a resource was not recorded, `silent` resources have no record at all.

    `unread` resources are not read completely any more from a time on.
    """

    world: World
    gaps: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    unread: dict[str, datetime] = field(default_factory=dict)

    def new_day(self) -> None:
        """Services run, targets are read, drift is seen."""
        world, stream = self.world, self.world.chance.stream("routine")
        for area in world.staff.areas.values():
            begin = world.now + timedelta(hours=stream.uniform(0.5, 4))
            span = (begin, begin + timedelta(hours=stream.uniform(*RUNS_HOURS)))
            write_use(world, area.resources[0].name, standing_service(area), span)
        for resource in world.catalog.resources:
            self._read(resource)
        if poisson(stream, DRIFTS_A_MONTH * len(world.catalog.resources) / _DAYS_A_MONTH / 10):
            self._drift(stream.choice(sorted(world.catalog.resources)))

    def coverage(self) -> Iterator[_Row]:
        """Windows in which use was recorded."""
        world = self.world
        first = world.size.start - RECORDED_BEFORE
        for resource in world.catalog.resources.values():
            if resource.name in self.silent:
                continue
            gap = self.gaps.get(resource.name)
            spans = [(first, world.size.end)] if gap is None else [(first, gap[0]), (gap[1], world.size.end)]
            for begin, end in spans:
                yield {
                    "resource": resource.name,
                    "from_at": begin,
                    "to_at": end,
                    "complete": True,
                    "source": f"{resource.connector} log",
                    "actions": resource.name.endswith("-db"),
                }

    def _read(self, resource: str) -> None:
        at = self.world.now + _READ_HOUR
        whole = at < self.unread.get(resource, at + _READ_HOUR)
        self.world.books.add(
            "target_reads",
            {
                "resource": resource,
                "started_at": at - timedelta(seconds=4),
                "finished_at": at,
                "complete": whole,
                "gaps": None if whole else "pg_auth_members could not be read",
            },
        )

    def _drift(self, resource: str) -> None:
        """Somebody gives a role by hand; it is seen with the next read, and taken away."""
        world = self.world
        roles = world.catalog.resources[resource].entitlements
        people = sorted(p.name for p in world.staff.persons.values() if p.area)
        stream = world.chance.stream("drift")
        if not roles or not people:
            return
        seen = world.now + timedelta(hours=stream.uniform(1, 20))
        cleared = seen + timedelta(minutes=stream.randrange(2, 300))
        row = {
            "resource": resource,
            "account": stream.choice(people),
            "role": stream.choice(roles).native["role"],
            "kind": "unknown_access",
            "first_seen": seen,
            "last_seen": cleared,
            "cleared_at": cleared,
            "detail": "given by hand",
        }
        if cleared < world.size.end:
            world.books.add("drifts", row)
            world.agenda.at(seen, lambda: self._record(resource))

    def _record(self, resource: str) -> None:
        after = {"resource": resource, "kind": "unknown_access"}
        entry = Entry(
            type="drift.seen", at=self.world.now, actor="system:enforcer", subject=f"resource:{resource}", after=after
        )
        self.world.books.record(entry)
