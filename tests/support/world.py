"""A small company with a fake target: the smallest world in which a whole use case can run.

Alice (engineer) asks; Bob and Carol (in `group:dba`) approve; Olga owns `pg-prod`; Root administers.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

from fakes.connector import FakeConnector
from fakes.store import FakeStore
from lapse.control.context import Control
from lapse.control.policies import activate_policy, activate_proposal, propose_policy
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.notices import Notice
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, Resource
from lapse.domain.targets import Target
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.parts import Parts
from lapse.policy.effects import Effects
from lapse.ports import Page, Store, TicketSource
from support.clock import HandClock

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    kinds: [person, service, agent]
    purpose: looking into orders
    max_duration: 4h
    max_total: 8h
    approvals:
      - from: [group:dba]
  - name: writers
    entitlements: [pg-prod/writer]
    to: [anyone]
    max_duration: 1h
    approvals:
      - name: first
        from: [group:dba]
      - name: second
        from: [owner]
  - name: metrics
    entitlements: [pg-prod/metrics]
    to: [anyone]
    max_duration: 30m
    auto_approve: true
"""


def _person(name: str, **facts: object) -> Principal:
    return Principal(name=name, email=f"{name}@example.com", accounts=(_account(name),), **facts)


def _account(name: str) -> Account:
    return Account(resource="pg-prod", login=f"{name}_login")


def _entitlement(role: str) -> Entitlement:
    return Entitlement(resource="pg-prod", role=role, native={"role": f"app_{role}", "mode": "membership"})


CATALOG = Catalog(
    principals={
        p.name: p
        for p in (
            *(_person(name) for name in ("alice", "bob", "carol", "dave", "olga", "root", "root2")),
            _person("alice-admin", alias_of="alice"),
            _person("bot", kind=PrincipalKind.AGENT, sponsor="bob"),
            _person("gone", active=False),
        )
    },
    groups={"dba": Group(name="dba", members=("bob", "carol", "alice-admin", "gone"))},
    resources={
        "pg-prod": Resource(
            name="pg-prod",
            connector="postgresql",
            owner="olga",
            tags={"env": "prod"},
            entitlements=tuple(_entitlement(role) for role in ("reader", "writer", "metrics")),
        )
    },
)

PEOPLE = frozenset({Scope.REQUEST, Scope.APPROVE, Scope.REVIEW})


class World:
    """Store, target, clock, use cases and enforcer, wired together."""

    def __init__(self, store: Store | None = None) -> None:
        self.clock = HandClock()
        self.store: Store = store or FakeStore()
        self.target = FakeConnector(clock=self.clock)
        self.troubles: list[tuple[str, str]] = []
        self.steps: list[str] = []
        self._ids = itertools.count(1)
        self.parts = Parts(
            store=self.store,
            clock=self.clock,
            connector=lambda _resource: self.target,
            new_id=self.new_id,
            on_step=self.steps.append,
            on_trouble=lambda subject, text: self.troubles.append((subject, text)),
        )
        self.enforcer = Enforcer(self.parts)
        self.control = Control(
            store=self.store,
            clock=self.clock,
            connector=lambda _resource: self.target,
            new_id=self.new_id,
            wake=self.enforcer.wake,
        )

    @classmethod
    async def create(cls, store: Store | None = None, policy: str = POLICY, catalog: Catalog = CATALOG) -> World:
        world = cls(store)
        target = Target(
            resource="pg-prod", connector="postgresql", dsn_ref="env:X", added_at=world.clock.now(), added_by="root"
        )

        async def set_up(tx):
            await tx.replace_catalog(catalog)
            await tx.put_target(target)

        await world.store.write(set_up)
        await activate_policy(world.control, world.admin(), {"policy.yaml": policy})
        return world

    @property
    def notices(self) -> list[Notice]:
        """What was posted, in order (on the fake store)."""
        return [posting.notice for posting in self.store.tables["notice"].values()]

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):06d}"

    def use_tickets(self, tickets: TicketSource) -> None:
        self.control = replace(self.control, tickets=tickets)

    def actor(self, name: str) -> Actor:
        return Actor(name=name, scopes=PEOPLE)

    def admin(self, name: str = "root") -> Actor:
        return Actor(name=name, scopes=frozenset({Scope.ADMIN, Scope.AUDIT}))

    async def ask(self, who: str = "alice", what: str = "pg-prod/reader", hours: float = 2, **more: object):
        wanted = NewRequest(
            entitlement=what, duration=timedelta(hours=hours), justification="incident 4711 in billing", **more
        )
        return await create_request(self.control, self.actor(who), wanted)

    async def change_catalog(self, **changes: object) -> None:
        catalog = await self.read(lambda r: r.catalog())
        await self.store.write(lambda tx: tx.replace_catalog(replace(catalog, **changes)))

    async def propose(self, policy: str, who: str = "root", effects: Effects | None = None):
        base = await self.read(lambda r: r.active_policy())
        files = {"policy.yaml": policy}
        return await propose_policy(
            self.control, self.admin(who), files, "a rule changed", base=base.version, effects=effects or Effects()
        )

    async def change_policy(self, policy: str) -> None:
        proposal = await self.propose(policy)
        await activate_proposal(self.control, self.admin("root2"), proposal.id, accept_unknown="a test")

    async def read(self, work):
        return await self.store.read(work)

    async def grants(self, **filters: object):
        return await self.read(lambda r: r.grants(Page(newest_first=False), **filters))

    async def grant(self, grant_id: str):
        return await self.read(lambda r: r.grant(grant_id))

    async def grant_of(self, request):
        (grant,) = await self.grants(request_id=request.id)
        return grant
