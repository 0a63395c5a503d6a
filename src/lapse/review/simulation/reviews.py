"""The reviews that were held before, one a quarter: what they covered, what was decided, by whom, and what came of it.

Reviewers of a well-run company decide item by item, never on their own access nor on what they approved, and what is to
go is gone within hours. Called by `run` at the days of the reviews, and by the plants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lapse.review.simulation.areas import SECURITY
from lapse.review.simulation.granting import Live
from lapse.review.simulation.organization import standing_service
from lapse.review.simulation.targets import APP
from lapse.review.simulation.world import World

EVERY_DAYS = 84
"""Days between two reviews."""

LAST_BEFORE_END = 24
"""Days from the sealing of the last review to the end."""

_BEFORE = 3
_TAKES = timedelta(days=9)
_OPENED_BEFORE = timedelta(minutes=3)
_REVOKED_SHARE = 0.08
_CARRY_OUT = timedelta(hours=24)
Row = dict[str, Any]


@dataclass(slots=True)
class Reviews:
    """The reviews so far. `left_out` resources are covered by none from a time on, `never` by none at all."""

    world: World
    left_out: dict[str, datetime] = field(default_factory=dict)
    never: set[str] = field(default_factory=set)
    ids: list[tuple[str, datetime]] = field(default_factory=list)

    def plan(self) -> None:
        """Note the reviews before the period, and plan those within it."""
        size = self.world.size
        sealed = size.end - timedelta(days=LAST_BEFORE_END)
        while sealed > size.start - timedelta(days=_BEFORE * EVERY_DAYS):
            self.ids.append((f"rev_{sealed:%Y_%m}", sealed))
            sealed -= timedelta(days=EVERY_DAYS)
        self.ids.sort(key=lambda one: one[1])
        for name, at in self.ids:
            if at - _TAKES > size.start:
                self.world.agenda.at(at - timedelta(days=1), partial(self._decide_all, name, at))

    @property
    def in_period(self) -> list[tuple[str, datetime]]:
        """Reviews that were held within the period, with when they were sealed."""
        return [(name, at) for name, at in self.ids if at - _TAKES > self.world.size.start]

    def covered(self) -> Iterator[Row]:
        """One row for each review and resource that it covered."""
        for name, sealed in self.ids:
            for resource in self.world.catalog.resources:
                if resource not in self.never and sealed < self.left_out.get(resource, self.world.size.end):
                    yield {
                        "review_id": name,
                        "resource": resource,
                        "started_at": sealed - _TAKES,
                        "title": f"Access review of {sealed:%B %Y}",
                        "period_start": sealed - timedelta(days=EVERY_DAYS),
                        "period_end": sealed - _TAKES,
                        "due_at": sealed,
                        "sealed_at": sealed,
                        "signed_at": sealed + timedelta(hours=3),
                        "signed_by": "audit",
                    }

    def item(self, review: str, **more: Any) -> str:
        """One item that was decided; returns its id."""
        name = self.world.books.new_id("itm")
        row = {"item_id": name, "review_id": review, "by_default": False, "sensitive": False}
        self.world.books.add("review_decisions", row | more)
        return name

    def _decide_all(self, review: str, sealed: datetime) -> None:
        """Items about services that hold access all the time, and about grants of the last days."""
        world, stream = self.world, self.world.chance.stream("reviews")
        at = sealed - _TAKES + timedelta(days=2)
        for area in world.staff.areas.values():
            database = area.resources[0].name
            service = standing_service(area)
            at += timedelta(seconds=stream.randrange(20, 400))
            self._keep(review, at, (database, service, APP), self._reviewer(set()), service)
            if stream.random() < _REVOKED_SHARE:
                at += timedelta(seconds=stream.randrange(20, 400))
                self._revoke(review, at, database, f"old-job-{review[-2:]}")
        for resource in sorted(world.recent):
            for live in world.recent[resource][:1]:
                at += timedelta(seconds=stream.randrange(20, 400))
                self._about_grant(review, at, live)

    def reviewer_of(self, live: Live) -> str:
        """Somebody who neither holds a grant nor has approved it."""
        grant = live.grant
        approved = {self.world.catalog.root_of(name) for name in live.approvers}
        return self._reviewer({grant.beneficiary, grant.sponsor, *approved})

    def _reviewer(self, not_these: set[str]) -> str:
        world = self.world
        able = sorted(world.catalog.persons_in(f"group:{SECURITY}") - not_these - world.quiet)
        return world.chance.stream("reviews").choice(able) if able else "audit"

    def _keep(self, review: str, at: datetime, what: tuple[str, str, str], by: str, principal: str) -> None:
        resource, account, role = what
        self.item(
            review,
            resource=resource,
            account=account,
            role=role,
            principal=principal,
            decision="keep",
            decided_by=by,
            decided_at=at,
            opened_at=at - _OPENED_BEFORE,
        )

    def _revoke(self, review: str, at: datetime, resource: str, account: str) -> None:
        """A login of old that nobody needs any more; it is gone an hour later."""
        self.item(
            review,
            resource=resource,
            account=account,
            role=APP,
            decision="revoke",
            decided_by=self._reviewer(set()),
            decided_at=at,
            opened_at=at - _OPENED_BEFORE,
            carry_out_by=at + _CARRY_OUT,
            carried_out_at=at + timedelta(hours=1),
            outcome="removed, and seen to be gone",
            sensitive=True,
        )

    def _about_grant(self, review: str, at: datetime, live: Live) -> None:
        grant = live.grant
        self.item(
            review,
            resource=grant.resource,
            account=grant.account,
            role=grant.role,
            grant_id=grant.id,
            principal=grant.beneficiary,
            decision="keep",
            decided_by=self.reviewer_of(live),
            decided_at=at,
            opened_at=at - _OPENED_BEFORE,
            sensitive=grant.role == "admin",
        )
