"""Incidents, and the break-glass that some of them take: access at once, a look afterwards, a new secret.

Called by `run` each day, and by the plants for emergencies that go wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from lapse.ledger.entry import Entry
from lapse.review.simulation.areas import EMERGENCY, SECURITY, Area
from lapse.review.simulation.asking import make_request
from lapse.review.simulation.chance import Stream, lognormal, poisson
from lapse.review.simulation.tickets import Tickets
from lapse.review.simulation.wishes import Case, Twist, Wish
from lapse.review.simulation.world import World

A_MONTH = 0.6
"""Incidents of one area in a month that somebody needs break-glass for."""

LASTS_MEDIAN, LASTS_SIGMA = 95 * 60.0, 0.75
"""Seconds that an incident lasts: two hours on average."""

WITHIN = timedelta(hours=72)
"""By when somebody independent must have looked at it."""

_LOOKED_AFTER_HOURS = (3.0, 40.0)
_ROTATED_AFTER_HOURS = (0.5, 6.0)
_DAYS_A_MONTH = 30.4
_QUIET_END = timedelta(days=4)


@dataclass(slots=True)
class Look:
    """What is to become of the look afterwards: by whom (empty: somebody independent), how late, or not at all."""

    by: str = ""
    late: bool = False
    never: bool = False


@dataclass(slots=True)
class Emergencies:
    """Break-glass so far; `rotated` says when the secret of a resource was last changed, `kept` whose never is.

    People in `not_called` take no incidents: they use break-glass for something else.
    """

    world: World
    tickets: Tickets
    rotated: dict[str, datetime] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    not_called: set[str] = field(default_factory=set)

    def new_day(self) -> None:
        """Plan the incidents of this day."""
        world = self.world
        stream = world.chance.stream("incidents")
        for area in world.staff.product:
            for _ in range(poisson(stream, A_MONTH / _DAYS_A_MONTH)):
                at = world.now + timedelta(seconds=stream.randrange(86_400))
                if at < world.size.end - _QUIET_END:
                    world.agenda.at(at, partial(self._incident, area))

    def break_glass(self, who: str, resource: str, look: Look, *, incident: bool = True) -> Case | None:
        """`who` takes what they need now; None if they hold or wait for it already."""
        world, stream = self.world, self.world.chance.stream("emergencies")
        lasts = timedelta(seconds=lognormal(stream, LASTS_MEDIAN, LASTS_SIGMA))
        pair = (who, f"{resource}/admin")
        if not world.is_free(pair) or who in world.quiet:
            return None
        ticket = None
        if incident:
            opened = world.now - timedelta(minutes=stream.randrange(2, 25))
            ticket = self.tickets.add(
                (opened, world.now + max(timedelta(minutes=30), lasts)), "incident", [who], [resource]
            )
        wish = Wish(
            who=who,
            entitlement=pair[1],
            duration=timedelta(minutes=stream.choice((30, 60, 60, 120))),
            task=f"{resource} does not answer" if incident else "had to be quick",
            ticket=ticket,
            break_glass=True,
        )
        case = make_request(world, wish, Twist(then=lambda told: self._after(told, look)))
        self.used.add(resource)
        return case

    def secrets(self) -> None:
        """The secrets of emergency logins, as they are at the end."""
        world = self.world
        for resource in sorted(self.used):
            world.books.add(
                "credentials",
                {
                    "credential_id": f"secret-{resource}",
                    "resource": resource,
                    "kind": "password",
                    "account": EMERGENCY,
                    "issued_at": world.size.start - timedelta(days=200),
                    "rotated_at": self.rotated.get(resource, world.size.start - timedelta(days=30)),
                },
            )

    def _incident(self, area: Area) -> None:
        """Whoever is on call takes it, on a system of production."""
        world = self.world
        stream = world.chance.stream("emergencies")
        able = world.on_call(area.name)
        resources = [r.name for r in area.resources if r.entitlement("admin") and r.name not in self.kept]
        if able and resources and able[0] not in self.not_called:
            self.break_glass(able[0], stream.choice(resources), Look())

    def _after(self, case: Case, look: Look) -> None:
        grant = case.grant
        if grant is None or grant.ends_at is None:
            return
        world, stream = self.world, self.world.chance.stream("emergencies")
        if grant.resource not in self.kept:
            when = grant.ends_at + timedelta(hours=stream.uniform(*_ROTATED_AFTER_HOURS))
            world.agenda.at(when, lambda: self._rotate(grant.resource))
        self._look(case, look, stream)

    def _rotate(self, resource: str) -> None:
        self.rotated[resource] = self.world.now

    def _look(self, case: Case, look: Look, stream: Stream) -> None:
        """Somebody independent looks at it, in time unless the story says otherwise."""
        world, due = self.world, case.asked_at + WITHIN
        after = timedelta(hours=stream.uniform(*_LOOKED_AFTER_HOURS)) + (WITHIN if look.late else timedelta(0))
        at = case.asked_at + after
        seen = not look.never and at < world.size.end
        able = sorted(world.catalog.persons_in(f"group:{SECURITY}") - world.quiet - {case.wish.who})
        by = look.by or stream.choice(able)
        world.books.add(
            "breakglass_reviews",
            {
                "request_id": case.request.id,
                "due_at": due,
                "reviewed_at": at if seen else None,
                "reviewed_by": by if seen else None,
                "judgement": "justified" if seen else None,
            },
        )
        if seen:
            world.agenda.at(at, lambda: self._record_look(case, by))

    def _record_look(self, case: Case, by: str) -> None:
        after = {"judgement": "justified", "reviewed_by": by}
        entry = Entry(type="breakglass.reviewed", at=self.world.now, actor=by, subject=case.request.id, after=after)
        self.world.books.record(entry)
