"""Logins of their own: usable with their credential only, dead at the end in every way, and nothing lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lapse.connectors.postgresql import PostgresConnector, ending
from lapse.connectors.postgresql.probe import LoginAnswer
from lapse.domain.access import Applied, Failed, Removed
from lapse.domain.errors import NotFound, Refused, Unavailable
from support.asked import Asked
from support.postgres import fresh_database, name, run


@pytest.fixture
async def anywhere(every_target):
    """A connector and an asker on each server version."""
    connector = PostgresConnector("pg-test", every_target.lapse_dsn)
    yield connector, Asked(every_target), every_target
    await connector.close()


def dsn_of(credential):
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**credential)


async def test_the_credential_works_until_the_end_and_its_session_is_cut(anywhere):
    connector, asked, target = anywhere
    a = asked.login()
    await connector.apply([a])
    credential = await connector.issue_credential(a)
    assert credential["dbname"] == target.dbname
    with psycopg.connect(dsn_of(credential)) as session:
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        (removed,) = await connector.remove([a])
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert isinstance(removed, Removed)
    assert removed.sessions_cut == 1
    assert removed.proof[0] == f"login as `{a.account}` refused with SQLSTATE 28P01"
    assert f"catalog: role `{a.account}` does not exist" in removed.proof
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run(dsn_of(credential), "SELECT 1")


async def test_the_server_itself_stops_at_the_deadline(asked, connector):
    a = replace(asked.login(), ends_at=datetime.now(UTC) - timedelta(seconds=1))
    await connector.apply([a])
    credential = await connector.issue_credential(a)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run(dsn_of(credential), "SELECT 1")


async def test_nobody_can_log_in_before_a_credential_is_issued(asked, connector, postgres_target):
    a = asked.login()
    await connector.apply([a])
    assert postgres_target.admin("SELECT rolpassword FROM pg_authid WHERE rolname = %s", a.account) == [(None,)]


async def test_a_new_credential_kills_the_one_before(asked, connector):
    a = asked.login()
    await connector.apply([a])
    first, second = [await connector.issue_credential(a) for _ in range(2)]
    run(dsn_of(second), "SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        run(dsn_of(first), "SELECT 1")


async def test_passwords_are_not_in_the_servers_log(asked, connector, postgres_target):
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.lapse_role)} SET log_statement = 'all'")
    a = asked.login()
    await connector.apply([a])
    credential = await connector.issue_credential(a)
    log = postgres_target.server.log
    assert f'ALTER ROLE "{a.account}" PASSWORD \'SCRAM-SHA-256$' in log
    assert credential["password"] not in log


async def test_objects_go_to_the_named_owner_in_every_database(anywhere):
    connector, asked, target = anywhere
    owner = target.role("owner")
    a = asked.login("writer", reassign_to=owner)
    await connector.apply([a])
    with fresh_database(target.server) as other:
        run(target.server.dsn(other), "GRANT CREATE ON SCHEMA public TO PUBLIC")
        credential = await connector.issue_credential(a)
        run(dsn_of(credential), "CREATE TABLE notes (x int)")
        run(dsn_of(credential | {"dbname": other}), "CREATE TABLE elsewhere (x int)")
        target.admin(f"GRANT SELECT ON orders TO {name(a.account)}")
        (removed,) = await connector.remove([a])
        assert isinstance(removed, Removed)
        assert not target.exists(a.account)
        owner_of = "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = "
        assert target.admin(owner_of + "'notes'") == [(owner,)]
        assert run(target.server.dsn(other), owner_of + "'elsewhere'") == [(owner,)]


async def test_without_a_new_owner_the_objects_and_a_dead_role_stay_and_the_proof_says_so(anywhere):
    connector, asked, target = anywhere
    a = asked.login("writer")
    await connector.apply([a])
    credential = await connector.issue_credential(a)
    run(dsn_of(credential), "CREATE TABLE notes (x int); INSERT INTO notes VALUES (1)")
    (removed,) = await connector.remove([a])
    assert isinstance(removed, Removed)
    assert any("owns" in p and "no `reassign_to`" in p for p in removed.proof)
    assert target.admin("SELECT * FROM notes") == [(1,)]
    (role,) = target.admin("SELECT rolcanlogin, rolvaliduntil < now() FROM pg_roles WHERE rolname = %s", a.account)
    assert role == (False, True)
    assert not target.holds(a.account, a.native["role"])
    with pytest.raises(Refused):
        await connector.issue_credential(a)
    again = replace(a, native={**a.native, "reassign_to": target.role("owner")})
    assert isinstance((await connector.remove([again]))[0], Removed)
    assert not target.exists(a.account)


async def test_a_database_that_cannot_be_entered_leaves_a_dead_role_and_says_so(asked, connector, postgres_target):
    a = asked.login("writer", reassign_to=postgres_target.role("owner"))
    await connector.apply([a])
    with fresh_database(postgres_target.server) as closed:
        there = postgres_target.server.dsn(closed)
        run(there, f"CREATE TABLE hidden (x int); ALTER TABLE hidden OWNER TO {name(a.account)}")
        run(there, f"REVOKE CONNECT ON DATABASE {name(closed)} FROM PUBLIC")
        (removed,) = await connector.remove([a])
        assert isinstance(removed, Removed)
        assert any("stays behind, disabled" in p and "permission denied" in p for p in removed.proof)


async def test_a_role_given_by_hand_meanwhile_goes_too(asked, connector, postgres_target):
    a = asked.login()
    await connector.apply([a])
    postgres_target.admin(f"GRANT {name(postgres_target.role('writer'))} TO {name(a.account)}")
    assert isinstance((await connector.remove([a]))[0], Removed)
    assert not postgres_target.exists(a.account)


async def test_a_login_that_is_still_accepted_is_not_removed(asked, connector, monkeypatch):
    async def accepted(*_):
        return LoginAnswer(accepted=True)

    a = asked.login()
    await connector.apply([a])
    monkeypatch.setattr(ending, "attempt_login", accepted)
    (failed,) = await connector.remove([a])
    assert isinstance(failed, Failed)
    assert "still accepts a login" in failed.error


async def test_a_login_attempt_that_could_not_be_made_proves_nothing(asked, connector, postgres_target, monkeypatch):
    async def lost(*_):
        raise Unavailable("the network is gone")

    async def full(*_):
        return LoginAnswer(accepted=False, sqlstate="53300")

    a = asked.login()
    await connector.apply([a])
    for trouble, words in ((lost, "the network is gone"), (full, "proves nothing: SQLSTATE 53300")):
        monkeypatch.setattr(ending, "attempt_login", trouble)
        (failed,) = await connector.remove([a])
        assert isinstance(failed, Failed)
        assert words in failed.error
    assert postgres_target.exists(a.account)


async def test_a_role_that_lapse_did_not_make_is_never_taken_over(asked, connector, postgres_target):
    a = asked.login()
    postgres_target.admin(f"CREATE ROLE {name(a.account)} LOGIN")
    (failed,) = await connector.apply([a])
    assert isinstance(failed, Failed)
    assert "was not made by lapse" in failed.error
    assert not failed.maybe_applied
    with pytest.raises(NotFound):
        await connector.issue_credential(a)


async def test_a_persons_login_is_never_ended_as_if_it_were_ephemeral(asked, connector, postgres_target):
    alice = replace(asked.login(), account=postgres_target.role("alice"))
    (failed,) = await connector.remove([alice])
    assert isinstance(failed, Failed)
    assert "no login made by lapse" in failed.error
    assert postgres_target.exists(alice.account)


async def test_many_end_together(asked, connector, postgres_target):
    batch = [asked.login() for _ in range(20)]
    assert all(isinstance(o, Applied) for o in await connector.apply(batch))
    credentials = await asyncio.gather(*(connector.issue_credential(a) for a in batch[:5]))
    sessions = [psycopg.connect(dsn_of(c)) for c in credentials]
    removed = await connector.remove(batch)
    assert [o.sessions_cut for o in removed] == [1] * 5 + [0] * 15
    assert not any(postgres_target.exists(a.account) for a in batch)
    for session in sessions:
        session.close()


async def test_without_createrole_the_server_says_no_and_nothing_is_left(asked, connector, postgres_target):
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.lapse_role)} NOCREATEROLE")
    (failed,) = await connector.apply([asked.login()])
    assert isinstance(failed, Failed)
    assert not failed.maybe_applied
    assert "permission denied to create role" in failed.error
