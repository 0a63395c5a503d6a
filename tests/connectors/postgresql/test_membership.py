"""Memberships: what was held before, whose row it is, nested ways in, sessions, and many at once."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager

import psycopg
import pytest

from lapse.connectors.postgresql import Limits, PostgresConnector
from lapse.connectors.postgresql.backends import AT_ONCE
from lapse.domain.access import Applied, Failed, Removed
from support.asked import Asked
from support.postgres import name


@contextmanager
def stopped(pid):
    """The process cannot act on a signal meanwhile, like one that is busy cleaning up.

    It must go on whatever happens: PostgreSQL waits for every session before it drops any database.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_the_granted_role_works_and_after_the_end_it_does_not(asked, connector, postgres_target):
    a = asked.membership()
    await connector.apply([a])
    with psycopg.connect(postgres_target.dsn("alice"), autocommit=True) as session:
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        session.execute(f"SET ROLE {name(a.native['role'])}")
        (removed,) = await connector.remove([a])
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            session.execute("SELECT count(*) FROM orders")
    assert removed.sessions_cut == 1
    with (
        psycopg.connect(postgres_target.dsn("alice")) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute("SELECT count(*) FROM orders")


async def test_a_role_held_through_another_one_counts_as_held_and_is_not_granted_again(
    asked, connector, postgres_target
):
    a = asked.membership()
    team = postgres_target.add_role("team")
    postgres_target.admin(f"GRANT {name(a.native['role'])} TO {name(team)}; GRANT {name(team)} TO {name(a.account)}")
    (before,) = await connector.look([a])
    assert before.held
    assert isinstance((await connector.apply([a]))[0], Applied)
    assert not postgres_target.holds(a.account, a.native["role"])


async def test_a_way_in_that_somebody_added_meanwhile_fails_the_removal_by_name(asked, connector, postgres_target):
    a = asked.membership()
    await connector.apply([a])
    team = postgres_target.add_role("team")
    postgres_target.admin(f"GRANT {name(a.native['role'])} TO {name(team)}; GRANT {name(team)} TO {name(a.account)}")
    (failed,) = await connector.remove([a])
    assert isinstance(failed, Failed)
    assert failed.error == f"`{a.account}` still holds `{a.native['role']}` through `{team}`"
    assert not postgres_target.holds(a.account, a.native["role"])
    postgres_target.admin(f"REVOKE {name(team)} FROM {name(a.account)}")
    assert isinstance((await connector.remove([a]))[0], Removed)


async def test_a_superuser_holds_every_role_and_is_never_said_to_be_removed(asked, connector, postgres_target):
    a = asked.membership()
    postgres_target.admin(f"ALTER ROLE {name(a.account)} SUPERUSER")
    (before,) = await connector.look([a])
    assert before.held
    (failed,) = await connector.remove([a])
    assert isinstance(failed, Failed)
    assert "superuser" in failed.error


async def test_a_membership_that_somebody_else_granted_ends_or_is_named(every_target):
    """From 16 on each grantor has a row of its own, which lapse may not touch; before that there is one row."""
    connector = PostgresConnector("pg-test", every_target.lapse_dsn)
    a = Asked(every_target).membership()
    try:
        await connector.apply([a])
        every_target.admin(f"GRANT {name(a.native['role'])} TO {name(a.account)}")
        (outcome,) = await connector.remove([a])
        if every_target.server.version < 16:
            assert isinstance(outcome, Removed)
            return
        assert isinstance(outcome, Failed)
        assert "still holds" in outcome.error
        assert "granted by `postgres`" in outcome.error
        every_target.admin(f"REVOKE {name(a.native['role'])} FROM {name(a.account)}")
        assert isinstance((await connector.remove([a]))[0], Removed)
    finally:
        await connector.close()


async def test_sessions_that_reached_the_role_through_the_account_are_cut_too(asked, connector, postgres_target):
    a = asked.membership("alice")
    postgres_target.admin(f"GRANT {name(a.account)} TO {name(postgres_target.role('bob'))}")
    await connector.apply([a])
    with psycopg.connect(postgres_target.dsn("bob")) as bob:
        bob.execute("SELECT count(*) FROM orders")
        (removed,) = await connector.remove([a])
        assert isinstance(removed, Removed)
        with pytest.raises(psycopg.OperationalError):
            bob.execute("SELECT 1")


async def test_a_session_that_is_slow_to_die_is_watched_and_not_assumed_gone(asked, connect_as, postgres_target):
    connector = connect_as(postgres_target.lapse_dsn, Limits(dying_session=0.3))
    a = asked.membership()
    await connector.apply([a])
    with psycopg.connect(postgres_target.dsn("alice")) as session:
        pid = session.info.backend_pid
        with stopped(pid):
            (failed,) = await connector.remove([a])
            assert isinstance(failed, Failed)
            assert failed.error == f"session {pid} of `{a.account}` was told to end and is still there"
            assert not postgres_target.holds(a.account, a.native["role"])
        assert isinstance((await connector.remove([a]))[0], Removed)


async def test_of_many_sessions_one_that_does_not_die_protects_no_other(asked, connect_as, postgres_target):
    connector = connect_as(postgres_target.lapse_dsn, Limits(dying_session=0.3))
    a = asked.membership()
    await connector.apply([a])
    sessions = [psycopg.connect(postgres_target.dsn("alice"), autocommit=True) for _ in range(AT_ONCE + 5)]
    pids = [session.info.backend_pid for session in sessions]
    stuck = min(pids)
    with stopped(stuck):
        (failed,) = await connector.remove([a])
        assert isinstance(failed, Failed)
        assert failed.error == f"session {stuck} of `{a.account}` was told to end and is still there"
        for session in sessions:
            if session.info.backend_pid != stuck:
                with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                    session.execute("SELECT 1")
    (removed,) = await connector.remove([a])
    assert isinstance(removed, Removed)
    for session in sessions:
        session.close()


async def test_without_the_right_to_end_sessions_a_live_session_fails_the_removal(asked, connector, postgres_target):
    a = asked.membership()
    await connector.apply([a])
    postgres_target.admin(f"REVOKE pg_signal_backend FROM {name(postgres_target.lapse_role)}")
    with psycopg.connect(postgres_target.dsn("alice")):
        (failed,) = await connector.remove([a])
    assert isinstance(failed, Failed)
    assert "pg_signal_backend" in failed.error
    assert not postgres_target.holds(a.account, a.native["role"])


async def test_lapse_tells_which_right_to_a_role_it_lacks(asked, connector, postgres_target):
    secret = postgres_target.add_role("secret")
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.lapse_role)} NOCREATEROLE")
    (failed,) = await connector.apply([asked.membership(role="secret")])
    assert isinstance(failed, Failed)
    assert not failed.maybe_applied
    assert f'must have admin option on role "{secret}"' in failed.error


