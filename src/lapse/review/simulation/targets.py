"""What the targets show at the end: logins, roles, who holds what, what roles allow, and that all of it was read.

A well-run company switches logins off that nobody uses, gives services' logins an end, and keeps a register of what
it accepts. What should not be there is added by the plants before it is written. Called by `run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lapse.review.simulation.areas import EMERGENCY, FINANCE, SECURITY, native_role, rights_of
from lapse.review.simulation.organization import KEEPER, service_name, standing_service
from lapse.review.simulation.world import World

UNUSED_FOR = timedelta(days=80)
"""Logins that nobody used for so long are switched off."""

APP = "app"
"""The role that an area's service holds all the time. It is no entitlement."""

_READ_BEFORE_END = timedelta(minutes=10)
_ADDED = {"openssh": "session", "aws": "s3", "postgresql": "table"}
Row = dict[str, Any]


@dataclass(slots=True)
class Targets:
    """Rows of what targets show, by resource and name, until they are written."""

    world: World
    accounts: dict[tuple[str, str], Row] = field(default_factory=dict)
    access: list[Row] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    read_until: dict[str, datetime] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When the targets are read."""
        return self.world.size.end - _READ_BEFORE_END

    def account(self, resource: str, name: str, **more: Any) -> None:
        """A login or role on a target."""
        row = {
            "resource": resource,
            "account": name,
            "can_login": True,
            "observed": True,
            "observed_at": self.at,
            "builtin": False,
            "last_activity": self.world.last_use.get((resource, name)),
        }
        self.accounts[resource, name] = row | self.accounts.get((resource, name), {}) | more

    def holds(self, resource: str, account: str, role: str, **more: Any) -> None:
        """A role that an account was seen to hold."""
        row = {
            "resource": resource,
            "account": account,
            "role": role,
            "holding": "direct",
            "depth": 0,
            "observed_at": self.at,
            "can_login": True,
            "inherits": True,
            "may_set": True,
            "baseline": True,
            "managed": False,
        }
        self.access.append(row | more)

    def observe(self) -> None:
        """Everything that is as it should be."""
        for resource in self.world.catalog.resources.values():
            for entitlement in resource.entitlements:
                self.account(resource.name, entitlement.native["role"], can_login=False)
            if resource.connector == "postgresql":
                self.account(resource.name, "pg_monitor", can_login=False, builtin=True)
        self._logins()
        self._services()
        self._granted()
        self._team_role()

    def write(self) -> None:
        """All rows, ordered."""
        books = self.world.books
        books.add_all("accounts", (self.accounts[key] for key in sorted(self.accounts)))
        books.add_all("access_observed", sorted(self.access, key=lambda r: (r["resource"], r["account"], r["role"])))
        books.add_all("account_links", self._links())
        books.add_all("access_periods", self._periods())

    def _logins(self) -> None:
        """Whoever used a system has a login there; who works here no more has none, and old ones are off."""
        world = self.world
        for resource, name in sorted(world.last_use):
            principal = world.catalog.principals.get(name)
            if principal is not None and principal.active and name in world.staff.persons:
                recent = world.last_use[resource, name] >= world.size.end - UNUSED_FOR
                self.account(resource, name, principal=name, can_login=recent)

    def _services(self) -> None:
        """Services that hold their role all the time have a login that ends."""
        world = self.world
        for area in world.staff.areas.values():
            database = area.resources[0].name
            until = world.size.end + timedelta(days=world.chance.stream("targets").randrange(20, 300))
            self.standing(database, standing_service(area), APP, valid_until=until)
            if area.name not in {FINANCE, SECURITY}:
                staging = area.resources[-1].name
                self.account(staging, service_name(area), principal=service_name(area), valid_until=until)
                self._workload_logins(area.group("agents"), until)
            for resource in area.resources:
                if resource.entitlement("admin"):
                    self.account(resource.name, EMERGENCY, principal=KEEPER, can_login=False)

    def _workload_logins(self, group: str, until: datetime) -> None:
        for resource, name in sorted(self.world.last_use):
            if name in self.world.catalog.groups[group].members:
                recent = self.world.last_use[resource, name] >= self.world.size.end - UNUSED_FOR
                self.account(resource, name, principal=name, valid_until=until, can_login=recent)

    def standing(self, resource: str, name: str, role: str, **more: Any) -> None:
        """A login that holds `role` by no grant. `valid_until` in `more` is when the target ends both."""
        until = more.get("valid_until")
        self.account(resource, name, principal=name, valid_until=until)
        self.holds(resource, name, role, principal=name, **more)

    def _granted(self) -> None:
        """Who was given something logs in at once, at the latest then."""
        for live in self.world.live.values():
            grant = live.grant
            if grant.activated_at and not grant.break_glass:
                known = self.world.last_use.get((grant.resource, grant.account), grant.activated_at)
                used = max(grant.activated_at, known)
                self.account(
                    grant.resource, grant.account, principal=grant.beneficiary, can_login=True, last_activity=used
                )
                self.holds(
                    grant.resource,
                    grant.account,
                    live.native_role,
                    principal=grant.beneficiary,
                    grant_id=grant.id,
                    managed=True,
                    baseline=False,
                    since=grant.activated_at,
                )

    def _team_role(self) -> None:
        """A role within a role that the server brings along is nobody's doing."""
        area = self.world.staff.product[0]
        row = next((r for r in self.access if r["resource"] == area.resources[0].name and r["role"] == APP), None)
        if row is not None:
            nested = {"holding": "nested", "depth": 1, "via": "pg_monitor", "valid_until": row["valid_until"]}
            self.holds(row["resource"], row["account"], "pg_stat_scan_tables", principal=row["account"], **nested)

    def _links(self) -> Iterator[Row]:
        for (resource, name), row in sorted(self.accounts.items()):
            if row["can_login"]:
                principal = row.get("principal")
                rule = "catalog" if principal else "unresolved"
                yield {"resource": resource, "account": name, "rule": rule, "principal": principal}

    def _periods(self) -> Iterator[Row]:
        for row in self.access:
            if row["holding"] == "direct":
                since = row.get("since") or self.world.size.start - timedelta(days=60)
                yield {
                    "resource": row["resource"],
                    "account": row["account"],
                    "role": row["role"],
                    "from_at": since,
                    "principal": row.get("principal"),
                    "grant_id": row.get("grant_id"),
                    "source": "daily reads",
                }


