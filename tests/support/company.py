"""A whole lapse without its edges: use cases and enforcer on a real store, protecting real PostgreSQL servers.

Alice and Bob have logins on every target; Carol and Dan (in `group:dba`) approve; Olga owns everything; Root
administers. Every target has `reader` and `writer` (given to existing logins) and `reader-login` and `writer-login` (a
login of its own for each grant). Time passes by hand, and begins now, since the servers have a clock of their own.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from lapse.connectors.postgresql import Limits, PostgresConnector
from lapse.control.context import Control
from lapse.control.decisions import approve
from lapse.control.policies import activate_policy
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request, extend_grant
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.principals import Account, Group, Principal
from lapse.domain.resources import Entitlement, OnDrift, Resource
from lapse.domain.targets import Target
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.parts import Parts
from lapse.ledger.canonical import decode
from lapse.ports import Page
from support.clock import HandClock

HOUR = timedelta(hours=1)
QUICK = Limits(connect=2, statement=5, lock=2, dying_session=3, call=8, observe=20)
ALL = Page(limit=10_000, newest_first=False)
POLICY = """
version: 1
offers:
  - name: everything
    entitlements: ["*/*"]
    to: [anyone]
    max_duration: 8h
    max_total: 24h
    approvals:
      - from: [group:dba]
"""


def person(name, **logins):
    accounts = tuple(Account(resource=resource, login=login) for resource, login in logins.items())
    return Principal(name=name, accounts=accounts)


def resource_of(name, target, on_drift=OnDrift.REPORT):
    natives = {
        "reader": {"role": target.role("reader"), "mode": "membership"},
        "writer": {"role": target.role("writer"), "mode": "membership"},
        "reader-login": {"role": target.role("reader"), "mode": "ephemeral"},
        "writer-login": {
            "role": target.role("writer"),
            "mode": "ephemeral",
            "reassign_to": target.role("owner"),
        },
    }
    entitlements = tuple(Entitlement(resource=name, role=role, native=native) for role, native in natives.items())
    return Resource(name=name, connector="postgresql", owner="olga", on_drift=on_drift, entitlements=entitlements)


def catalog_for(targets, on_drift=OnDrift.REPORT):
    people = [
        *(person(who, **{r: t.role(who) for r, t in targets.items()}) for who in ("alice", "bob")),
        *(person(who) for who in ("carol", "dan", "olga", "root")),
    ]
    return Catalog(
        principals={one.name: one for one in people},
        groups={"dba": Group(name="dba", members=("carol", "dan"))},
        resources={name: resource_of(name, target, on_drift) for name, target in targets.items()},
    )


class Company:
    """See the module. `targets` are by resource; `dsns` overrides how lapse reaches one."""

    def __init__(self, store, targets, dsns=None, prefix=""):
        self.store, self.targets = store, targets
        self.clock = HandClock(datetime.now(UTC))
        self.troubles = []
        self._ids, self._prefix = itertools.count(1), prefix
        reached = {name: target.lapse_dsn for name, target in targets.items()} | (dsns or {})
        self.connectors = {
            name: PostgresConnector(name, dsn, clock=self.clock, limits=QUICK) for name, dsn in reached.items()
        }
        self.parts = Parts(
            store=store,
            clock=self.clock,
            connector=self.connectors.__getitem__,
            new_id=self.new_id,
            on_trouble=lambda subject, text: self.troubles.append((subject, text)),
        )
        self.enforcer = Enforcer(self.parts)
        self.control = Control(
            store=store,
            clock=self.clock,
            connector=self.connectors.__getitem__,
            new_id=self.new_id,
            wake=self.enforcer.wake,
        )

    def new_id(self, prefix):
        # Ephemeral logins are named after their grant, and servers are shared by tests.
        return f"{prefix}_{self._prefix}_{next(self._ids):04}"

    def actor(self, name):
        return Actor(name=name, scopes=frozenset({Scope.REQUEST, Scope.APPROVE, Scope.REVIEW}))

    def admin(self):
        return Actor(name="root", scopes=frozenset({Scope.ADMIN, Scope.AUDIT}))

    async def set_up(self, catalog=None):
        catalog = catalog or catalog_for(self.targets)
        now = self.clock.now()

        async def work(tx):
            await tx.replace_catalog(catalog)
            for name in catalog.resources:
                target = Target(resource=name, connector="postgresql", dsn_ref="env:X", added_at=now, added_by="root")
                await tx.put_target(target)

        await self.store.write(work)
        await activate_policy(self.control, self.admin(), {"policy.yaml": POLICY})

    async def close(self):
        for connector in self.connectors.values():
            await connector.close()

    async def ask(self, who="alice", what="pg/reader", length=HOUR, **more):
        wanted = NewRequest(entitlement=what, duration=length, justification="incident 4711 in billing", **more)
        return await create_request(self.control, self.actor(who), wanted)

    async def schedule(self, who="alice", what="pg/reader", length=HOUR, **more):
        """A grant that is approved, and that the enforcer has not seen yet."""
        request = await self.ask(who, what, length, **more)
        await approve(self.control, self.actor("carol"), request.id)
        return await self.grant_of(request)

    async def give(self, who="alice", what="pg/reader", length=HOUR, **more):
        """A grant that is active."""
        scheduled = await self.schedule(who, what, length, **more)
        await self.enforcer.tick()
        return await self.grant(scheduled.id)

    async def prolong(self, grant, by=HOUR):
        """An approved extension, not seen by the enforcer yet."""
        request = await extend_grant(self.control, self.actor(grant.beneficiary), grant.id, by, "it takes longer")
        await approve(self.control, self.actor("carol"), request.id)
        return await self.grant_of(request)

    async def pass_time(self, by=HOUR):
        """Time passes, and the enforcer does what is due then."""
        await self.clock.advance(by)
        await self.enforcer.tick()

    async def grant(self, grant_id):
        return await self.store.read(lambda reader: reader.grant(grant_id))

    async def grant_of(self, request):
        (grant,) = await self.store.read(lambda reader: reader.grants(ALL, request_id=request.id))
        return grant

    async def entries(self, subject=None):
        """The ledger entries that are recorded and not sequenced yet, in order."""
        recorded = [decode(body) for _, body in await self.store.ledger.pending(10_000)]
        return [entry for entry in recorded if subject in {None, entry.subject}]


@asynccontextmanager
async def company_on(store, targets, dsns=None, catalog=None):
    """A company that is set up, and whose connections are closed at the end."""
    prefix = next((target.prefix for target in targets.values()), "x")
    made = Company(store, targets, dsns, prefix)
    try:
        await made.set_up(catalog)
        yield made
    finally:
        await made.close()