@pytest.mark.parametrize(
    "suffix", ['a"b', "a'; DROP TABLE orders; --", "Größe", "two words", "a%s", "a{b}", "back\\slash", "UPPER"]
)
async def test_names_reach_the_server_as_they_are(asked, connector, postgres_target, suffix):
    account, role = postgres_target.add_login(suffix), postgres_target.add_role(f"r{suffix}")
    postgres_target.admin(f"GRANT {name(role)} TO {name(postgres_target.lapse_role)} WITH ADMIN OPTION")
    a = asked.membership(suffix, f"r{suffix}")
    assert isinstance((await connector.apply([a]))[0], Applied)
    assert postgres_target.holds(account, role)
    assert (account, role) in {(m.member, m.role) for m in (await connector.observe()).memberships}
    assert isinstance((await connector.remove([a]))[0], Removed)
    assert not postgres_target.holds(account, role)


async def test_names_that_no_server_can_hold_are_refused_alone(asked, connector, postgres_target):
    good = asked.membership("bob")
    bad = [asked.membership("x" * 80), asked.membership("a\nb"), asked.membership(role="é" * 40)]
    public = [
        type(good)(grant_id="p", account="public", native=good.native, ends_at=good.ends_at),
        type(good)(grant_id="q", account=good.account, native={"role": "public"}, ends_at=good.ends_at),
        type(good)(grant_id="r", account="pg_monitor", native=good.native, ends_at=good.ends_at),
    ]
    *failed, applied = await connector.apply([*bad, *public, good])
    assert all(isinstance(o, Failed) and not o.maybe_applied for o in failed)
    assert isinstance(applied, Applied)


async def test_hundreds_end_together_and_one_that_cannot_does_not_hold_the_others(asked, connector, postgres_target):
    total = 250
    creates = "".join(f"CREATE ROLE {name(postgres_target.role(f'u{n}'))};" for n in range(total))
    postgres_target.admin(creates)
    batch = [asked.membership(f"u{n}") for n in range(total)]
    batch.insert(100, asked.membership("reader"))
    applied = await connector.apply(batch)
    assert [n for n, o in enumerate(applied) if isinstance(o, Failed)] == [100]
    removed = await connector.remove(batch)
    assert sum(isinstance(o, Removed) for o in removed) == total


async def test_calls_run_beside_each_other(asked, connector, postgres_target):
    logins = [postgres_target.add_login(f"l{n}") for n in range(12)]
    batches = [[asked.membership(f"l{n}")] for n in range(len(logins))]
    outcomes = await asyncio.gather(*(connector.apply(batch) for batch in batches))
    assert all(isinstance(one, Applied) for (one,) in outcomes)
    outcomes = await asyncio.gather(*(connector.remove(batch) for batch in batches))
    assert all(isinstance(one, Removed) for (one,) in outcomes)
