"""Many people at the same instant, on real stores: nothing is lost, nothing doubled, and the ledger tells all of it.

On PostgreSQL people also work through two stores that know nothing of each other, as two servers do.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from lapse.control.catalogs import apply
from lapse.control.counters import Less, accept_less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.delegations import NewDelegation, create_delegation, end_delegation
from lapse.control.grants import release, revoke
from lapse.control.ledger_proofs import verify_stored_ledger
from lapse.control.locks import lock, unlock
from lapse.control.notices import list_notices
from lapse.control.questions import NewRequest
from lapse.control.reminders import remind
from lapse.control.requests import cancel_request, create_bundle, create_request
from lapse.control.sequencer import Sequencer
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Conflict, LapseError, Refused
from lapse.domain.grants import ENDING, GRANT_LIFE, LIVE, EndReason, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.notices import NoticeKind
from lapse.domain.requests import REQUEST_LIFE, RequestState
from lapse.ledger.canonical import decode
from lapse.ports import Page
from lapse.review.replay import Replay
from support.ledgers import KEY, SIGNER
from support.stores import opened
from support.world import CATALOG, POLICY, World

HOUR = timedelta(hours=1)
ALL = Page(limit=10_000, newest_first=False)
TWO_OF_A_KIND = POLICY.replace("- from: [group:dba]", "- from: [group:dba]\n        quorum: 2", 1)


class Rooms:
    """One world, and for each store a control of its own; `rooms[n]` takes them in turn."""

    def __init__(self, world, stores):
        self.world = world
        self.controls = [replace(world.control, store=store) for store in stores]

    def __getitem__(self, number):
        return self.controls[number % len(self.controls)]


@pytest.fixture(params=["sqlite", "postgresql", "two servers"])
async def stores(request, tmp_path):
    kind = request.param if request.param == "sqlite" else "postgresql"
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    async with AsyncExitStack() as stack:
        count = 2 if request.param == "two servers" else 1
        yield [await stack.enter_async_context(opened(kind, tmp_path, url)) for _ in range(count)]


@pytest.fixture
async def rooms(stores):
    return Rooms(await World.create(stores[0]), stores)


async def together(*works):
    """Results and refusals of works that run at the same time."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, LapseError):
            raise result
    return results


async def check_the_record(world):
    """Every request has the grant it should have; the ledger has each change once and in order, and verifies."""
    requests = await world.read(lambda r: r.requests(ALL))
    grants = await world.grants()
    approved = sorted(request.id for request in requests if request.state is RequestState.APPROVED)
    assert sorted(grant.request_id for grant in grants) == approved

    sequencer = Sequencer(world.store.ledger, SIGNER, world.clock)
    placed = await sequencer.run_once()
    verdict = await verify_stored_ledger(world.store.ledger, [KEY])
    assert (verdict.ok, verdict.size) == (True, placed)
    entries = [decode(body) for _, body in await world.store.ledger.entries(0, placed)]
    for thing, life in [(g, GRANT_LIFE) for g in grants] + [(r, REQUEST_LIFE) for r in requests]:
        told = [e for e in entries if e.subject == thing.id and e.after and "state" in e.after]
        assert told[-1].after["state"] == thing.state
        assert told[0].before is None
        for earlier, later in pairwise(told):
            assert later.before["state"] == earlier.after["state"]
            assert (later.before["state"], later.after["state"]) in {(b, a) for (b, _), a in life.table.items()}
    for request in requests:
        votes = await world.read(lambda r, n=request.id: r.decisions(n))
        told = [e for e in entries if e.subject == request.id and e.type.startswith("decision.")]
        assert sorted(e.after["id"] for e in told) == sorted(vote.id for vote in votes)
    return entries


async def active(rooms, who="alice", hours=1):
    world = rooms.world
    request = await world.ask(who, hours=hours)
    await approve(rooms[0], world.actor("carol"), request.id)
    await world.enforcer.tick()
    grant = await world.grant_of(request)
    assert grant.state is GrantState.ACTIVE
    return grant


async def test_two_approvers_at_the_same_instant_both_count(stores):
    rooms = Rooms(await World.create(stores[0], policy=TWO_OF_A_KIND), stores)
    world = rooms.world
    for _ in range(5):
        request = await world.ask()
        results = await together(
            approve(rooms[0], world.actor("bob"), request.id), approve(rooms[1], world.actor("carol"), request.id)
        )
        assert {result.state for result in results} == {RequestState.PENDING, RequestState.APPROVED}
        assert len(await world.read(lambda r, n=request.id: r.decisions(n))) == 2
    await check_the_record(world)


