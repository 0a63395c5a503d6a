"""The enforcer with a real store and a real PostgreSQL: what people do to a target, and what targets do to lapse."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from lapse.control.decisions import approve
from lapse.control.grants import issue_credential, release, release_all
from lapse.control.locks import lock, unlock
from lapse.control.questions import NewRequest
from lapse.control.requests import create_bundle
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Refused
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.requests import Recurrence
from lapse.domain.resources import OnDrift
from lapse.domain.targets import DriftKind
from lapse.enforcement.reconcile import plan_resource, reconcile_resource
from support.company import HOUR, catalog_for, company_on
from support.postgres import fresh_database, name, run
from support.proxy import proxy_to, speaks_nonsense
from support.stores import opened

MINUTE = timedelta(minutes=1)
BOTH = pytest.mark.parametrize("what", ["pg/reader", "pg/reader-login"])


@pytest.fixture
def target(company):
    return company.targets["pg"]


def through(dsn, port):
    return re.sub(r":\d+/", f":{port}/", dsn)


def dsn_of(credential):
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**credential)


def can_read(dsn):
    try:
        return run(dsn, "SELECT count(*) FROM orders") == [(2,)]
    except psycopg.Error:
        return False


def holds(target, grant):
    return target.holds(grant.account, target.role("reader"))


def valid_until(target, account):
    ((ends,),) = target.admin("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", account)
    return ends


async def secret(company, grant):
    return dsn_of(await issue_credential(company.control, company.actor(grant.beneficiary), grant.id))


@pytest.fixture
async def outcome_of(company):
    """What became of a grant: its state and why it ended."""

    async def read(grant):
        now = await company.grant(grant.id)
        return now.state, now.end_reason

    return read


# a life


async def test_the_role_works_from_activation_to_the_deadline(company, target, outcome_of):
    assert not can_read(target.dsn("alice"))
    grant = await company.give(length=HOUR)
    assert can_read(target.dsn("alice"))

    await company.pass_time(HOUR)
    assert not can_read(target.dsn("alice"))
    assert await outcome_of(grant) == (GrantState.ENDED, EndReason.ELAPSED)
    assert [entry.type for entry in await company.entries(grant.id)] == [
        "grant.scheduled",
        "grant.activating",
        "grant.active",
        "grant.revoking",
        "grant.ended",
    ]


async def test_a_credential_really_logs_in_and_stops_at_the_end(company, target):
    grant = await company.give(what="pg/reader-login")
    dsn = await secret(company, grant)
    assert can_read(dsn)

    await company.pass_time(HOUR)
    assert not can_read(dsn)
    assert not target.exists(grant.account)
    with pytest.raises(Refused, match="ended"):
        await issue_credential(company.control, company.actor("alice"), grant.id)


async def test_the_live_session_of_the_one_is_cut_and_the_others_is_not(company, target):
    ending = await company.give("alice", length=HOUR)
    await company.give("bob", length=2 * HOUR)
    with psycopg.connect(target.dsn("alice")) as alice, psycopg.connect(target.dsn("bob")) as bob:
        await company.pass_time(HOUR)
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            alice.execute("SELECT 1")
        assert bob.execute("SELECT count(*) FROM orders").fetchone() == (2,)
    (proof,) = [e.context for e in await company.entries(ending.id) if e.type == "grant.ended"]
    assert proof["sessions_cut"] == 1


async def test_what_a_login_of_its_own_made_goes_to_the_owner(company, target):
    grant = await company.give(what="pg/writer-login")
    run(await secret(company, grant), "CREATE TABLE notes (x int)")
    await company.pass_time(HOUR)
    assert not target.exists(grant.account)
    owner = target.admin("SELECT tableowner::text FROM pg_tables WHERE tablename = 'notes'")
    assert owner == [(target.role("owner"),)]


async def test_a_clock_that_jumps_forward_ends_access_early(company, target, outcome_of):
    stop = asyncio.Event()
    running = asyncio.create_task(company.enforcer.run(stop))
    grant = await company.schedule(length=4 * HOUR)
    await until(lambda: active(company, grant))
    await company.clock.advance(timedelta(days=30))
    await until(lambda: over(company, grant))
    stop.set()
    await running
    assert not holds(target, await company.grant(grant.id))


async def test_a_lock_ends_everything_of_a_person_on_the_target(company, target):
    grants = [await company.give(what=what) for what in ("pg/reader", "pg/writer", "pg/reader-login")]
    kept = await company.give("bob")
    dsn = await secret(company, grants[2])
    await lock(company.control, company.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen")
    await company.enforcer.tick()
    assert not can_read(target.dsn("alice"))
    assert not can_read(dsn)
    assert {(await company.grant(grant.id)).end_reason for grant in grants} == {EndReason.LOCKED}
    assert (await company.grant(kept.id)).state is GrantState.ACTIVE


async def test_a_lock_cuts_live_sessions_and_nobody_else_is_let_back_in(company, target):
    await company.give()
    mate = await company.give("bob")
    with psycopg.connect(target.dsn("alice")) as alice, psycopg.connect(target.dsn("bob")) as bob:
        await lock(company.control, company.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen")
        await company.enforcer.tick()
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            alice.execute("SELECT 1")
        assert bob.execute("SELECT count(*) FROM orders").fetchone() == (2,)
    assert not can_read(target.dsn("alice"))
    with pytest.raises(Refused, match="`alice` is locked: laptop stolen"):
        await company.ask()
    assert (await company.grant(mate.id)).state is GrantState.ACTIVE


async def test_what_is_scheduled_waits_under_a_lock_and_has_its_planned_end_after_it(company, target, outcome_of):
    starts = company.clock.now() + HOUR
    grant = await company.schedule(length=2 * HOUR, starts_at=starts)
    made, _ = await lock(company.control, company.admin(), LockKind.RESOURCE, "pg", "breach")
    await company.pass_time(2 * HOUR)
    assert not can_read(target.dsn("alice"))
    await unlock(company.control, Actor(name="olga", scopes=frozenset({Scope.ADMIN})), made.id)
    await company.enforcer.tick()
    assert can_read(target.dsn("alice"))
    assert (await company.grant(grant.id)).ends_at == starts + 2 * HOUR
    await company.pass_time(HOUR)
    assert not can_read(target.dsn("alice"))
    assert await outcome_of(grant) == (GrantState.ENDED, EndReason.ELAPSED)


async def test_access_that_repeats_is_there_at_its_times_and_at_no_other(company, target):
    first = company.clock.now().replace(microsecond=0, second=0) + 2 * HOUR
    repeats = Recurrence(
        days=tuple(range(7)),
        at_minute=first.hour * 60 + first.minute,
        timezone="UTC",
        until=first + timedelta(days=2),
    )
    request = await company.ask(length=HOUR, repeats=repeats)
    await approve(company.control, company.actor("carol"), request.id)
    await company.enforcer.tick()
    seen = []
    for day in range(3):
        await company.pass_time(first + timedelta(days=day) - company.clock.now())
        seen.append(can_read(target.dsn("alice")))
        await company.pass_time(HOUR)
        seen.append(can_read(target.dsn("alice")))
        if day == 1:
            await release_all(company.control, company.actor("alice"), request.id)
    assert seen == [True, False, True, False, False, False]


async def test_a_bundle_is_there_wholly_or_not_at_all(company, target):
    wanted = [
        NewRequest(entitlement=f"pg/{role}", duration=HOUR, justification="incident 4711 in billing")
        for role in ("reader", "writer")
    ]
    reader, writer = await create_bundle(company.control, company.actor("alice"), wanted)
    await approve(company.control, company.actor("carol"), reader.id)
    await company.enforcer.tick()
    assert not can_read(target.dsn("alice"))
    await approve(company.control, company.actor("carol"), writer.id)
    await company.enforcer.tick()
    held = [target.holds(target.role("alice"), target.role(role)) for role in ("reader", "writer")]
    assert held == [True, True]


# several grants


@pytest.mark.parametrize("longer_first", [True, False])
async def test_overlapping_grants_hold_the_role_until_the_last_ends(company, target, outcome_of, longer_first):
    lengths = [2 * HOUR, HOUR] if longer_first else [HOUR, 2 * HOUR]
    grants = sorted([await company.give(length=length) for length in lengths], key=lambda g: g.ends_at)
    await company.pass_time(HOUR)
    assert [(await company.grant(grant.id)).state for grant in grants] == [GrantState.ENDED, GrantState.ACTIVE]
    assert can_read(target.dsn("alice"))
    await company.pass_time(HOUR)
    assert not can_read(target.dsn("alice"))


@BOTH
async def test_an_extension_goes_on_without_a_gap(company, target, what):
    grant = await company.give(what=what)
    dsn = await secret(company, grant) if what == "pg/reader-login" else target.dsn("alice")
    with psycopg.connect(dsn, autocommit=True) as session:
        longer = await company.prolong(grant)
        await company.enforcer.tick()
        await company.pass_time(HOUR)
        assert (await company.grant(grant.id)).state is GrantState.ENDED
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        assert can_read(dsn)
    await company.pass_time(HOUR)
    assert (await company.grant(longer.id)).state is GrantState.ENDED
    assert not can_read(dsn)


async def test_a_chain_of_extensions_is_without_a_gap_up_to_the_cap_and_not_beyond(company, target):
    """24 hours in all, in one session; then it is over, whoever would approve more."""
    link = await company.give(length=8 * HOUR)
    began = link.ends_at - 8 * HOUR
    with psycopg.connect(target.dsn("alice"), autocommit=True) as session:
        for _ in range(2):
            longer = await company.prolong(link, 8 * HOUR)
            await company.enforcer.tick()
            await company.pass_time(link.ends_at - company.clock.now())
            assert (await company.grant(link.id)).state is GrantState.ENDED
            assert session.execute("SELECT count(*) FROM orders").fetchone() == (2,)
            link = await company.grant(longer.id)
        assert link.ends_at == began + 24 * HOUR
        with pytest.raises(Refused, match="allows at most, with extensions, 1d"):
            await company.prolong(link, MINUTE)
        with pytest.raises(Refused, match="allows at most 1d"):
            await company.ask(length=HOUR, starts_at=link.ends_at)
        await company.pass_time(link.ends_at - company.clock.now())
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            session.execute("SELECT 1")
    assert not can_read(target.dsn("alice"))


async def test_an_extension_moves_the_end_that_the_server_itself_keeps(company, target):
    grant = await company.give(what="pg/reader-login")
    assert valid_until(target, grant.account) == grant.ends_at
    longer = await company.prolong(grant)
    await company.enforcer.tick()
    assert valid_until(target, grant.account) == grant.ends_at + HOUR == (await company.grant(longer.id)).ends_at


async def test_an_activation_that_is_tried_again_does_not_shorten_its_extension(tmp_path, postgres_target):
    """The grant's first try looked like a failure; by the time of the second its extension is active."""
    async with opened("sqlite", tmp_path) as store, proxy_to(postgres_target.server.port) as proxy:
        dsns = {"pg": through(postgres_target.lapse_dsn, proxy.port)}
        async with company_on(store, {"pg": postgres_target}, dsns) as company:
            proxy.cut_after("CREATE ROLE")
            grant = await company.give(what="pg/reader-login")
            assert grant.state is GrantState.ACTIVATING
            longer = await company.prolong(grant)
            await company.enforcer.tick()
            assert (await company.grant(longer.id)).state is GrantState.ACTIVE
            await company.pass_time(MINUTE)
            assert (await company.grant(grant.id)).state is GrantState.ACTIVE
            assert valid_until(postgres_target, grant.account) == grant.ends_at + HOUR