def privilege_rows(world: World) -> Iterator[Row]:
    """What roles let their holders do: as declared, and the same as observed."""
    for entitlement in world.catalog.entitlements():
        for action, thing in rights_of(entitlement.resource, entitlement.role):
            for origin in ("declared", "observed"):
                yield {
                    "resource": entitlement.resource,
                    "role": native_role(entitlement.resource, entitlement.role),
                    "action": action,
                    "object": thing,
                    "origin": origin,
                    "wildcard": "*" in thing or "*" in action,
                }


def object_rows(world: World) -> Iterator[Row]:
    """Rights on single objects, few for each role."""
    for entitlement in world.catalog.entitlements():
        connector = world.catalog.resources[entitlement.resource].connector
        for action, thing in rights_of(entitlement.resource, entitlement.role):
            yield {
                "resource": entitlement.resource,
                "grantee": native_role(entitlement.resource, entitlement.role),
                "object_kind": _ADDED[connector],
                "object_name": thing,
                "privileges": action,
            }


def edge_rows(world: World) -> Iterator[Row]:
    """Steps that lead somewhere, none of them to an administrator's power."""
    for area in world.staff.product:
        database = area.resources[0].name
        how = "is told what to run by a table that the role may change"
        writer = native_role(database, "writer")
        yield {"resource": database, "from_name": writer, "to_name": "batch_runner", "how": how}
