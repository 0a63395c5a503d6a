"""Planted: grants that end late, not at all or not for good, that nobody uses, or that are more than was approved.

Called by `plant_all`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lapse.domain.grants import Grant
from lapse.review.simulation.areas import native_role
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.wishes import Case, GrantTwist, Twist, Use

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_LINKS = 4
_FAILED_BEFORE = timedelta(hours=30)


def plant_grants(casting: Casting) -> None:
    """Late, failed, used afterwards, outlived by sessions and credentials, chained, unused, changed, out of order."""
    for _ in range(casting.copies):
        minutes = casting.stream.randrange(12, 240)
        late = GrantTwist(late=timedelta(minutes=minutes))
        _simple(casting, ("L5", f"ended {minutes} minutes late"), Twist(grant=late))
        _simple(casting, ("L4", "never used, and the log is complete"), Twist(use=Use(unused=True)))
        _simple(casting, ("L7", "used 25 minutes after its end"), Twist(use=Use(after_end=25 * _MINUTE)))
        _simple(
            casting, ("L8", "a session went on for 40 minutes after the end"), Twist(use=Use(beyond_end=40 * _MINUTE))
        )
        _simple(casting, ("C10", "twice as long as was approved"), Twist(grant=GrantTwist(longer=4 * _HOUR)))
        _simple(casting, ("C10", "on other terms than were approved"), Twist(grant=GrantTwist(other_terms=True)))
        _simple(
            casting,
            ("M14", "ended before it was active"),
            Twist(grant=GrantTwist(ends_early=7 * _MINUTE), use=Use(unused=True)),
            prefix="grant ",
        )
        casting.story(lambda: _outlived(casting))
        casting.story(lambda: _for_another(casting))
        casting.story(lambda: _another_role(casting))
        casting.story(lambda: _active_early(casting))
        casting.story(lambda: _chain(casting))
        casting.story(lambda: _changed_outside(casting))
        casting.story_at(casting.world.size.end - _FAILED_BEFORE, lambda: _stuck(casting))


def _simple(casting: Casting, label: tuple[str, str], twist: Twist, prefix: str = "") -> None:
    """One grant of four hours that goes wrong in one way."""

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant(label[0], prefix + case.grant.id, label[1])

    def tell() -> bool:
        pair = casting.free_pair("reader")
        if pair is not None:
            casting.ask(pair, 4, _with(twist, told))
        return pair is not None

    casting.story(tell)


def _with(twist: Twist, told: Callable[[Case], None]) -> Twist:
    return Twist(grant=twist.grant, use=twist.use, then=told)


def _outlived(casting: Casting) -> bool:
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("L9", case.grant.id.replace("gra_", "cre_"), "its credential works for another day")

    casting.ask(pair, 4, Twist(grant=GrantTwist(outliving=24 * _HOUR), then=told))
    return True


def _for_another(casting: Casting) -> bool:
    """Approved for one, given to another."""
    pair = casting.free_pair("reader", kind="-bucket")
    if pair is None:
        return False
    area = casting.world.staff.areas[casting.world.staff.of(pair[0]).area]
    others = [n for n in casting.people(area) if n != pair[0] and casting.world.is_free((n, pair[1]))]
    if not others:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("C10", case.grant.id, f"approved for {pair[0]}, given to {others[0]}")

    casting.ask(pair, 4, Twist(grant=GrantTwist(beneficiary=others[0]), then=told))
    for one in (pair, (others[0], pair[1])):
        casting.world.hold(one, casting.world.now + 30 * _HOUR)
    return True


def _another_role(casting: Casting) -> bool:
    """Approved to read, given to write."""
    pair = casting.free_pair("reader", kind="-bucket")
    if pair is None:
        return False
    writer = pair[1].replace("/reader", "/writer")
    if not casting.world.is_free((pair[0], writer)):
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("C10", case.grant.id, "approved to read, given to write")

    casting.ask(pair, 4, Twist(grant=GrantTwist(entitlement=writer), then=told))
    for one in (pair, (pair[0], writer)):
        casting.world.hold(one, casting.world.now + 30 * _HOUR)
    return True


def _active_early(casting: Casting) -> bool:
    """The clock of the target is slow: access began before anybody asked for it."""
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("M14", f"grant {case.grant.id}", "active before it was asked for")
            casting.plant("C7", case.grant.id, "and so before it was approved")

    early = GrantTwist(active_early=50 * _MINUTE)
    casting.ask(pair, 4, Twist(grant=early, wait=10 * _MINUTE, then=told))
    return True


def _chain(casting: Casting) -> bool:
    """Asked again and again just before the end: twenty hours without a break, twelve are allowed at most."""
    pair = casting.free_pair("writer", kind="-bucket")
    if pair is None:
        return False
    world, links = casting.world, list[Grant]()
    world.kept_apart.add(pair)

    def told(case: Case) -> None:
        if case.grant is None or case.grant.ends_at is None:
            return
        links.append(case.grant)
        if len(links) <= _LINKS:
            world.agenda.at(case.grant.ends_at - 19 * timedelta(seconds=1), link)
            return
        world.kept_apart.discard(pair)
        begin = links[0].activated_at
        casting.plant("L10", f"{pair[0]} {pair[1]} {begin:%Y-%m-%dT%H:%M:%SZ}", "no break for longer than the cap")

    def link() -> None:
        casting.ask(pair, 4, Twist(wait=timedelta(seconds=18), then=told))

    link()
    return True


def _changed_outside(casting: Casting) -> bool:
    """What a grant had put on the target was taken away there by hand, and put back."""
    pair = casting.free_pair("reader")
    if pair is None:
        return False

    def told(case: Case) -> None:
        grant, now = case.grant, casting.world.now
        if grant is None:
            return
        role = native_role(grant.resource, grant.role)
        casting.world.books.add(
            "drifts",
            {
                "resource": grant.resource,
                "account": grant.account,
                "role": role,
                "kind": "missing_access",
                "first_seen": now + 20 * _MINUTE,
                "last_seen": now + 21 * _MINUTE,
                "cleared_at": now + 21 * _MINUTE,
                "grant_id": grant.id,
                "detail": "removed by hand, and put back",
            },
        )
        casting.plant("L14", f"{grant.resource}/{grant.account}/{role}", "somebody else took it away by hand")

    casting.ask(pair, 4, Twist(then=told))
    return True


def _stuck(casting: Casting) -> bool:
    pair = casting.free_pair("writer")
    if pair is None:
        return False

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.plant("L6", case.grant.id, "past its end for a day, the target refuses connections")

    casting.ask(pair, 2, Twist(grant=GrantTwist(never_ends=True), wait=_MINUTE, then=told))
    return True