async def test_an_extension_that_is_given_back_early_moves_the_servers_end_back(company, target):
    grant = await company.give(what="pg/reader-login")
    longer = await company.prolong(grant)
    await company.enforcer.tick()
    await release(company.control, company.actor("alice"), longer.id)
    await company.enforcer.tick()
    assert valid_until(target, grant.account) == grant.ends_at
    assert can_read(await secret(company, grant))


async def test_an_extension_starts_although_the_target_was_away_for_longer_than_it_lasts(shaky_company, own_target):
    company, target = shaky_company, own_target
    grant = await company.give(length=4 * HOUR)
    longer = await company.prolong(grant, HOUR)
    target.server.stop("immediate")
    await company.enforcer.tick()
    await company.pass_time(2 * HOUR)
    target.server.start()
    await company.pass_time(MINUTE)
    assert (await company.grant(longer.id)).ends_at == grant.ends_at + HOUR
    await company.pass_time(2 * HOUR)
    assert can_read(target.dsn("alice"))
    await company.pass_time(HOUR)
    assert not can_read(target.dsn("alice"))


# targets in trouble


@BOTH
async def test_a_target_that_is_down_at_the_deadline_is_seen_to_refuse_once_it_is_back(shaky_company, own_target, what):
    company, target = shaky_company, own_target
    grant = await company.give(what=what)
    target.server.stop("immediate")
    await company.pass_time(HOUR)
    waiting = await company.grant(grant.id)
    assert waiting.state is GrantState.REVOKE_FAILED
    assert waiting.next_attempt_at > company.clock.now()
    assert [text for subject, text in company.troubles if subject == grant.id]

    target.server.start()
    assert holds(target, grant)
    await company.pass_time(MINUTE)
    ended = await company.grant(grant.id)
    assert (ended.state, ended.end_reason, ended.ended_at) == (
        GrantState.ENDED,
        EndReason.ELAPSED,
        company.clock.now(),
    )
    assert not holds(target, grant)


