"""Planted: earlier reviews that were not done properly, and what they took away and is still there, or there again.

Called by `plant_all`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from lapse.review.simulation.areas import SECURITY, Area, native_role
from lapse.review.simulation.asking import make_request
from lapse.review.simulation.organization import boss_of
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.targets import APP
from lapse.review.simulation.wishes import Twist, Wish

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_IN_ONE_ACT = 14


def plant_reviews(casting: Casting) -> None:
    """Decided in bulk, on own access, on what one had approved, not at all; not carried out, or undone."""
    review, sealed = casting.parts.reviews.in_period[-1]
    at = sealed - 6 * _DAY
    for number in range(casting.copies):
        area = casting.area(number)
        casting.parts.at_end += [
            partial(_own_access, casting, review, at, area),
            partial(_own_approval, casting, review, area),
            partial(_not_carried_out, casting, review, at, area),
            partial(_back_by_hand, casting, review, at, area),
        ]
        casting.world.agenda.at(at + _DAY, partial(_in_bulk, casting, review, number))
        casting.world.agenda.at(at, partial(_back_by_itself, casting, review, area))
    casting.parts.at_end.append(lambda: _undecided(casting, review))
    casting.plant("C20", review, "sealed with items that nobody decided")


def _item(casting: Casting, review: str, **more: Any) -> str:
    return casting.parts.reviews.item(review, **more)


def _in_bulk(casting: Casting, review: str, number: int) -> None:
    """Fourteen grave items in one act."""
    now, name = casting.world.now, boss_of(casting.world.staff, SECURITY)
    act = f"act-{number}"
    for place in range(_IN_ONE_ACT):
        area = casting.area(place)
        _item(
            casting, review, resource=area.resources[2].name, account=f"job-{number}-{place}", role="batch",
            decision="keep", decided_by=name, decided_at=now, act=act, sensitive=True,
        )  # fmt: skip
    casting.plant("C5", f"{review} {name} {act}", f"{_IN_ONE_ACT} grave items in one act")


def _own_access(casting: Casting, review: str, at: datetime, area: Area) -> None:
    name, resource = casting.world.catalog.groups[area.group("senior")].members[-1], area.resources[0].name
    item = _item(
        casting, review, resource=resource, account=name, role=native_role(resource, "admin"), principal=name,
        decision="keep", decided_by=name, decided_at=at + _HOUR,
    )  # fmt: skip
    casting.plant("C19", item, f"{name} decided on their own access")


def _own_approval(casting: Casting, review: str, area: Area) -> None:
    """Decided on a grant by the one who had approved it."""
    recent = [live for live in casting.world.recent[area.resources[0].name] if live.approvers]
    if not recent:
        return
    live = recent[-1]
    when = casting.world.size.end - 2 * _HOUR
    item = _item(
        casting, review, resource=live.grant.resource, account=live.grant.account, role=live.grant.role,
        grant_id=live.grant.id, principal=live.grant.beneficiary, decision="keep",
        decided_by=casting.world.catalog.root_of(live.approvers[0]), decided_at=when,
    )  # fmt: skip
    casting.plant("C19", item, "decided on by the one who had approved it")


def _not_carried_out(casting: Casting, review: str, at: datetime, area: Area) -> None:
    """Was to go, and is still there."""
    resource, name = area.resources[0].name, f"svc-{area.name}-mirror"
    casting.service(name, area)
    end = casting.world.size.end
    casting.parts.targets.account(resource, name, last_activity=end - _DAY)
    casting.parts.targets.standing(resource, name, f"{APP}_mirror", valid_until=end + 30 * _DAY, since=end - 18 * _DAY)
    item = revoked(casting, review, at, (resource, name, f"{APP}_mirror"), None)
    casting.plant("C21", item, "a review took it away weeks ago, and it is still there")


def _back_by_hand(casting: Casting, review: str, at: datetime, area: Area) -> None:
    """Was gone, and somebody gave it again by hand."""
    name, resource = casting.someone(area), area.resources[1].name
    if not name:
        return
    role, end = native_role(resource, "admin"), casting.world.size.end
    targets = casting.parts.targets
    targets.account(resource, name, principal=name, can_login=True, last_activity=end - _DAY)
    targets.holds(resource, name, role, principal=name, managed=True, baseline=False, since=end - 8 * _DAY)
    revoked(casting, review, at, (resource, name, role), at + _HOUR)
    casting.plant("L16", f"{resource}/{name}/{role}", "a review had taken it away")
    casting.plant("L2", f"{resource}/{name}/{role}", "and no grant accounts for it")
    casting.outlier(name, f"{resource}/{role}")


def _back_by_itself(casting: Casting, review: str, area: Area) -> None:
    """Was gone, and comes back through an offer on which nobody decides."""
    world = casting.world
    resource = area.resources[3].name
    pair_of = {name: (name, f"{resource}/tester") for name in casting.people(area)}
    able = [name for name, pair in pair_of.items() if world.is_free(pair) and pair not in world.kept_apart]
    if not able:
        return
    name = able[casting.stream.randrange(len(able))]
    world.kept_apart.add(pair_of[name])
    revoked(casting, review, world.now, (resource, name, "tester"), world.now + _HOUR)

    def ask() -> None:
        wish = Wish(who=name, entitlement=f"{resource}/tester", duration=2 * _HOUR, task="check the test data again")
        make_request(world, wish, Twist())

    world.agenda.at(world.now + 2 * _DAY, ask)
    casting.plant("L16", f"{resource}/{name}/tester", "a review had taken it away, and nobody approved it since")


def revoked(
    casting: Casting, review: str, at: datetime, what: tuple[str, str, str], carried_out: datetime | None
) -> str:
    """An item of `review` that says that an account must lose a role; returns its id."""
    resource, account, role = what
    return _item(
        casting, review, resource=resource, account=account, role=role, principal=account, decision="revoke",
        decided_by=boss_of(casting.world.staff, SECURITY), decided_at=at, carry_out_by=at + _DAY,
        carried_out_at=carried_out, outcome=None if carried_out is None else "removed",
    )  # fmt: skip


def _undecided(casting: Casting, review: str) -> None:
    for place in range(3):
        area = casting.area(place)
        _item(
            casting, review, resource=area.resources[0].name, account=f"job-open-{place}", role="batch",
            decision="undecided" if place else "keep", by_default=place == 0,
        )  # fmt: skip
