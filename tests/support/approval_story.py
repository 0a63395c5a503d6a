"""Random histories of requests, votes, offers, delegations, shifts, leavers and waiting, judged while they are told.

Two judges: the slow count (`support.slow_approval`) says whether each vote that was taken counted, and whether what was
approved had its votes; and from the ledger alone the same decisions follow.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fakes.rotas import FakeRotas
from fakes.store import FakeStore
from lapse.control.catalogs import apply
from lapse.control.counters import Less, accept_less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.delegations import NewDelegation, create_delegation, end_delegation
from lapse.control.reminders import remind
from lapse.control.requests import expire_requests
from lapse.domain.catalog import Catalog
from lapse.domain.errors import LapseError
from lapse.domain.principals import Group
from lapse.domain.requests import RequestState
from lapse.ports import Page
from lapse.review.replay import Replay
from support.clock import START
from support.slow_approval import slow_humans, slow_tally
from support.world import CATALOG, World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PEOPLE = ("alice", "bob", "carol", "dave", "olga", "root", "alice-admin", "bot")
VOTERS = ("bob", "carol", "dave", "olga")
READER = "pg-prod/reader"
ALL = Page(limit=10_000, newest_first=False)
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    kinds: [person, agent]
    purpose: looking into orders
    max_duration: 4h
    max_total: 8h
    pending_timeout: 3h
    approvals:
      - {name: team, from: [group:dba, "oncall:db"], quorum: 2, remind_after: 10m, escalate: [{after: 30m, to: dave}]}
      - {name: own, from: owner, except: "oncall:web", escalate: [{after: 20m, to: group:ops}]}
  - name: writers
    entitlements: [pg-prod/writer]
    to: [anyone]
    max_duration: 4h
    max_total: 8h
    approvals_in: parallel
    approvals:
      - {name: everybody, from: group:ops, quorum: all, escalate: [{after: 30m, to: root}]}
      - {name: boss, from: [manager, owner]}
"""
OPS = Group(name="ops", members=("bob", "carol", "dave", "alice"))
WORLD = replace(
    CATALOG,
    principals={**CATALOG.principals, "alice": replace(CATALOG.principals["alice"], manager="carol")},
    groups={**CATALOG.groups, "ops": OPS},
)
WEIGHTS = {
    "ask": 3, "vote": 24, "no": 1, "offer": 3, "accept": 3, "delegate": 6, "end": 1, "wait": 4, "leave": 1, "return": 2,
    "regroup": 1, "mend": 1, "outage": 1,
}  # fmt: skip


def steps(chance, count):
    """A random history: mostly votes of those who often may, with everything else in between."""
    makers = {
        "ask": lambda: (chance.choice(PEOPLE), chance.choice(("reader", "writer"))),
        "vote": lambda: (chance.choice((*VOTERS, *VOTERS, "root")), chance.randrange(9)),
        "no": lambda: (chance.choice(VOTERS), chance.randrange(9)),
        "offer": lambda: (
            chance.choice(VOTERS),
            chance.randrange(9),
            chance.choice(("", READER)),
            chance.random() < 0.7,
        ),
        "accept": lambda: (chance.choice(("", "", "", *PEOPLE)), chance.randrange(9)),
        "delegate": lambda: (
            chance.choice((*VOTERS, *PEOPLE)),
            chance.choice(("root", *PEOPLE)),
            chance.choice((5, 60, 600)),
        ),
        "end": lambda: (chance.randrange(9),),
        "wait": lambda: (chance.choice((1, 10, 20, 40, 120)),),
        "leave": lambda: (chance.choice(VOTERS),),
        "return": lambda: (chance.choice(VOTERS),),
        "regroup": lambda: (chance.choice(("dba", "ops")), tuple(chance.sample(PEOPLE, 4))),
        "mend": lambda: (),
        "outage": lambda: (chance.choice(("db", "web")),),
    }
    names = chance.choices(list(WEIGHTS), weights=list(WEIGHTS.values()), k=count)
    return [("ask", "alice", "reader"), ("ask", "alice", "writer"), *((name, *makers[name]()) for name in names)]