async def test_two_approvers_where_one_is_enough_make_one_grant(rooms):
    world = rooms.world
    for _ in range(5):
        request = await world.ask()
        results = await together(
            *(approve(rooms[n], world.actor(who), request.id) for n, who in enumerate(["bob", "carol", "bob", "carol"]))
        )
        assert len([r for r in results if not isinstance(r, LapseError)]) == 1
        assert all(isinstance(r, Refused) for r in results if isinstance(r, LapseError))
        await world.grant_of(request)
    await check_the_record(world)


@pytest.mark.parametrize("against", ["cancel", "deny"])
async def test_a_yes_and_a_no_at_the_same_instant_have_one_winner(rooms, against):
    world = rooms.world
    for number in range(6):
        request = await world.ask()
        no = (
            cancel_request(rooms[1], world.actor("alice"), request.id)
            if against == "cancel"
            else deny(rooms[1], world.actor("carol"), request.id, "not today")
        )
        works = [approve(rooms[0], world.actor("bob"), request.id), no]
        results = await together(*(works if number % 2 else reversed(works)))
        winner = [result.state for result in results if not isinstance(result, LapseError)]
        assert winner == [(await world.read(lambda r, n=request.id: r.request(n))).state]
        assert len(await world.grants(request_id=request.id)) == (winner == [RequestState.APPROVED])
    await check_the_record(world)


async def test_everybody_takes_the_same_grant_away_at_the_deadline(rooms):
    """Its holder, its owner, an administrator and the clock: one of them is the reason, and it ends once."""
    world = rooms.world
    grant = await active(rooms)
    await world.clock.advance(HOUR)
    await together(
        world.enforcer.tick(),
        *(release(rooms[n], world.actor("alice"), grant.id) for n in range(3)),
        revoke(rooms[1], world.actor("olga"), grant.id, "incident over"),
        lock(rooms[0], world.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen"),
    )
    await world.enforcer.tick()
    ended = await world.grant(grant.id)
    assert ended.state is GrantState.ENDED
    assert not world.target.holds("alice_login", "app_reader")
    entries = await check_the_record(world)
    ends = [e for e in entries if e.subject == grant.id and e.type in {"grant.revoking", "grant.ended"}]
    assert [e.type for e in ends] == ["grant.revoking", "grant.ended"]
    assert ended.end_reason in {EndReason.ELAPSED, EndReason.RELEASED, EndReason.REVOKED, EndReason.LOCKED}


async def test_a_lock_at_the_instant_of_an_approval_leaves_nothing_open(rooms):
    world = rooms.world
    requests = [await world.ask(who) for who in ("alice", "dave", "alice", "dave")]
    await together(
        *(approve(rooms[n], world.actor("bob"), request.id) for n, request in enumerate(requests)),
        lock(rooms[1], world.admin(), LockKind.EVERYTHING, "", "breach"),
    )
    assert not [g for g in await world.grants() if g.state in LIVE]
    assert all(g.suspended_by for g in await world.grants() if g.state is GrantState.SCHEDULED)
    await world.enforcer.tick()
    assert not [g for g in await world.grants() if g.state in ENDING | LIVE]
    assert world.target.target.memberships == set()
    await check_the_record(world)


async def test_a_lock_while_the_enforcer_gives_access_takes_it_back(rooms):
    world = rooms.world
    requests = [await world.ask(who) for who in ("alice", "dave")]
    for request in requests:
        await approve(rooms[0], world.actor("carol"), request.id)
    await together(world.enforcer.tick(), lock(rooms[1], world.admin(), LockKind.RESOURCE, "pg-prod", "breach"))
    await world.enforcer.tick()
    assert all(g.suspended_by or g.end_reason is EndReason.LOCKED for g in await world.grants())
    assert world.target.target.memberships == set()
    await check_the_record(world)


async def test_the_last_two_of_a_bundle_are_approved_at_once_and_it_is_granted_once(rooms):
    world = rooms.world
    for _ in range(5):
        wanted = [
            NewRequest(entitlement=f"pg-prod/{role}", duration=HOUR / 6, justification="incident 4711")
            for role in ("metrics", "reader", "writer")
        ]
        _, reader, writer = await create_bundle(rooms[0], world.actor("alice"), wanted)
        await approve(rooms[0], world.actor("carol"), writer.id)
        await together(
            approve(rooms[0], world.actor("bob"), reader.id), approve(rooms[1], world.actor("olga"), writer.id)
        )
        assert len([g for g in await world.grants() if g.state is GrantState.SCHEDULED]) == 3
        await together(*(release(rooms[n], world.actor("alice"), g.id) for n, g in enumerate(await world.grants())))
    await check_the_record(world)


async def test_one_is_taken_out_as_the_other_is_approved(rooms):
    world = rooms.world
    for _ in range(5):
        wanted = [
            NewRequest(entitlement=f"pg-prod/{role}", duration=HOUR / 6, justification="incident 4711")
            for role in ("reader", "writer")
        ]
        reader, writer = await create_bundle(rooms[0], world.actor("alice"), wanted)
        await together(
            approve(rooms[0], world.actor("bob"), reader.id),
            cancel_request(rooms[1], world.actor("alice"), writer.id, alone=True),
        )
        assert [g.request_id for g in await world.grants() if g.state is GrantState.SCHEDULED] == [reader.id]
        await together(*(release(rooms[n], world.actor("alice"), g.id) for n, g in enumerate(await world.grants())))
    await check_the_record(world)


async def test_a_quota_holds_against_requests_at_the_same_instant(stores):
    limited = f"{POLICY}limits:\n  - {{name: few, quota: {{pending: 3}}}}\n"
    rooms = Rooms(await World.create(stores[0], policy=limited), stores)
    world = rooms.world
    wanted = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="incident 4711")
    names = ["alice", "alice-admin"] * 6
    results = await together(*(create_request(rooms[n], world.actor(who), wanted) for n, who in enumerate(names)))
    assert len([r for r in results if not isinstance(r, LapseError)]) == 3


