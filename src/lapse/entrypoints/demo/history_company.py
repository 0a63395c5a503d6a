"""The company whose year is made up: people, resources, policy. Used by `history` alone."""

from __future__ import annotations

from datetime import timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, Resource

_FIRST_NAMES = (
    "ada alan anna ben carla chen dana david elif emma felix fred grace hana hugo ines ivan jana jonas judy "
    "kemal lara leo lin luca maja max mei nils nora omar paul pia raj rosa sam tara uma vera yusuf"
)
PEOPLE = tuple(_FIRST_NAMES.split())
DBAS = ("ada", "ben", "chen", "dana", "elif")
LEADS = ("grace", "hugo", "ines", "judy")
LEAVERS = {"nils": 120, "omar": 200, "pia": 281}
"""Who leaves, and on which day of the year."""

OWNERS = {
    "pg-orders": "grace",
    "pg-billing": "hugo",
    "pg-analytics": "omar",
    "pg-crm": "ines",
    "pg-search": "judy",
    "pg-legacy": "",
}
ROLES = ("reader", "writer", "admin")

POLICY = """\
version: 1
offers:
  - name: read-data
    entitlements: ["pg-orders/reader", "pg-billing/reader", "pg-analytics/reader", "pg-crm/reader", "pg-search/reader"]
    to: [anyone]
    max_duration: 8h
    max_total: 24h
    approvals:
      - {name: dba, from: ["group:dba"]}
  - name: change-data
    entitlements: ["pg-orders/writer", "pg-billing/writer", "pg-analytics/writer", "pg-crm/writer", "pg-search/writer"]
    to: [anyone]
    max_duration: 4h
    max_total: 8h
    approvals:
      - {name: dba, from: ["group:dba"]}
  - name: administer
    entitlements: ["pg-orders/admin", "pg-billing/admin", "pg-analytics/admin", "pg-crm/admin"]
    to: [anyone]
    max_duration: 2h
    max_total: 4h
    approvals:
      - {name: dba, from: ["group:dba"]}
      - {name: lead, from: ["group:leads"]}
  - name: look-at-orders
    entitlements: ["pg-orders/reader"]
    to: [group:leads]
    max_duration: 4h
    approvals:
      - {name: dba, from: ["group:dba"], quorum: 2}
  - name: long-repair
    entitlements: ["pg-search/writer"]
    to: [group:leads]
    max_duration: 6h
    max_total: 12h
    approvals:
      - {name: leads, from: ["group:leads"], quorum: 4}
  - name: nightly-load
    entitlements: ["pg-analytics/admin"]
    to: [svc-etl]
    max_duration: 1h
    auto_approve: true
  - name: search-on-call
    entitlements: ["pg-search/admin"]
    to: [anyone]
    max_duration: 72h
    max_total: 72h
    approvals:
      - {name: dba, from: ["group:dba"]}
"""
"""Some of the planted problems: `search-on-call` gives three days at once, `look-at-orders` is never chosen,
`long-repair` takes more leads than there are besides the one who asks, and on `nightly-load` nobody decides."""

UNBOUNDED_OFFER = "search-on-call pg-search/admin"
SHADOWED_OFFER = "offer look-at-orders"
SHORT_OF_APPROVERS = "long-repair pg-search/writer"
UNATTENDED = "pg-analytics/admin"
WILDCARD = ("pg-crm", "crm_admin")
UNGOVERNED = "pg-legacy"
OWNER_GONE = "pg-analytics"
SECOND_IDENTITY = ("ben", "ben-adm")


def native_role(resource: str, role: str) -> str:
    """What an entitlement is called on its target."""
    return f"{resource.removeprefix('pg-')}_{role}"


def company() -> Catalog:
    """Everybody and everything as of the first of January, when nobody has left."""
    people = {name: _person(name) for name in PEOPLE}
    alias_of, alias = SECOND_IDENTITY
    people[alias] = Principal(name=alias, alias_of=alias_of, display_name=f"{alias_of.title()} (admin)")
    people["svc-etl"] = Principal(
        name="svc-etl",
        kind=PrincipalKind.SERVICE,
        owner="lin",
        accounts=(Account(resource="pg-analytics", login="etl"),),
    )
    groups = {
        "dba": Group(name="dba", members=(*DBAS, alias)),
        "leads": Group(name="leads", members=LEADS),
    }
    return Catalog(principals=people, groups=groups, resources={name: _resource(name) for name in OWNERS})


def longest(role: str) -> timedelta:
    """The longest grant that the policy offers for a role."""
    return {"reader": timedelta(hours=8), "writer": timedelta(hours=4), "admin": timedelta(hours=2)}[role]


def _person(name: str) -> Principal:
    departments = ("platform", "data", "payments", "support")
    return Principal(
        name=name,
        display_name=name.title(),
        email=f"{name}@example.com",
        department=departments[PEOPLE.index(name) % len(departments)],
        title="engineer",
        manager=LEADS[PEOPLE.index(name) % len(LEADS)],
        accounts=tuple(Account(resource=resource, login=name) for resource in OWNERS),
    )


def _resource(name: str) -> Resource:
    roles = tuple(
        Entitlement(resource=name, role=role, native={"role": native_role(name, role), "mode": "membership"})
        for role in ROLES
    )
    return Resource(
        name=name,
        connector="postgresql",
        title=name.removeprefix("pg-").title(),
        owner=OWNERS[name],
        tags={"env": "prod"},
        entitlements=roles,
    )