async def test_a_target_that_is_down_at_the_start_gives_the_full_time_later(shaky_company, own_target):
    company, target = shaky_company, own_target
    grant = await company.schedule()
    target.server.stop("immediate")
    await company.enforcer.tick()
    assert (await company.grant(grant.id)).state is GrantState.SCHEDULED
    target.server.start()
    await company.pass_time(MINUTE)
    assert (await company.grant(grant.id)).ends_at == company.clock.now() + HOUR
    assert can_read(target.dsn("alice"))


@pytest.mark.parametrize(("what", "statement"), [("pg/reader", "REVOKE"), ("pg/reader-login", "DROP ROLE")])
@pytest.mark.parametrize("cut", ["cut_after", "cut_before"])
async def test_an_end_that_was_reported_as_a_failure_converges(tmp_path, postgres_target, what, statement, cut):
    """Whether the server had carried it out or not."""
    async with opened("sqlite", tmp_path) as store, proxy_to(postgres_target.server.port) as proxy:
        dsns = {"pg": through(postgres_target.lapse_dsn, proxy.port)}
        async with company_on(store, {"pg": postgres_target}, dsns) as company:
            grant = await company.give(what=what)
            getattr(proxy, cut)(statement)
            await company.pass_time(HOUR)
            assert proxy.cuts == 1
            assert (await company.grant(grant.id)).state is GrantState.REVOKE_FAILED
            await company.pass_time(MINUTE)
            assert (await company.grant(grant.id)).state is GrantState.ENDED
            assert not holds(postgres_target, grant)
            told = [entry.type for entry in await company.entries(grant.id)]
            assert told[-3:] == ["grant.revoking", "grant.revoke_failed", "grant.ended"]