async def test_two_locks_and_their_removal_at_once_leave_what_waits_in_order(rooms):
    world = rooms.world
    request = await world.ask(starts_at=world.clock.now() + HOUR)
    await approve(rooms[0], world.actor("bob"), request.id)
    for number in range(5):
        first, _ = await lock(rooms[number], world.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen")
        (second, _), _ = await together(
            lock(rooms[0], world.admin(), LockKind.RESOURCE, "pg-prod", "breach"),
            unlock(rooms[1], world.admin("root2"), first.id),
        )
        assert (await world.grant_of(request)).suspended_by == second.id
        await unlock(rooms[0], world.admin("root2"), second.id)
        assert (await world.grant_of(request)).suspended_by == ""
    await check_the_record(world)


async def test_twenty_people_ask_approve_and_give_back_at_once(rooms):
    world = rooms.world
    people = ["alice", "dave", "olga", "root"]
    asked = await together(*(_ask_in(rooms[n], world, people[n % 4]) for n in range(20)))
    assert len({request.id for request in asked}) == 20
    approved = await together(
        *(approve(rooms[n], world.actor(["bob", "carol"][n % 2]), r.id) for n, r in enumerate(asked))
    )
    assert {result.state for result in approved} == {RequestState.APPROVED}
    await world.enforcer.tick()
    grants = await world.grants()
    assert [g.state for g in grants] == [GrantState.ACTIVE] * 20
    await together(*(release(rooms[n], world.actor(g.beneficiary), g.id) for n, g in enumerate(grants)))
    await world.enforcer.tick()
    assert {g.state for g in await world.grants()} == {GrantState.ENDED}
    assert world.target.target.memberships == set()
    await check_the_record(world)


async def check_rederivation(world, entries):
    """The ledger alone leads to the same decisions."""
    replay = Replay({p.version: p.files for p in await world.read(lambda r: r.policies())})
    for entry in entries:
        replay.feed(entry)
    requests = await world.read(lambda r: r.requests(ALL))
    found = list(replay.results([(request.id, str(request.state)) for request in requests]))
    assert [(one.outcome, one.differences) for one in found] == [("same", ())] * len(requests)


async def recorded_world(stores, policy=POLICY):
    """A world whose catalog is in the ledger too."""
    rooms = Rooms(await World.create(stores[0], policy=policy, catalog=Catalog()), stores)
    await apply(rooms[0], rooms.world.admin(), CATALOG)
    return rooms


async def test_a_delegate_decides_as_the_delegation_ends(stores):
    """Whichever is first: the vote was cast under the delegation, or refused; and the ledger can tell."""
    rooms = await recorded_world(stores, POLICY.replace("- from: [group:dba]", "- from: [olga]", 1))
    world = rooms.world
    for number in range(6):
        wanted = NewDelegation(delegate="dave", ends_at=world.clock.now() + HOUR, reason="on leave")
        made = await create_delegation(rooms[0], world.actor("olga"), wanted)
        request = await world.ask()
        works = [
            approve(rooms[0], world.actor("dave"), request.id),
            end_delegation(rooms[1], world.actor("olga"), made.id),
        ]
        vote, ended = (await together(*(works if number % 2 else reversed(works))))[:: 1 if number % 2 else -1]
        assert ended.ended_early_at is not None
        votes = await world.read(lambda r, n=request.id: r.decisions(n))
        assert [one.delegation for one in votes] == ([] if isinstance(vote, Refused) else [made.id])
        await world.clock.advance(timedelta(minutes=1))
    await check_rederivation(world, await check_the_record(world))


async def test_a_yes_and_a_smaller_offer_at_the_same_instant_have_one_winner(stores):
    rooms = await recorded_world(stores)
    world = rooms.world
    for number in range(6):
        request = await world.ask()
        less = Less(duration=HOUR, reason="enough")
        works = [
            approve(rooms[0], world.actor("bob"), request.id),
            offer_less(rooms[1], world.actor("carol"), request.id, less),
        ]
        results = await together(*(works if number % 2 else reversed(works)))
        (winner,) = [result for result in results if not isinstance(result, LapseError)]
        stored = await world.read(lambda r, n=request.id: r.request(n))
        assert stored == winner
        assert (stored.state is RequestState.APPROVED) == (stored.counter is None)
    await check_rederivation(world, await check_the_record(world))


@pytest.mark.parametrize("against", ["cancel", "deny"])
async def test_an_offer_is_accepted_as_the_request_is_closed(stores, against):
    rooms = await recorded_world(stores)
    world = rooms.world
    for number in range(4):
        request = await world.ask()
        await offer_less(rooms[0], world.actor("bob"), request.id, Less(duration=HOUR, reason="enough"))
        no = (
            cancel_request(rooms[1], world.actor("alice"), request.id)
            if against == "cancel"
            else deny(rooms[1], world.actor("carol"), request.id, "not today")
        )
        works = [accept_less(rooms[0], world.actor("alice"), request.id), no]
        results = await together(*(works if number % 2 else reversed(works)))
        assert len([result for result in results if not isinstance(result, LapseError)]) == 1
    await check_rederivation(world, await check_the_record(world))


async def test_several_clocks_remind_once(stores):
    waiting = POLICY.replace(
        "- from: [group:dba]", "- {from: group:dba, remind_after: 5m, escalate: [{after: 5m, to: owner}]}", 1
    )
    rooms = await recorded_world(stores, waiting)
    world = rooms.world
    asked = [await world.ask() for _ in range(5)]
    await world.clock.advance(timedelta(minutes=5))
    made = await together(*(remind(rooms[n]) for n in range(4)))
    assert sum(made) == 2 * len(asked)
    posted = await list_notices(world.control, world.admin(), ALL)
    called = [one.notice.subject for one in posted if one.notice.kind is NoticeKind.REMINDER]
    assert sorted(called) == sorted(request.id for request in asked)
    await check_the_record(world)


async def test_entries_that_are_written_while_they_are_sealed_are_all_sealed_once(rooms):
    world = rooms.world
    sequencers = [Sequencer(control.store.ledger, SIGNER, world.clock) for control in rooms.controls * 2]
    results = await together(
        *(_ask_in(rooms[n], world, "alice") for n in range(12)),
        *(sequencer.run_once() for sequencer in sequencers),
    )
    placed = sum(result for result in results if isinstance(result, int))
    placed += await sequencers[0].run_once()
    assert not [result for result in results if isinstance(result, LapseError) and not isinstance(result, Conflict)]
    assert await world.store.ledger.size() == placed
    verdict = await verify_stored_ledger(world.store.ledger, [KEY])
    assert verdict.ok
    bodies = [body for _, body in await world.store.ledger.entries(0, placed)]
    created = [e.subject for e in map(decode, bodies) if e.type == "request.created"]
    assert sorted(created) == sorted(request.id for request in await world.read(lambda r: r.requests(ALL)))


async def _ask_in(control, world, who):
    wanted = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="incident 4711 in billing")
    return await create_request(control, world.actor(who), wanted)
