"""Any history of requests, bundles, repetitions, emergencies, locks, leavers, faults and crashes keeps its promises.

A state machine does what people, clocks and broken targets do, in any order, and checks after every step what must
always hold. What the target holds is checked against the grants whenever the enforcer could do its work unhindered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fakes.connector import Fault
from lapse.control import catalogs
from lapse.control.aftermath import judge
from lapse.control.decisions import approve, deny
from lapse.control.grants import release, revoke
from lapse.control.locks import lock, unlock
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_bundle, expire_requests, extend_grant
from lapse.domain.aftermath import Judgement
from lapse.domain.errors import InvalidInput, NotFound, Refused, Unavailable
from lapse.domain.grants import ENDING, GRANT_LIFE, LIVE, GrantState
from lapse.domain.locks import LockKind, covering_lock
from lapse.domain.recurrence import occurrences
from lapse.domain.requests import REQUEST_LIFE, Recurrence, RequestState
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.reconcile import reconcile_resource
from lapse.policy.frequency import joined
from lapse.ports import Page
from support.world import CATALOG, POLICY, World

WITH_EMERGENCIES = (
    POLICY
    + """
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    break_glass: {review_within: 2h, reviewers: [group:dba]}
"""
)
CAPS = {"reader": timedelta(hours=8), "writer": timedelta(hours=1), "metrics": timedelta(minutes=30)}
PEOPLE = ["alice", "alice-admin", "bob", "carol", "dave", "olga"]
ROLES = ["reader", "writer", "metrics"]
LOCKS = [
    (LockKind.PRINCIPAL, "alice"),
    (LockKind.PRINCIPAL, "alice-admin"),
    (LockKind.PRINCIPAL, "bob"),
    (LockKind.ENTITLEMENT, "pg-prod/reader"),
    (LockKind.RESOURCE, "pg-prod"),
    (LockKind.EVERYTHING, ""),
]
WHICH = st.integers(0, 9)
ALL = Page(limit=10_000, newest_first=False)
CALLS = ["look", "apply", "remove"]
FAULTS = [Fault.UNREACHABLE, Fault.NOT_APPLIED, Fault.APPLIED, Fault.NONSENSE]
WORKS = 60
"""Ticks in which an enforcer whose target works must be done with everything that is due."""


class Killed(BaseException):
    """The process of the enforcer is gone, in the middle of a step."""


class AnyHistory(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = self.do(World.create(policy=WITH_EMERGENCIES))
        self.standing = set()
        self.deadlines, self.over = {}, {}
        self.everything_was_locked, self.asked_and_approved = False, (0, 0)

    def do(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, 5))

    def maybe(self, work):
        """The result of a use case, or None where lapse says no."""
        with contextlib.suppress(Refused, InvalidInput, NotFound, Unavailable):
            return self.do(work)
        return None

    def teardown(self):
        self.loop.close()

    # what people do

    @initialize(held=st.sets(st.tuples(st.sampled_from(["alice", "dave"]), st.sampled_from(ROLES)), max_size=2))
    def some_hold_access_already(self, held):
        for who, role in held:
            self.standing.add((f"{who}_login", f"app_{role}"))
            self.world.target.target.grant(f"{who}_login", f"app_{role}")
        self.do(reconcile_resource(self.world.parts, "pg-prod"))

    @rule(
        who=st.sampled_from(PEOPLE),
        role=st.sampled_from(ROLES),
        minutes=st.sampled_from([1, 20, 30, 60, 240, 300]),
        wait=st.sampled_from([None, None, 5, 90]),
        agent=st.booleans(),
    )
    def somebody_asks(self, who, role, minutes, wait, agent):
        self._ask(who, role, minutes, wait, agent=agent)

    @rule(who=st.sampled_from(["alice", "dave", "bob"]), role=st.sampled_from(ROLES), minutes=st.integers(1, 30))
    def somebody_gets_access(self, who, role, minutes):
        made = self._ask(who, role, minutes, None, agent=False)
        if made is not None:
            self._everybody_approves(made)
            self.do(self.world.enforcer.tick())

    @rule(
        who=st.sampled_from(["alice", "dave", "bob"]),
        roles=st.lists(st.sampled_from(ROLES), min_size=2, max_size=3, unique=True),
        minutes=st.sampled_from([1, 20, 30, 60]),
    )
    def somebody_asks_for_several(self, who, roles, minutes):
        wanted = [
            NewRequest(entitlement=f"pg-prod/{role}", duration=timedelta(minutes=minutes), justification="all of it")
            for role in roles
        ]
        self.maybe(create_bundle(self.world.control, self.world.actor(who), wanted))

    @rule(who=st.sampled_from(PEOPLE), hour=st.integers(0, 23), days=st.integers(1, 4), approved=st.booleans())
    def somebody_asks_for_every_day(self, who, hour, days, approved):
        until = self.world.clock.now() + timedelta(days=days)
        repeats = Recurrence(days=tuple(range(7)), at_minute=60 * hour, timezone="Europe/Berlin", until=until)
        made = self.maybe(self.world.ask(who, "pg-prod/reader", 1, repeats=repeats))
        if made is not None and approved:
            self._everybody_approves(made.id)

    @rule(who=st.sampled_from(["alice", "alice-admin", "dave"]), minutes=st.sampled_from([10, 60]))
    def somebody_breaks_the_glass(self, who, minutes):
        overdue = self._overdue(who)
        made = self.maybe(self.world.ask(who, "pg-prod/writer", minutes / 60, break_glass=True))
        if made is not None and overdue:
            assert not made.terms.break_glass

    @precondition(lambda self: self._aftermaths())
    @rule(number=WHICH, who=st.sampled_from(PEOPLE))
    def somebody_looks_at_an_emergency(self, number, who):
        due = self._pick(self._aftermaths(), number)
        self.maybe(judge(self.world.control, self.world.actor(who), due, Judgement.JUSTIFIED, "saw the incident"))

    @precondition(lambda self: self._pending())
    @rule(number=WHICH, who=st.sampled_from(PEOPLE))
    def somebody_takes_one_out(self, number, who):
        request = self._pick(self._pending(), number)
        self.maybe(cancel_request(self.world.control, self.world.actor(who), request, alone=True))

    @precondition(lambda self: self._pending())
    @rule(number=WHICH, who=st.sampled_from([*PEOPLE, "bot", "gone"]))
    def somebody_approves(self, number, who):
        self.maybe(approve(self.world.control, self.world.actor(who), self._pick(self._pending(), number)))

    @precondition(lambda self: self._pending())
    @rule(number=WHICH)
    def everybody_approves(self, number):
        self._everybody_approves(self._pick(self._pending(), number))

    @precondition(lambda self: self._requests())
    @rule(number=WHICH, who=st.sampled_from(PEOPLE), how=st.sampled_from([deny, cancel_request]))
    def somebody_denies_or_cancels(self, number, who, how):
        request = self._pick(self._requests(), number)
        self.maybe(how(self.world.control, self.world.actor(who), request, "not today"))

    @precondition(lambda self: self._live())
    @rule(number=WHICH, minutes=st.sampled_from([1, 10, 60, 240, 400]), approved=st.booleans())
    def the_holder_extends(self, number, minutes, approved):
        held = self.do(self.world.grant(self._pick(self._live(), number)))
        actor = self.world.actor("bob" if held.beneficiary == "bot" else held.beneficiary)
        longer = extend_grant(self.world.control, actor, held.id, timedelta(minutes=minutes), "not done yet, sorry")
        made = self.maybe(longer)
        if made is not None and approved:
            self._everybody_approves(made.id)

    @precondition(lambda self: self._grants())
    @rule(number=WHICH, who=st.sampled_from(PEOPLE))
    def somebody_releases(self, number, who):
        self.maybe(release(self.world.control, self.world.actor(who), self._pick(self._grants(), number)))

    @precondition(lambda self: self._grants())
    @rule(number=WHICH)
    def the_owner_revokes(self, number):
        grant = self._pick(self._grants(), number)
        self.maybe(revoke(self.world.control, self.world.actor("olga"), grant, "incident over"))

    @precondition(lambda self: len(self._locks()) < 2)
    @rule(what=st.sampled_from(LOCKS))
    def root_locks(self, what):
        self.maybe(lock(self.world.control, self.world.admin(), *what, "laptop stolen"))

    @precondition(lambda self: self._locks())
    @rule(number=WHICH, who=st.sampled_from(["root", "root2", "root2"]))
    def somebody_unlocks(self, number, who):
        gone = self.maybe(unlock(self.world.control, self.world.admin(who), self._pick(self._locks(), number)))
        assert who != "root" or gone is None

    @rule(who=st.sampled_from(["alice", "bob", "dave"]), active=st.sampled_from([True, True, False]))
    def somebody_leaves_or_returns(self, who, active):
        current = self.do(self.world.read(lambda r: r.catalog()))
        person = replace(CATALOG.principals[who], active=active)
        wanted = replace(current, principals={**current.principals, who: person})
        self.maybe(catalogs.apply(self.world.control, self.world.admin(), wanted))

    @rule(who=st.sampled_from(["alice", "dave"]), role=st.sampled_from(ROLES))
    def somebody_gives_access_by_hand(self, who, role):
        """Where no grant is at work. It is nobody's but theirs, so it stays until a hand takes it away."""
        pair = (f"{who}_login", f"app_{role}")
        if pair not in {(g.account, f"app_{g.role}") for g in self._grants() if g.state in LIVE | ENDING}:
            self.standing.add(pair)
            self.world.target.target.grant(*pair)

    @precondition(lambda self: self.standing)
    @rule(number=WHICH)
    def somebody_takes_standing_access_away(self, number):
        pair = sorted(self.standing)[number % len(self.standing)]
        self.standing.remove(pair)
        self.world.target.target.revoke(*pair)

    # what machines do

    @rule(minutes=st.sampled_from([1, 5, 15, 30, 60, 300]))
    def time_passes(self, minutes):
        self.do(self.world.clock.advance(timedelta(minutes=minutes)))
        self.do(expire_requests(self.world.control))

    @rule(
        fault=st.sampled_from(FAULTS),
        on=st.sampled_from(CALLS),
        times=st.integers(1, 3),
    )
    def the_target_misbehaves(self, fault, on, times):
        self.world.target.inject(fault, on=on, times=times)

    @rule()
    def the_enforcer_ticks(self):
        self.do(self.world.enforcer.tick())

    @rule(step=st.sampled_from(["activate.looked", "activate.begun", "activate.applied", "end.decided", "end.removed"]))
    def the_enforcer_is_killed(self, step):
        """In the middle of its work; the next one knows nothing but what is on record."""
        world = self.world

        def die(name):
            if name == step:
                raise Killed

        dying = Enforcer(replace(world.parts, on_step=die))
        self.do(_ignoring_death(dying))
        world.enforcer = Enforcer(world.parts)
        world.control = replace(world.control, wake=world.enforcer.wake)

    @rule()
    def the_target_is_read(self):
        self._heal_and_settle()
        found = self.do(reconcile_resource(self.world.parts, "pg-prod"))
        assert all(grant.held_before for grant in found.plan.missing)
        assert {(d.account, d.role) for d in found.plan.found} == self._unexplained()

    @rule()
    def everything_works_again(self):
        self._heal_and_settle()
        grants, now = self._grants(), self.world.clock.now()
        live = [g for g in grants if g.state is GrantState.ACTIVE]
        assert not [g for g in grants if g.state in ENDING | {GrantState.ACTIVATING}]
        assert all(g.ends_at > now for g in live)
        wanted = self.standing | {(g.account, f"app_{g.role}") for g in live if not g.held_before}
        assert self.world.target.target.memberships == wanted
        self._nothing_lives_under_a_lock(live)
        due = [g for g in grants if g.state is GrantState.SCHEDULED and g.starts_at <= now]
        assert all(self._locked(grant) and grant.suspended_by for grant in due if grant.extends is None)
        assert all(g.lapses_at > now for g in due if g.extends is None)

    # what must always hold

    @invariant()
    def a_deadline_is_set_once(self):
        for grant in self._grants():
            if grant.ends_at is not None:
                assert self.deadlines.setdefault(grant.id, grant.ends_at) == grant.ends_at
            assert (grant.ends_at is not None) or grant.state in {GrantState.SCHEDULED, GrantState.ENDED}

    @invariant()
    def what_is_over_stays_over(self):
        for thing in [*self._grants(), *self._requests()]:
            if thing.state in GRANT_LIFE.terminal | REQUEST_LIFE.terminal:
                assert self.over.setdefault(thing.id, thing) == thing
            else:
                assert thing.id not in self.over

    @invariant()
    def what_is_approved_is_granted_once_for_each_time_and_bundles_wholly_or_not_at_all(self):
        requests, granted = self._requests(), Counter(grant.request_id for grant in self._grants())
        lacking = {r.bundle for r in requests if r.bundle and r.state is not RequestState.APPROVED}
        for request in requests:
            complete = request.state is RequestState.APPROVED and request.bundle not in lacking
            assert granted[request.id] == (self._times(request) if complete else 0)

    @invariant()
    def nobody_holds_anything_longer_at_a_stretch_than_the_policy_caps(self):
        """Whatever sequence of requests, extensions, bundles, repetitions and late starts led there."""
        stretches = {}
        for grant in self._grants():
            if grant.activated_at is not None or grant.state not in GRANT_LIFE.terminal:
                person = CATALOG.root_of(grant.beneficiary)
                stretches.setdefault((person, grant.role), []).append(_promised(grant))
        for (_, role), times in stretches.items():
            assert all(end - start <= CAPS[role] for start, end in joined(times))

    @invariant()
    def each_emergency_has_its_review(self):
        used = [request.id for request in self._requests() if request.terms.break_glass]
        assert sorted(used) == sorted(due.request_id for due in self._aftermaths(open_only=False))

    @invariant()
    def nothing_ends_later_than_was_agreed(self):
        for grant in self._grants():
            assert grant.ends_by is None or grant.ends_at is None or grant.ends_at <= grant.ends_by

    @invariant()
    def nothing_is_asked_or_approved_under_a_lock(self):
        """The numbers cannot grow while everything is locked."""
        now = (len(self._requests()), sum(r.state is RequestState.APPROVED for r in self._requests()))
        if self.everything_was_locked:
            assert now == self.asked_and_approved
        self.everything_was_locked = any(one.kind is LockKind.EVERYTHING for one in self._locks())
        self.asked_and_approved = now

    @invariant()
    def every_change_of_state_is_on_record_in_order(self):
        for thing, life in [(g, GRANT_LIFE) for g in self._grants()] + [(r, REQUEST_LIFE) for r in self._requests()]:
            told = _states_told(self.world.store.recorded, thing.id)
            assert told[0] in life.initial
            assert told[-1] == thing.state
            steps = {(before, after) for (before, _), after in life.table.items()}
            assert set(pairwise(told)) <= steps

    @invariant()
    def nobody_decides_for_themselves(self):
        for request in self._requests():
            interested = CATALOG.humans_behind(request.requester) | CATALOG.humans_behind(request.beneficiary)
            votes = self.do(self.world.read(lambda r, n=request.id: r.decisions(n)))
            persons = [vote.person for vote in votes]
            assert not interested & set(persons)
            assert len(persons) == len(set(persons))

    @invariant()
    def an_extension_ends_with_what_it_was_given(self):
        grants = {grant.id: grant for grant in self._grants()}
        for grant in grants.values():
            if grant.extends and grant.ends_at is not None:
                assert grant.ends_at == grants[grant.extends].ends_at + grant.duration

    # helpers

    def _heal_and_settle(self):
        """The target works again; the enforcer gets as many turns as it wants, after every pause it asked for."""
        self.world.target.heal()
        self.do(self.world.clock.advance(timedelta(minutes=2)))
        for _ in range(WORKS):
            if not self.do(self.world.enforcer.tick()):
                return
        pytest.fail("the enforcer never finishes")

    def _unexplained(self):
        given = {(g.account, f"app_{g.role}") for g in self._live() if not g.held_before}
        return self.standing - given

    def _nothing_lives_under_a_lock(self, grants):
        catalog, locks = self.do(self.world.read(_catalog_and_locks))
        for grant in grants:
            assert catalog.may_hold(grant.beneficiary)
            assert covering_lock(locks, catalog, [grant.beneficiary], grant.entitlement) is None

    def _locked(self, grant):
        catalog, locks = self.do(self.world.read(_catalog_and_locks))
        return covering_lock(locks, catalog, [grant.beneficiary], grant.entitlement)

    def _times(self, request):
        """How many grants it makes: one, or one for each time that was still to come when its bundle was complete."""
        if request.repeats is None:
            return 1
        return len(occurrences(request.repeats, max(request.starts_at or request.closed_at, request.closed_at)))

    def _aftermaths(self, *, open_only=True):
        return self.do(self.world.read(lambda r: r.aftermaths(open_only=open_only)))

    def _overdue(self, who):
        catalog, now = self.do(self.world.read(lambda r: r.catalog())), self.world.clock.now()
        return [one for one in self._aftermaths() if one.beneficiary in catalog.names_of(who) and one.overdue(now)]

    def _grants(self):
        return self.do(self.world.read(lambda r: r.grants(ALL)))

    def _requests(self):
        return self.do(self.world.read(lambda r: r.requests(ALL)))

    def _pending(self):
        return [request for request in self._requests() if request.state == "pending"]

    def _live(self):
        return [grant for grant in self._grants() if grant.state in LIVE]

    def _locks(self):
        return self.do(self.world.read(lambda r: r.locks()))

    @staticmethod
    def _pick(things, number):
        return things[number % len(things)].id

    def _ask(self, who, role, minutes, wait, *, agent):
        more = {"beneficiary": "bot"} if agent and who == "bob" else {}
        if wait is not None:
            more["starts_at"] = self.world.clock.now() + timedelta(minutes=wait)
        made = self.maybe(self.world.ask(who, f"pg-prod/{role}", minutes / 60, **more))
        return None if made is None else made.id

    def _everybody_approves(self, request):
        for who in ("bob", "carol", "olga"):
            self.maybe(approve(self.world.control, self.world.actor(who), request))


def _promised(grant):
    """From when to when it was or will be held, if every target does what it is told."""
    ends = grant.ends_at or grant.lapses_at
    begins = grant.activated_at or max(grant.starts_at, ends - grant.duration)
    return begins, max(begins, min(ends, grant.ended_at or ends))


async def _catalog_and_locks(reader):
    return await reader.catalog(), await reader.locks()


async def _ignoring_death(enforcer):
    """A tick in which the enforcer may die. What it had begun and not finished never happens."""
    with contextlib.suppress(Killed):
        await enforcer.tick()


def _states_told(entries, subject):
    """The states that the ledger tells of, in order."""
    about = [e for e in entries if e.subject == subject and e.after and "state" in e.after]
    for earlier, later in pairwise(about):
        assert later.before["state"] == earlier.after["state"]
    return [entry.after["state"] for entry in about]


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