async def test_access_that_was_given_and_reported_as_failed_ends_on_time(tmp_path, postgres_target):
    async with opened("sqlite", tmp_path) as store, proxy_to(postgres_target.server.port) as proxy:
        dsns = {"pg": through(postgres_target.lapse_dsn, proxy.port)}
        async with company_on(store, {"pg": postgres_target}, dsns) as company:
            proxy.cut_after("GRANT")
            grant = await company.give()
            assert grant.state is GrantState.ACTIVATING
            assert holds(postgres_target, grant)
            await company.pass_time(HOUR)
            assert (await company.grant(grant.id)).state is GrantState.ENDED
            assert not holds(postgres_target, grant)


async def test_a_target_that_never_answers_does_not_delay_another(tmp_path, postgres_target):
    async with opened("sqlite", tmp_path) as store, speaks_nonsense(None) as port:
        targets = {"pg": postgres_target, "silent": postgres_target}
        dsns = {"silent": f"postgresql://lapse:x@127.0.0.1:{port}/db"}
        async with company_on(store, targets, dsns) as company:
            silent = await company.schedule("alice", "silent/reader")
            good = await company.schedule("bob", "pg/reader")
            stop = asyncio.Event()
            running = asyncio.create_task(company.enforcer.run(stop))
            await until(lambda: active(company, good))
            await company.clock.advance(HOUR)
            await until(lambda: over(company, good))
            assert (await company.grant(silent.id)).state is GrantState.SCHEDULED
            assert not can_read(postgres_target.dsn("bob"))
            stop.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


