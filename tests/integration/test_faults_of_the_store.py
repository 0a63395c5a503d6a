"""Every write of the store may fail: without having happened, or after it happened. And disks fill, rows rot.

Whatever fails: one clear error, nothing half applied, the same call can be made again, and access still ends on time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from lapse.control import catalogs, targets, tokens
from lapse.control.aftermath import judge
from lapse.control.counters import Less, accept_less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.delegations import NewDelegation, create_delegation, end_delegation
from lapse.control.grants import issue_credential, release, release_all, revoke
from lapse.control.ledger_proofs import verify_stored_ledger
from lapse.control.locks import lock, unlock
from lapse.control.policies import activate_proposal, reject_proposal, withdraw_proposal
from lapse.control.prepared import Filling, ask_again, ask_from_template
from lapse.control.questions import NewRequest
from lapse.control.reminders import remind
from lapse.control.requests import cancel_request, create_bundle, create_request, extend_grant
from lapse.control.sequencer import Sequencer
from lapse.control.templates import NewTemplate, put_template, remove_template
from lapse.domain.actors import Scope
from lapse.domain.aftermath import Judgement
from lapse.domain.errors import Conflict, Corrupt, Refused, Unavailable
from lapse.domain.grants import GRANT_LIFE, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.requests import Recurrence, RequestState
from lapse.enforcement.enforcer import Enforcer
from lapse.ledger.canonical import decode
from lapse.ports import Page
from lapse.storage import sqlite
from support.clock import START
from support.ledgers import KEY, SIGNER
from support.shaky import ShakyStore
from support.stores import opened
from support.world import CATALOG, POLICY, World

HOUR = timedelta(hours=1)
OFFERS = (
    POLICY
    + """
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    break_glass: {review_within: 1d, reviewers: [group:dba]}
"""
)
PRAGMAS = sqlite.PRAGMAS
ALL = Page(limit=10_000, newest_first=False)


@pytest.fixture
async def world(tmp_path):
    async with opened("sqlite", tmp_path) as store:
        yield await World.create(ShakyStore(store), OFFERS)


async def everything(world):
    """All that a use case could have touched."""

    async def work(reader):
        requests = await reader.requests(ALL)
        return (
            requests,
            await reader.grants(ALL),
            [await reader.decisions(request.id) for request in requests],
            await reader.locks(in_force=False),
            await reader.delegations(),
            await reader.aftermaths(open_only=False),
            await reader.templates(),
            await reader.catalog(),
            await reader.active_policy(),
            await reader.proposals(),
            await reader.targets(),
            await reader.tokens(),
        )

    return await world.store.read(work), [decode(body) for _, body in await world.store.ledger.pending(10_000)]


async def pending(world):
    return await world.ask()


async def live(world):
    request = await world.ask()
    await approve(world.control, world.actor("carol"), request.id)
    await world.enforcer.tick()
    return await world.grant_of(request)


async def locked(world):
    return (await lock(world.control, world.admin(), LockKind.EVERYTHING, "", "breach"))[0]


async def issued(world):
    return (await tokens.issue_token(world.control, world.admin(), "alice", [Scope.REQUEST], life=HOUR))[0]


async def proposed(world):
    return await world.propose(OTHER_POLICY)


async def nothing(_world):
    return None


def ask(world, _):
    wanted = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="incident 4711 in billing")
    return create_request(world.control, world.actor("alice"), wanted)


def leave(world, _):
    gone = replace(CATALOG.principals["alice"], active=False)
    wanted = replace(CATALOG, principals={**CATALOG.principals, "alice": gone})
    return catalogs.apply(world.control, world.admin(), wanted)


OTHER_POLICY = OFFERS.replace("4h", "3h")
NIGHTLY = Recurrence(days=tuple(range(7)), at_minute=22 * 60, timezone="UTC", until=START + 72 * HOUR)
TEMPLATE = NewTemplate(name="report", entitlements=("pg-prod/reader", "pg-prod/metrics"), duration=HOUR / 2)


def wanted(*roles, **more):
    return [
        NewRequest(entitlement=f"pg-prod/{role}", duration=HOUR / 2, justification="incident 4711", **more)
        for role in roles
    ]


def bundle(world, _=None):
    return create_bundle(world.control, world.actor("alice"), wanted("reader", "metrics", "writer"))


async def nearly_complete_bundle(world):
    """Only one of it still waits."""
    reader, _, writer = await bundle(world)
    await approve(world.control, world.actor("bob"), reader.id)
    return writer


async def nightly(world):
    request = await world.ask(hours=1, repeats=NIGHTLY)
    await approve(world.control, world.actor("carol"), request.id)
    return request


async def used(world):
    await world.ask(what="pg-prod/writer", hours=1, break_glass=True)
    (due,) = await world.read(lambda reader: reader.aftermaths())
    return due


async def kept(world):
    return await put_template(world.control, world.actor("alice"), TEMPLATE)


async def suspended(world):
    await nightly(world)
    return await locked(world)


def take_out(world, request):
    return cancel_request(world.control, world.actor("alice"), request.id, "not needed", alone=True)


async def offered(world):
    request = await world.ask()
    return await offer_less(world.control, world.actor("bob"), request.id, Less(duration=HOUR, reason="enough"))


async def delegated(world):
    wanted = NewDelegation(delegate="dave", ends_at=world.clock.now() + HOUR, reason="on leave")
    return await create_delegation(world.control, world.actor("olga"), wanted)


async def waiting_long(world):
    await world.change_policy(OFFERS.replace("- from: [group:dba]", "- {from: group:dba, remind_after: 5m}", 1))
    request = await world.ask()
    await world.clock.advance(HOUR)
    return request


USE_CASES = {
    "ask": (nothing, ask),
    "approve": (pending, lambda w, r: approve(w.control, w.actor("bob"), r.id)),
    "deny": (pending, lambda w, r: deny(w.control, w.actor("bob"), r.id, "not today")),
    "ask for several": (nothing, bundle),
    "take the last one out": (nearly_complete_bundle, take_out),
    "withdraw several": (nearly_complete_bundle, lambda w, r: cancel_request(w.control, w.actor("alice"), r.id)),
    "ask again and again": (nothing, lambda w, _: w.ask(hours=1, repeats=NIGHTLY)),
    "approve what repeats": (
        lambda w: w.ask(hours=1, repeats=NIGHTLY),
        lambda w, r: approve(w.control, w.actor("bob"), r.id),
    ),
    "give all back": (nightly, lambda w, r: release_all(w.control, w.actor("alice"), r.id)),
    "break the glass": (nothing, lambda w, _: w.ask(what="pg-prod/writer", hours=1, break_glass=True)),
    "judge": (used, lambda w, a: judge(w.control, w.actor("bob"), a.id, Judgement.JUSTIFIED, "saw the incident")),
    "keep a template": (nothing, lambda w, _: kept(w)),
    "change a template": (
        kept,
        lambda w, t: put_template(w.control, w.actor("alice"), replace(TEMPLATE, duration=HOUR)),
    ),
    "no template": (kept, lambda w, t: remove_template(w.control, w.actor("alice"), t.name)),
    "ask from a template": (
        kept,
        lambda w, t: ask_from_template(w.control, w.actor("alice"), t.name, Filling(justification="monthly")),
    ),
    "ask once more": (pending, lambda w, r: ask_again(w.control, w.actor("alice"), r.id, Filling())),
    "lock what is scheduled": (nightly, lambda w, _: locked(w)),
    "unlock what waits": (suspended, lambda w, one: unlock(w.control, w.admin("root2"), one.id)),
    "offer less": (
        pending,
        lambda w, r: offer_less(w.control, w.actor("bob"), r.id, Less(duration=HOUR, reason="enough")),
    ),
    "accept less": (offered, lambda w, r: accept_less(w.control, w.actor("alice"), r.id)),
    "delegate": (nothing, lambda w, _: delegated(w)),
    "delegate no longer": (delegated, lambda w, d: end_delegation(w.control, w.actor("olga"), d.id)),
    "remind": (waiting_long, lambda w, _: remind(w.control)),
    "cancel": (pending, lambda w, r: cancel_request(w.control, w.actor("alice"), r.id)),
    "extend": (live, lambda w, g: extend_grant(w.control, w.actor("alice"), g.id, HOUR, "it takes longer")),
    "release": (live, lambda w, g: release(w.control, w.actor("alice"), g.id)),
    "revoke": (live, lambda w, g: revoke(w.control, w.actor("olga"), g.id, "incident over")),
    "lock": (live, lambda w, _: lock(w.control, w.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen")),
    "unlock": (locked, lambda w, one: unlock(w.control, w.admin("root2"), one.id)),
    "leave": (live, leave),
    "propose": (nothing, lambda w, _: w.propose(OTHER_POLICY)),
    "activate": (proposed, lambda w, p: activate_proposal(w.control, w.admin("root2"), p.id)),
    "reject": (proposed, lambda w, p: reject_proposal(w.control, w.admin("root2"), p.id, "too short")),
    "withdraw": (proposed, lambda w, p: withdraw_proposal(w.control, w.admin(), p.id)),
    "target": (nothing, lambda w, _: targets.add_target(w.control, w.admin(), "pg-prod", "env:PG_PROD_DSN")),
    "token": (nothing, lambda w, _: issued(w)),
    "no token": (issued, lambda w, token: tokens.revoke_token(w.control, w.admin(), token.id)),
}
use_cases = pytest.mark.parametrize("name", USE_CASES)


@use_cases
async def test_a_write_that_never_happened_leaves_nothing_and_can_be_made_again(world, name):
    prepare, act = USE_CASES[name]
    thing = await prepare(world)
    before = await everything(world)
    world.store.fate.append("lost")
    with pytest.raises(Unavailable, match="the disk under the database is full"):
        await act(world, thing)
    assert await everything(world) == before

    await act(world, thing)
    after = await everything(world)
    assert after[0] != before[0]
    assert len(after[1]) > len(before[1])


@use_cases
async def test_a_write_that_happened_unheard_is_whole(tmp_path, name):
    """The same as if it had been heard: compared with a world where it was."""
    outcomes = []
    for fate in ("unheard", "fine"):
        folder = tmp_path / fate
        folder.mkdir()
        async with opened("sqlite", folder) as store:
            world = await World.create(ShakyStore(store), OFFERS)
            prepare, act = USE_CASES[name]
            thing = await prepare(world)
            world.store.fate.append(fate)
            heard = pytest.raises(Unavailable, match="answer") if fate == "unheard" else contextlib.nullcontext()
            with heard:
                await act(world, thing)
            outcomes.append(_without_secrets(await everything(world)))
    assert outcomes[0] == outcomes[1]


def _without_secrets(found):
    (*state, issued_tokens), entries = found
    return state, [replace(token, digest="") for token in issued_tokens], entries


async def test_a_vote_that_was_counted_unheard_is_not_counted_again(world):
    request = await world.ask(what="pg-prod/writer", hours=1)
    world.store.fate.append("unheard")
    with pytest.raises(Unavailable):
        await approve(world.control, world.actor("bob"), request.id)
    with pytest.raises(Refused, match="has decided"):
        await approve(world.control, world.actor("bob"), request.id)
    assert (await world.read(lambda r: r.request(request.id))).state is RequestState.PENDING


async def test_a_credential_is_not_given_when_its_issue_cannot_be_recorded(world):
    grant = await live(world)
    world.store.fate.append("lost")
    with pytest.raises(Unavailable):
        await issue_credential(world.control, world.actor("alice"), grant.id)
    assert "issue_credential" not in {call for call, _ in world.target.calls}


# the enforcer


@pytest.mark.parametrize("fate", ["lost", "unheard"])
@pytest.mark.parametrize("number", range(3))
async def test_whichever_write_of_the_enforcer_fails_the_access_ends_on_time(world, fate, number):
    """Its three writes: begin, confirm, end. The access is gone at the deadline all the same."""
    request = await world.ask(hours=1)
    await approve(world.control, world.actor("carol"), request.id)
    world.store.fate.extend(["fine"] * number + [fate])
    stop = asyncio.Event()
    running = asyncio.create_task(world.enforcer.run(stop))
    await passing(world, 59)
    grant = await world.grant_of(request)
    assert world.target.holds("alice_login", "app_reader")
    await world.clock.advance(grant.ends_at - world.clock.now())
    await until(lambda: not world.target.holds("alice_login", "app_reader"))
    await passing(world, 5)
    stop.set()
    await running

    ended = await world.grant(grant.id)
    assert (ended.state, ended.ends_at) == (GrantState.ENDED, grant.ends_at)
    await check_the_story(world, grant.id)


@pytest.mark.parametrize("fate", ["lost", "unheard"])
async def test_a_store_that_fails_for_an_hour_does_not_lengthen_access(world, fate):
    grant = await live(world)
    world.store.fate.extend([fate] * 40)
    stop = asyncio.Event()
    running = asyncio.create_task(world.enforcer.run(stop))
    await world.clock.advance(2 * HOUR)
    await until(lambda: not world.target.holds("alice_login", "app_reader"))
    await passing(world, 120)
    stop.set()
    await running
    assert (await world.grant(grant.id)).state is GrantState.ENDED
    assert world.troubles
    await check_the_story(world, grant.id)


async def test_two_servers_with_the_same_work_leave_one_story(world):
    """The second enforcer's view is as old as the first one's: one of them loses every race, and nothing is lost."""
    grant = await live(world)
    other = Enforcer(world.parts)
    await world.clock.advance(2 * HOUR)
    await asyncio.gather(world.enforcer.tick(), other.tick())
    await world.clock.advance(timedelta(minutes=1))
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ENDED
    await check_the_story(world, grant.id)


# disks


@pytest.fixture
async def disk(world, monkeypatch):
    """A function that sets what every connection to the world's database is told from now on."""

    async def tell(*pragmas):
        monkeypatch.setattr(sqlite, "PRAGMAS", (*PRAGMAS, *pragmas))
        session = world.store._store._backend._writer._session
        for pragma in pragmas if session else ():
            await session._driver.execute(pragma)

    return tell


