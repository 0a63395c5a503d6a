"""What the made-up company protects: areas of its product, finance and security, with resources and offers.

An area has its own resources, the groups that may ask for them, and those who decide. Pure; called by `organization`
for the catalog, by `rules` for the policy and by `demand` for what people ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.resources import Entitlement, Resource

FINANCE, SECURITY = "finance", "security"
BOOKS, CONTROL = "finance-books", "access-control"
MAKER, CHECKER = "maker", "checker"
OPERATOR = "operator"
LOADER, AUDITOR = "loader", "auditor"
"""Roles that no offer is about, until somebody changes the policy."""
EMERGENCY = "emergency"
"""The login that break-glass opens on a resource; it is switched off between emergencies."""


class Level(StrEnum):
    """How far an offer goes; the policy says how long each may last."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    TEST = "test"
    EMERGENCY = "emergency"
    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """One offer of the policy: `group` may ask for `entitlements`, `stages` are the parties that must agree."""

    name: str
    level: Level
    entitlements: tuple[str, ...]
    group: str
    stages: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A part of the company with its resources. `people` is how many work there at the start."""

    name: str
    people: int
    resources: tuple[Resource, ...]

    def group(self, suffix: str) -> str:
        """Name of one of its groups: `dev`, `senior`, `approvers`, `agents`."""
        return f"{self.name}-{suffix}"


def product_area(name: str, people: int) -> Area:
    """An area of the product: a database, a bucket and hosts in production, and a database for tests."""
    return Area(
        name=name,
        people=people,
        resources=(
            _resource(f"{name}-db", "postgresql", ("reader", "writer", "admin"), {"env": "prod"}),
            _resource(f"{name}-bucket", "aws", ("reader", "writer", "admin", LOADER), {"env": "prod"}),
            _resource(f"{name}-hosts", "openssh", ("reader", "admin", AUDITOR), {"env": "prod"}),
            _resource(f"{name}-staging", "postgresql", ("tester",), {"env": "staging"}),
        ),
    )


def finance_area(people: int) -> Area:
    """Finance: books in which nobody may both enter and release."""
    return Area(
        name=FINANCE,
        people=people,
        resources=(_resource(BOOKS, "postgresql", ("reader", MAKER, CHECKER), {"data": "finance", "env": "prod"}),),
    )


def security_area(people: int) -> Area:
    """Security: the system that decides about access, which has a role that can change its rules."""
    return Area(
        name=SECURITY,
        people=people,
        resources=(_resource(CONTROL, "openssh", ("reader", OPERATOR), {"env": "prod"}),),
    )


def offerings(area: Area) -> Iterator[Offering]:
    """The offers about an area that hold in every version of the policy."""
    if area.name == FINANCE:
        yield from _finance(area)
    elif area.name == SECURITY:
        yield from _security(area)
    else:
        yield from _product(area)


def native_role(resource: str, role: str) -> str:
    """What an entitlement is called on its target."""
    return f"{resource.replace('-', '_')}_{role}"


def rights_of(resource: str, role: str) -> tuple[tuple[str, str], ...]:
    """What a role lets its holder do, as (action, object); the same as its catalog entry declares."""
    return _RIGHTS.get((resource.rpartition("-")[2], role), ())


def records_actions(resource: str) -> bool:
    """Whether the log of the resource has every single action; for others only that there was use."""
    return resource.endswith("-db")


def _resource(name: str, connector: str, roles: Sequence[str], tags: dict[str, str]) -> Resource:
    entitlements = tuple(
        Entitlement(
            resource=name,
            role=role,
            title=f"{role} of {name}",
            native={"role": native_role(name, role), "mode": "membership"},
        )
        for role in roles
    )
    title = name.replace("-", " ").capitalize()
    return Resource(name=name, connector=connector, title=title, tags=tags, entitlements=entitlements)


def _approvers(area: Area) -> tuple[str, ...]:
    return (f"group:{area.group('approvers')}",)


def _product(area: Area) -> Iterator[Offering]:
    name, decide = area.name, _approvers(area)
    or_on_call = (*decide, f"oncall:{name}")
    database, bucket, hosts, staging = (one.name for one in area.resources)
    dev, senior = area.group("dev"), area.group("senior")
    admin = (f"{database}/admin", f"{bucket}/admin", f"{hosts}/admin")
    yield Offering(
        name=f"{name}-read",
        level=Level.READ,
        entitlements=(f"{database}/reader", f"{bucket}/reader", f"{hosts}/reader"),
        group=dev,
        stages=(or_on_call,),
    )
    yield Offering(
        name=f"{name}-write",
        level=Level.WRITE,
        entitlements=(f"{database}/writer", f"{bucket}/writer"),
        group=dev,
        stages=(decide,),
    )
    yield Offering(
        name=f"{name}-administer",
        level=Level.ADMIN,
        entitlements=admin,
        group=senior,
        stages=(decide, (f"group:{SECURITY}",)),
    )
    yield Offering(name=f"{name}-emergency", level=Level.EMERGENCY, entitlements=admin, group=senior)
    tester = (f"{staging}/tester",)
    yield Offering(name=f"{name}-test", level=Level.TEST, entitlements=tester, group=dev)
    yield Offering(name=f"{name}-load", level=Level.TEST, entitlements=tester, group=area.group("loaders"))
    yield Offering(
        name=f"{name}-agents",
        level=Level.AGENT,
        entitlements=(f"{database}/reader",),
        group=area.group("agents"),
        stages=(decide,),
    )


def _finance(area: Area) -> Iterator[Offering]:
    for name, role, group in (
        ("finance-read", "reader", area.group("dev")),
        ("finance-make", MAKER, area.group("makers")),
        ("finance-check", CHECKER, area.group("checkers")),
    ):
        level = Level.READ if role == "reader" else Level.WRITE
        yield Offering(
            name=name, level=level, entitlements=(f"{BOOKS}/{role}",), group=group, stages=(_approvers(area),)
        )


def _security(area: Area) -> Iterator[Offering]:
    dev = area.group("dev")
    decide = (f"group:{SECURITY}",)
    yield Offering(
        name="control-read", level=Level.READ, entitlements=(f"{CONTROL}/reader",), group=dev, stages=(decide,)
    )
    yield Offering(
        name="control-operate", level=Level.WRITE, entitlements=(f"{CONTROL}/{OPERATOR}",), group=dev, stages=(decide,)
    )


_RIGHTS = {
    ("db", "reader"): (("SELECT", "public.items"), ("SELECT", "public.events"), ("SELECT", "public.accounts")),
    ("db", "writer"): (
        ("SELECT", "public.items"),
        ("INSERT", "public.items"),
        ("UPDATE", "public.items"),
        ("UPDATE", "public.accounts"),
    ),
    ("db", "admin"): (("ALTER", "public.items"), ("CREATE INDEX", "public.events"), ("ANALYZE", "public.accounts")),
    ("bucket", "reader"): (("s3:GetObject", "reports/*"), ("s3:ListBucket", "reports")),
    ("bucket", "writer"): (("s3:GetObject", "reports/*"), ("s3:PutObject", "reports/*")),
    ("bucket", "admin"): (("s3:PutLifecycleConfiguration", "reports"), ("s3:PutBucketPolicy", "reports")),
    ("staging", "tester"): (("SELECT", "public.*"), ("UPDATE", "public.*")),
    ("books", "reader"): (("SELECT", "books.entries"),),
    ("books", MAKER): (("INSERT", "books.entries"),),
    ("books", CHECKER): (("UPDATE", "books.releases"),),
}