# people at the target


async def test_what_a_login_held_before_it_keeps_and_that_is_reported_as_standing(company, target, outcome_of):
    by_hand(target, "GRANT", "alice")
    grant = await company.give()
    assert grant.held_before is True
    await company.pass_time(HOUR)
    assert await outcome_of(grant) == (GrantState.ENDED, EndReason.ELAPSED)
    assert can_read(target.dsn("alice"))
    (proof,) = [e.context["proof"] for e in await company.entries(grant.id) if e.type == "grant.ended"]
    assert proof == ["left as found: held before the grant"]
    (drift,) = (await plan_resource(company.parts, "pg")).plan.found
    assert (drift.kind, drift.account) == (DriftKind.STANDING, target.role("alice"))


async def test_access_that_somebody_adds_again_after_the_end_is_found_and_left(company, target):
    await reconcile_resource(company.parts, "pg")
    await company.give()
    await company.pass_time(HOUR)
    by_hand(target, "GRANT", "alice")
    (drift,) = (await reconcile_resource(company.parts, "pg")).plan.new
    assert (drift.kind, drift.account, drift.role) == (
        DriftKind.UNKNOWN_ACCESS,
        target.role("alice"),
        target.role("reader"),
    )
    assert can_read(target.dsn("alice"))


@pytest.mark.parametrize("store_kind", ["sqlite", "postgresql"])
async def test_where_the_resource_says_so_unknown_access_is_removed_and_its_sessions_cut(
    tmp_path, request, postgres_target, store_kind
):
    url = request.getfixturevalue("postgres_url") if store_kind == "postgresql" else None
    targets = {"pg": postgres_target}
    async with (
        opened(store_kind, tmp_path, url) as store,
        company_on(store, targets, catalog=catalog_for(targets, OnDrift.REMOVE)) as company,
    ):
        await reconcile_resource(company.parts, "pg")
        granted = await company.give("bob")
        by_hand(postgres_target, "GRANT", "alice")
        with psycopg.connect(postgres_target.dsn("alice")) as session:
            result = await reconcile_resource(company.parts, "pg")
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        assert [d.account for d in result.to_remove] == [postgres_target.role("alice")]
        assert not can_read(postgres_target.dsn("alice"))
        assert can_read(postgres_target.dsn("bob"))
        assert (await company.grant(granted.id)).state is GrantState.ACTIVE
        assert "drift.removed" in {entry.type for entry in await company.entries()}


async def test_unknown_access_is_not_removed_while_a_grant_allows_it(company, target):
    await reconcile_resource(company.parts, "pg")
    by_hand(target, "GRANT", "alice")
    await reconcile_resource(company.parts, "pg")
    await company.give()
    remove = catalog_for(company.targets, OnDrift.REMOVE)
    await company.store.write(lambda tx: tx.replace_catalog(remove))
    assert (await reconcile_resource(company.parts, "pg")).removed == ()
    assert can_read(target.dsn("alice"))
    await company.pass_time(HOUR)
    await reconcile_resource(company.parts, "pg")
    assert not can_read(target.dsn("alice"))