async def test_a_database_that_becomes_read_only_says_so_and_access_still_ends(world, disk):
    grant = await live(world)
    waiting = await world.ask("dave")
    before = await everything(world)
    await disk("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="the database is read-only"):
        await approve(world.control, world.actor("bob"), waiting.id)
    assert await everything(world) == before

    await world.clock.advance(2 * HOUR)
    tick = asyncio.create_task(world.enforcer.tick())
    await until(lambda: ("pg-prod", "the database is read-only") in world.troubles)
    assert not world.target.holds("alice_login", "app_reader")
    assert await everything(world) == before

    await disk("PRAGMA query_only = OFF")
    await passing(world, 2)
    await tick
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ENDED
    assert (await approve(world.control, world.actor("bob"), waiting.id)).state is RequestState.APPROVED


async def test_a_full_disk_says_so_and_access_still_ends(world, disk):
    grant = await live(world)
    waiting = await world.ask("dave")
    await disk("PRAGMA max_page_count = 1")  # SQLite makes that what the file has now: no page may be added
    await fill(world)
    before = await everything(world)
    with pytest.raises(Unavailable, match="the disk under the database is full"):
        await long_winded(world)
    assert await everything(world) == before

    await world.clock.advance(2 * HOUR)
    tick = asyncio.create_task(world.enforcer.tick())
    await until(lambda: not world.target.holds("alice_login", "app_reader"))
    await disk("PRAGMA max_page_count = 1000000")
    await passing(world, 2)
    await tick
    await passing(world, 2)
    await world.enforcer.tick()
    assert (await world.grant(grant.id)).state is GrantState.ENDED
    assert (await approve(world.control, world.actor("bob"), waiting.id)).state is RequestState.APPROVED
    await check_the_story(world, grant.id)


def long_winded(world):
    wanted = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="so much to say " * 250)
    return create_request(world.control, world.actor("dave"), wanted)