class Story:
    """One world, and what can happen in it. Steps that lapse refuses change nothing."""

    def __init__(self, world):
        self.world, self.catalog = world, WORLD
        self.requests, self.delegations = [], []

    async def take(self, step):
        name, *details = step
        try:
            await getattr(self, f"_{name}")(*details)
        except LapseError:
            return

    async def _ask(self, who, role):
        self.requests.append((await self.world.ask(who, f"pg-prod/{role}", hours=4)).id)

    async def _vote(self, who, which):
        request_id = self._nth(which)
        earlier = {vote.id for vote in await self._votes(request_id)}
        await approve(self.world.control, self.world.actor(who), request_id)
        votes, request = await self._votes(request_id), await self._request(request_id)
        _, met, denied_by, counted = slow_tally(self._as_voted(request), votes, self._known())
        new = [vote for vote in votes if vote.id not in earlier]
        assert {vote.id for vote in new} <= set(counted)
        # Without a new vote it is one that said again what suffices since somebody silent is gone.
        assert new or request.state is RequestState.APPROVED
        assert (request.state is RequestState.APPROVED) == (denied_by is None and None not in met)

    async def _no(self, who, which):
        request_id = self._nth(which)
        await deny(self.world.control, self.world.actor(who), request_id, "not today")
        votes, request = await self._votes(request_id), await self._request(request_id)
        assert slow_tally(self._as_voted(request), votes, self._known())[2] is not None

    async def _offer(self, who, which, entitlement, shorter):
        less = Less(entitlement=entitlement, duration=timedelta(hours=1) if shorter else None, reason="enough")
        await offer_less(self.world.control, self.world.actor(who), self._nth(which), less)

    async def _accept(self, who, which):
        """Somebody accepts what is offered, if anything is: mostly who asked."""
        offered = [one for one in await self.world.read(lambda r: r.requests(ALL)) if one.counter is not None]
        if offered:
            request = offered[which % len(offered)]
            await accept_less(self.world.control, self.world.actor(who or request.requester), request.id)

    async def _delegate(self, who, to, minutes):
        wanted = NewDelegation(delegate=to, ends_at=self.world.clock.now() + minutes * MINUTE, reason="away")
        made = await create_delegation(self.world.control, self.world.actor(who), wanted)
        self.delegations.append(made)

    async def _end(self, which):
        if self.delegations:
            made = self.delegations[which % len(self.delegations)]
            await end_delegation(self.world.control, self.world.actor(made.principal), made.id)

    async def _wait(self, minutes):
        await self.world.clock.advance(minutes * MINUTE)
        await expire_requests(self.world.control)
        await remind(self.world.control)
        assert await remind(self.world.control) == 0

    async def _leave(self, who):
        await self._change_person(who, active=False)

    async def _return(self, who):
        await self._change_person(who, active=True)

    async def _regroup(self, group, members):
        groups = {**self.catalog.groups, group: Group(name=group, members=members)}
        await self._change(replace(self.catalog, groups=groups))

    async def _mend(self):
        await self._change(WORLD)

    async def _outage(self, rota):
        self.world.rotas.down ^= {rota}

    async def _change_person(self, who, *, active):
        changed = replace(self.catalog.principals[who], active=active)
        await self._change(replace(self.catalog, principals={**self.catalog.principals, who: changed}))

    async def _change(self, catalog):
        await apply(self.world.control, self.world.admin(), catalog)
        self.catalog = catalog

    def _nth(self, which):
        return self.requests[which % len(self.requests)] if self.requests else "none"

    def _known(self):
        """The slow count knows one resource, called `pg`."""
        return replace(self.catalog, resources={"pg": self.catalog.resources["pg-prod"]})

    def _as_voted(self, request):
        return replace(request, entitlement=request.entitlement.replace("pg-prod", "pg"))

    async def _votes(self, request_id):
        return await self.world.read(lambda r: r.decisions(request_id))

    async def _request(self, request_id):
        return await self.world.read(lambda r: r.request(request_id))

    async def check(self):
        replay = Replay({p.version: p.files for p in await self.world.read(lambda r: r.policies())})
        for entry in self.world.store.recorded:
            replay.feed(entry)
        requests = await self.world.read(lambda r: r.requests(ALL))
        for found in replay.results([(request.id, str(request.state)) for request in requests]):
            assert (found.outcome, found.differences) == ("same", ())
        for request in requests:
            await self._check_request(request, replay)

    async def _check_request(self, request, replay):
        behind = slow_humans(self.catalog, request.requester) | slow_humans(self.catalog, request.beneficiary)
        votes, sets = await self._votes(request.id), replay.approver_sets(request.id)
        assert not behind & {vote.person for vote in votes}
        assert not any(behind & slow_humans(self.catalog, name) for vote in votes for name in vote.acts_for)
        assert all(vote.person in sets[vote.stage] for vote in votes)
        grants = await self.world.grants(request_id=request.id)
        assert len(grants) == (request.state is RequestState.APPROVED)
        assert all((g.entitlement, g.duration) == (request.entitlement, request.requested_duration) for g in grants)


async def tell(happens):
    world = await World.create(FakeStore(), catalog=Catalog(), policy=POLICY)
    await apply(world.control, world.admin(), WORLD)
    world.rotas = FakeRotas()
    for hour in range(0, 48, 2):
        world.rotas.add("db", START + hour * HOUR, START + (hour + 1) * HOUR, ["dave"])
        world.rotas.add("web", START + (hour + 1) * HOUR, START + (hour + 2) * HOUR, ["olga", "alice-admin"])
    world.control = replace(world.control, rotas=world.rotas)
    story = Story(world)
    for step in happens:
        await story.take(step)
    await story.check()
    return story
