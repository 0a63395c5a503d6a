"""Planted: roles and grants that give too much, and ways to an administrator's power that no list shows.

Called by `plant_all`; targets show it at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from lapse.review.simulation.areas import CONTROL, OPERATOR, SECURITY, Area, native_role
from lapse.review.simulation.plants.casting import Casting
from lapse.review.simulation.usage import write_use
from lapse.review.simulation.wishes import Case, Twist

_DAY = timedelta(days=1)
_SHORTLY_BEFORE = timedelta(minutes=90)
_MANY, _EACH = 12, "SELECT;INSERT;UPDATE;DELETE;TRUNCATE"
_UNUSED = ("DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MERGE")


def plant_powers(casting: Casting) -> None:
    """Wildcards, surplus rights, rights that nobody uses, ways up, and power over the rules."""
    for number in range(casting.copies):
        _wildcards(casting, number)
        _surplus(casting, casting.area(number + 1))
        _ways_up(casting, casting.area(number + 2))
        casting.parts.at_end.append(partial(_never_used, casting, casting.area(number)))
    _over_the_rules(casting)


def _wildcards(casting: Casting, number: int) -> None:
    """An entitlement that is superuser, one that reads everything, and one with sixty rights."""
    first, second, third = (casting.area(number + step) for step in range(3))
    database, other, bucket = first.resources[0].name, second.resources[0].name, third.resources[1].name
    casting.world.not_at_end.add(f"{database}/admin")
    casting.parts.at_end.append(lambda: _widen(casting, database, other, bucket))


def _widen(casting: Casting, database: str, other: str, bucket: str) -> None:
    targets = casting.parts.targets
    role = native_role(database, "admin")
    targets.account(database, role, powers="superuser")
    casting.plant("M2", f"{database}/{role}", "an entitlement that is superuser")
    role = native_role(other, "writer")
    targets.holds(other, role, "pg_read_all_data", can_login=False)
    casting.plant("M2", f"{other}/{role}", "an entitlement that reads everything")
    role = native_role(bucket, "admin")
    casting.world.books.add_all("object_privileges", _rights_on_everything(bucket, role))
    casting.plant("M2", f"{bucket}/{role}", "sixty rights, where others have two")


def _rights_on_everything(resource: str, role: str) -> Iterator[dict[str, Any]]:
    for number in range(_MANY):
        yield {
            "resource": resource,
            "grantee": role,
            "object_kind": "s3",
            "object_name": f"everything-{number}",
            "privileges": _EACH,
        }


def _surplus(casting: Casting, area: Area) -> None:
    """Three grants in force at the end gave more than was asked: another role, the right to pass it on, more rights."""
    before = casting.world.size.end - _SHORTLY_BEFORE
    database, bucket = area.resources[0].name, area.resources[1].name
    casting.world.not_at_end.add(f"{bucket}/reader")
    casting.story_at(before, lambda: _more(casting, area, f"{database}/reader", _other_role))
    casting.story_at(before, lambda: _more(casting, area, f"{database}/writer", _passing_on))
    casting.story_at(before, lambda: _more(casting, area, f"{bucket}/reader", _more_rights))


def _more(casting: Casting, area: Area, entitlement: str, give: Any) -> bool:
    free = [n for n in casting.people(area) if casting.world.is_free((n, entitlement))]
    if not free:
        return False
    pair = (free[casting.stream.randrange(len(free))], entitlement)

    def told(case: Case) -> None:
        if case.grant is not None:
            casting.parts.at_end.append(lambda: give(casting, case))

    casting.ask(pair, 4, Twist(wait=timedelta(minutes=4), then=told))
    return True


def _other_role(casting: Casting, case: Case) -> None:
    grant = case.grant
    if grant is not None:
        casting.parts.targets.holds(
            grant.resource,
            grant.account,
            "billing_owner",
            principal=grant.beneficiary,
            grant_id=grant.id,
            baseline=False,
        )
        casting.plant("M3", grant.id, "it also gave another role")


def _passing_on(casting: Casting, case: Case) -> None:
    grant = case.grant
    if grant is not None:
        row = next(r for r in casting.parts.targets.access if r.get("grant_id") == grant.id)
        row["admin_option"] = True
        casting.plant("M3", grant.id, "the holder can pass the role on")


def _more_rights(casting: Casting, case: Case) -> None:
    grant = case.grant
    if grant is not None:
        row = {"resource": grant.resource, "role": native_role(grant.resource, "reader"), "origin": "observed"}
        casting.world.books.add("role_privileges", row | {"action": "s3:DeleteObject", "object": "reports/2025"})
        casting.plant("M3", grant.id, "its role allows to delete, which nobody declared")


def _never_used(casting: Casting, area: Area) -> None:
    """A role whose rights are mostly used by nobody, on a system where every action is recorded."""
    database = area.resources[0].name
    role = native_role(database, "writer")
    for action in _UNUSED:
        for origin in ("declared", "observed"):
            row = {"resource": database, "role": role, "action": action, "object": "public.items", "origin": origin}
            casting.world.books.add("role_privileges", row)
    casting.plant("M4", f"{database}/{role}", "more than half of its rights were used by nobody")


def _ways_up(casting: Casting, area: Area) -> None:
    """A service whose role is accepted and leads to superuser in one step; and a grant that begins such a way."""
    database, hosts = area.resources[0].name, area.resources[2].name

    def accepted() -> None:
        name, role = f"svc-{area.name}-dump", "dump_operator"
        casting.service(name, area)
        end = casting.world.size.end
        for day in range(casting.world.size.days):
            begin = casting.world.size.start + timedelta(days=day, hours=1)
            write_use(casting.world, database, name, (begin, begin + timedelta(hours=1)))
        casting.parts.targets.standing(database, name, role, since=casting.world.size.start - 30 * _DAY)
        casting.parts.exceptions.append({
            "exception_id": f"exc-dump-{area.name}", "resource": database, "account": name, "role": role,
            "owner": casting.world.catalog.groups[area.group("senior")].members[0], "until": end + 90 * _DAY,
            "reason": "nightly dump", "given_at": end - 60 * _DAY, "given_by": "audit",
        })  # fmt: skip
        _edge(casting, database, role, "(superuser)")
        casting.plant("M5", f"{database}/{name}/(superuser)", "its role may run programs as superuser")

    casting.parts.at_end.append(accepted)
    casting.world.not_at_end.add(f"{hosts}/admin")
    casting.story_at(casting.world.size.end - _SHORTLY_BEFORE, lambda: _by_grant(casting, area, f"{hosts}/admin"))


def _edge(casting: Casting, resource: str, role: str, power: str) -> None:
    row = {"resource": resource, "from_name": role, "to_name": power, "how": "may run a program as the server"}
    casting.world.books.add("escalation_edges", row)


def _by_grant(casting: Casting, area: Area, entitlement: str) -> bool:
    free = [n for n in casting.people(area, "senior") if casting.world.is_free((n, entitlement))]
    if not free:
        return False

    def told(case: Case) -> None:
        grant = case.grant
        if grant is not None:
            _edge(casting, grant.resource, native_role(grant.resource, grant.role), "(root)")
            casting.plant("M5", f"{grant.resource}/{grant.account}/(root)", "a grant in force begins a way to root")

    casting.ask((free[0], entitlement), 2, Twist(wait=timedelta(minutes=4), then=told))
    return True


def _over_the_rules(casting: Casting) -> None:
    """Two who can change the rules that bind them: one by a grant, one for ever."""
    world, entitlement = casting.world, f"{CONTROL}/{OPERATOR}"
    world.not_at_end.add(entitlement)
    area = world.staff.areas[SECURITY]

    def tell() -> bool:
        free = [n for n in casting.people(area) if world.is_free((n, entitlement))]
        if not free:
            return False

        def told(case: Case) -> None:
            if case.grant is not None:
                subject = f"{CONTROL}/{case.grant.account}/{OPERATOR}"
                casting.plant("M11", subject, "holds a role that can change the policy")

        casting.ask((free[0], entitlement), 4, Twist(wait=timedelta(minutes=4), then=told))
        return True

    casting.story_at(world.size.end - _SHORTLY_BEFORE, tell)
    casting.parts.at_end.append(lambda: _for_ever(casting, area))


def _for_ever(casting: Casting, area: Area) -> None:
    held = {live.grant.beneficiary for live in casting.world.live.values()}
    name = next(n for n in reversed(casting.people(area)) if n not in held)
    role, since = native_role(CONTROL, OPERATOR), casting.world.size.end - 12 * _DAY
    targets = casting.parts.targets
    targets.account(CONTROL, name, principal=name, can_login=True, last_activity=casting.world.size.end - _DAY)
    targets.holds(CONTROL, name, role, principal=name, managed=True, since=since)
    casting.plant("M11", f"{CONTROL}/{name}/{role}", "can change the policy for ever")
    casting.plant("L1", f"{CONTROL}/{name}/{role}", "and holds it with no end")
    casting.plant("L18", f"{CONTROL}/{name}", "and the login has no end")
    casting.outlier(name, f"{CONTROL}/{role}")