async def fill(world):
    for _ in range(1000):
        try:
            await long_winded(world)
        except Unavailable:
            return
    pytest.fail("the disk never fills")


# rotten rows


@pytest.fixture
async def sealed(tmp_path):
    """The file of a store with a sealed ledger, and what reads and seals it."""
    async with opened("sqlite", tmp_path) as store:
        world = await World.create(store)
        await live(world)
        sequencer = Sequencer(store.ledger, SIGNER, world.clock)
        size = await sequencer.run_once()
        assert (await verify_stored_ledger(store.ledger, [KEY])).ok
        yield world, sequencer, size, tmp_path / "lapse.db"


def tamper(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


async def test_a_row_that_was_changed_is_named(sealed):
    world, _, size, path = sealed
    change = "UPDATE ledger_entries SET body = replace(CAST(body AS TEXT), 'alice', 'mallo') WHERE id = {}"
    tamper(path, "DROP TRIGGER ledger_entries_keep", change.format(size - 1))
    verdict = await verify_stored_ledger(world.store.ledger, [KEY])
    assert not verdict.ok
    assert verdict.first_broken == size - 2
    assert str(size - 2) in verdict.problem


async def test_a_row_that_was_removed_is_named(sealed):
    world, _, size, path = sealed
    tamper(path, "DROP TRIGGER ledger_entries_stay", f"DELETE FROM ledger_entries WHERE id = {size - 2}")
    verdict = await verify_stored_ledger(world.store.ledger, [KEY])
    assert not verdict.ok
    assert verdict.first_broken == size - 3


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ledger_tiles SET hashes = zeroblob(length(hashes))",
        "DELETE FROM ledger_tiles",
        "DELETE FROM ledger_checkpoints",
        "UPDATE ledger_checkpoints SET note = CAST(replace(CAST(note AS TEXT), 'lapse', 'other') AS BLOB)",
        "UPDATE ledger_head SET size = size - 1",
    ],
)
async def test_nothing_is_sealed_on_top_of_what_does_not_hold(sealed, damage):
    world, _, size, path = sealed
    tamper(path, damage)
    await world.ask("dave")
    for sequencer in (sealed[1], Sequencer(world.store.ledger, SIGNER, world.clock)):
        with pytest.raises((Corrupt, Conflict)) as caught:
            await sequencer.run_once()
        assert caught.value.message
        assert "\n" not in caught.value.message
    assert not (await verify_stored_ledger(world.store.ledger, [KEY])).ok
    assert await world.store.ledger.size() <= size


async def check_the_story(world, grant_id):
    """The ledger tells each state of the grant once, in an order that its life allows."""
    entries = [decode(body) for _, body in await world.store.ledger.pending(10_000)]
    told = [e.after["state"] for e in entries if e.subject == grant_id and e.after and "state" in e.after]
    assert told[-1] == (await world.grant(grant_id)).state
    assert len(told) == len(set(told))
    steps = {(before, after) for (before, _), after in GRANT_LIFE.table.items()}
    assert set(pairwise(told)) <= steps


async def passing(world, minutes):
    """Minutes go by, and everybody gets their turn."""
    for _ in range(minutes):
        await world.clock.advance(timedelta(minutes=1))
        await asyncio.sleep(0.002)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)