async def test_access_that_somebody_takes_away_ends_the_grant_and_is_not_given_again(company, target, outcome_of):
    grant = await company.give()
    by_hand(target, "REVOKE", "alice")
    result = await reconcile_resource(company.parts, "pg")
    assert [g.id for g in result.plan.missing] == [grant.id]
    await company.enforcer.tick()
    assert await outcome_of(grant) == (GrantState.ENDED, EndReason.DRIFT)
    assert not can_read(target.dsn("alice"))


async def test_a_database_that_lapse_may_not_enter_hides_no_drift(company, target):
    with fresh_database(target.server) as closed:
        run(target.server.dsn(closed), f"REVOKE CONNECT ON DATABASE {name(closed)} FROM PUBLIC")
        assert not (await reconcile_resource(company.parts, "pg")).observation.complete
        by_hand(target, "GRANT", "alice")
        result = await reconcile_resource(company.parts, "pg")
    assert [d.kind for d in result.plan.new] == [DriftKind.UNKNOWN_ACCESS]


async def test_standing_access_that_is_taken_away_does_not_come_back_for_good_with_a_grant(company, target):
    """The second grant gives what the first had found; nothing may be left behind as if it had been found."""
    by_hand(target, "GRANT", "alice")
    first = await company.give(length=4 * HOUR)
    by_hand(target, "REVOKE", "alice")
    second = await company.give(length=HOUR)
    assert (first.held_before, second.held_before) == (True, False)
    assert can_read(target.dsn("alice"))
    await company.enforcer.tick()
    assert (await company.grant(first.id)).end_reason is EndReason.DRIFT
    await company.pass_time(HOUR)
    assert not can_read(target.dsn("alice"))


async def test_one_person_without_a_login_does_not_keep_the_others_waiting(company, target):
    catalog = catalog_for(company.targets)
    lost, good = await company.schedule("alice"), await company.schedule("bob")
    no_login = replace(catalog.principals["alice"], accounts=())
    changed = replace(catalog, principals={**catalog.principals, "alice": no_login})
    await company.store.write(lambda tx: tx.replace_catalog(changed))
    await company.enforcer.tick()
    assert can_read(target.dsn("bob"))
    assert (await company.grant(good.id)).state is GrantState.ACTIVE
    waiting = await company.grant(lost.id)
    assert waiting.state is GrantState.SCHEDULED
    assert "existing login" in waiting.last_error


async def test_a_whole_life_on_a_postgresql_store(postgres_url, postgres_target, tmp_path):
    async with (
        opened("postgresql", tmp_path, postgres_url) as store,
        company_on(store, {"pg": postgres_target}) as company,
    ):
        member, login = await company.give(), await company.give(what="pg/reader-login")
        longer = await company.prolong(member)
        dsn = await secret(company, login)
        await company.enforcer.tick()
        await company.pass_time(HOUR)
        assert not can_read(dsn)
        assert can_read(postgres_target.dsn("alice"))
        await company.pass_time(HOUR)
        assert not can_read(postgres_target.dsn("alice"))
        states = {(await company.grant(g.id)).state for g in (member, login, longer)}
        assert states == {GrantState.ENDED}


def by_hand(target, statement, login):
    """Somebody with the right to do so changes the role's members behind lapse's back."""
    link = "FROM" if statement == "REVOKE" else "TO"
    lapse, role = name(target.lapse_role), name(target.role("reader"))
    target.admin(f"SET ROLE {lapse}; {statement} {role} {link} {name(target.role(login))}")


async def active(company, grant):
    return (await company.grant(grant.id)).state is GrantState.ACTIVE


async def over(company, grant):
    return (await company.grant(grant.id)).state is GrantState.ENDED


async def until(condition):
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.005)
