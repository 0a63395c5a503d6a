"""What a whole server looks like: as lapse sees it, and as any login sees it."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from lapse.connectors.postgresql import PostgresConnector
from lapse.domain.access import ObservedMembership
from lapse.domain.errors import Unavailable
from support.postgres import fresh_database, name, run


@pytest.fixture
async def seen(every_target):
    """A function that reads the server and returns the observation."""
    connectors = []

    async def observe(dsn=every_target.lapse_dsn):
        connectors.append(PostgresConnector("pg-test", dsn))
        return await connectors[-1].observe()

    yield observe
    for connector in connectors:
        await connector.close()


def privilege(observation, grantee, kind):
    found = [p for p in observation.privileges if (p.grantee, p.object_kind) == (grantee, kind)]
    return {(p.object_name, p.database): p for p in found}


async def test_accounts_with_their_powers_and_ends(seen, every_target):
    role = every_target.role
    every_target.admin(
        f"CREATE ROLE {name(role('boss'))} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN;"
        f"CREATE ROLE {name(role('temp'))} LOGIN VALID UNTIL '2031-05-06 07:08:09+00';"
        f"CREATE ROLE {name(role('ever'))} LOGIN VALID UNTIL 'infinity';"
        f"CREATE ROLE {name(role('never'))} LOGIN VALID UNTIL '-infinity';"
        f"CREATE ROLE {name(role('far'))} LOGIN VALID UNTIL '20000-01-01'"
    )
    observation = await seen()
    accounts = {a.name: a for a in observation.accounts}
    assert accounts[role("boss")].powers == ("superuser", "createrole", "createdb", "replication", "bypassrls")
    assert not accounts[role("reader")].can_login
    assert accounts[role("temp")].valid_until == datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert accounts[role("ever")].valid_until is None
    assert accounts[role("far")].valid_until is None
    assert accounts[role("never")].valid_until < observation.observed_at
    assert not any(account.startswith("pg_") for account in accounts)


async def test_nested_memberships_with_the_way_they_take(seen, every_target):
    role = every_target.role
    for group in ("team", "staff"):
        every_target.add_role(group)
    every_target.admin(
        f"GRANT {name(role('reader'))} TO {name(role('team'))} WITH ADMIN OPTION;"
        f"GRANT {name(role('team'))} TO {name(role('staff'))};"
        f"GRANT {name(role('staff'))} TO {name(role('alice'))};"
        f"GRANT pg_monitor TO {name(role('bob'))}"
    )
    found = {(m.member, m.role, m.via): m for m in (await seen()).memberships}
    way = found[role("alice"), role("reader"), (role("staff"), role("team"))]
    assert (way.admin_option, way.inherits, way.may_set) == (True, True, True)
    assert found[role("staff"), role("reader"), (role("team"),)]
    assert found[role("team"), role("reader"), ()].grantor == "postgres"
    assert (role("bob"), "pg_read_all_stats", ("pg_monitor",)) in found
    assert not any(member.startswith("pg_") for member, _, _ in found)


async def test_a_login_that_does_not_inherit_must_switch(seen, every_target):
    role = every_target.role
    if every_target.server.version >= 16:
        every_target.admin(f"GRANT {name(role('reader'))} TO {name(role('alice'))} WITH INHERIT FALSE, SET TRUE")
    else:
        every_target.admin(
            f"ALTER ROLE {name(role('alice'))} NOINHERIT; GRANT {name(role('reader'))} TO {name(role('alice'))}"
        )
    (found,) = [m for m in (await seen()).memberships if m.member == role("alice")]
    assert (found.inherits, found.may_set) == (False, True)


async def test_direct_rights_in_every_database(seen, every_target):
    role = every_target.role
    alice, bob = name(role("alice")), name(role("bob"))
    every_target.admin(
        f"GRANT SELECT, UPDATE ON orders TO {alice} WITH GRANT OPTION;"
        f"GRANT SELECT (item) ON orders TO {bob};"
        f"GRANT TRUNCATE ON orders TO PUBLIC;"
        f"CREATE SCHEMA billing; GRANT USAGE ON SCHEMA billing TO {alice};"
        f"CREATE SEQUENCE billing.numbers; GRANT USAGE ON SEQUENCE billing.numbers TO {alice};"
        f"CREATE FUNCTION billing.pay(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        f"GRANT EXECUTE ON FUNCTION billing.pay(int) TO {alice};"
        f"GRANT SELECT ON pg_catalog.pg_authid TO {bob};"
        f"GRANT CREATE ON DATABASE {name(every_target.dbname)} TO {bob};"
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {name(role('owner'))} IN SCHEMA billing GRANT SELECT ON TABLES TO {alice}"
    )
    with fresh_database(every_target.server) as other:
        run(every_target.server.dsn(other), f"CREATE TABLE there (x int); GRANT DELETE ON there TO {alice}")
        observation = await seen()
    here = every_target.dbname
    tables = privilege(observation, role("alice"), "table")
    assert tables["public.orders", here].privileges == ("SELECT", "UPDATE")
    assert tables["public.orders", here].grantable
    assert tables["public.orders", here].grantor == role("owner")
    assert tables["public.there", other].privileges == ("DELETE",)
    assert tables[f"those created by {role('owner')} in billing", here].on_future
    assert privilege(observation, role("bob"), "column")["public.orders.item", here].privileges == ("SELECT",)
    assert privilege(observation, "PUBLIC", "table")["public.orders", here].privileges == ("TRUNCATE",)
    assert privilege(observation, role("alice"), "schema")["billing", here].privileges == ("USAGE",)
    assert privilege(observation, role("alice"), "sequence")["billing.numbers", here].privileges == ("USAGE",)
    functions = privilege(observation, role("alice"), "function (security definer)")
    assert functions["billing.pay(integer)", here].privileges == ("EXECUTE",)
    assert privilege(observation, role("bob"), "table")["pg_catalog.pg_authid", here].privileges == ("SELECT",)
    assert privilege(observation, role("bob"), "database")[here, here].privileges == ("CREATE",)
    assert privilege(observation, role("owner"), "table")["public.orders", here].is_owner


async def test_what_every_server_has_from_the_start_is_not_reported(seen, every_target):
    with fresh_database(every_target.server) as empty:
        observation = await seen()
    rows = [p for p in observation.privileges if p.database == empty and not p.is_owner]
    # Up to version 14 everybody may create objects in the schema public: that is worth telling.
    assert [(p.grantee, p.object_name, p.privileges) for p in rows] == (
        [] if every_target.server.version >= 15 else [("PUBLIC", "public", ("CREATE",))]
    )


async def test_sessions_are_seen_with_their_last_activity(seen, every_target):
    with psycopg.connect(every_target.dsn("alice")) as session:
        session.execute("SELECT 1")
        observation = await seen()
    alice = next(a for a in observation.accounts if a.name == every_target.role("alice"))
    assert alice.sessions == 1
    assert abs((alice.last_activity - observation.observed_at).total_seconds()) < 60
    assert "pg_stat_activity" in observation.evidence["activity"]
    assert observation.own_account == every_target.lapse_role


async def test_a_database_that_cannot_be_entered_is_a_gap(seen, every_target):
    with fresh_database(every_target.server) as closed, fresh_database(every_target.server) as full:
        every_target.admin(f"REVOKE CONNECT ON DATABASE {name(closed)} FROM PUBLIC")
        every_target.admin(f"ALTER DATABASE {name(full)} CONNECTION LIMIT 0")
        observation = await seen()
    assert not observation.complete
    assert f"database `{closed}` was not read: no CONNECT right" in observation.gaps
    assert any(gap.startswith(f"database `{full}` was not read: ") for gap in observation.gaps)


async def test_any_login_sees_the_same_accounts_memberships_and_rights_with_a_gap_for_activity(seen, every_target):
    mine = await seen()
    theirs = await seen(every_target.dsn("alice"))
    (gap,) = theirs.gaps
    assert "activity of other accounts is hidden" in gap
    assert [a.name for a in theirs.accounts] == [a.name for a in mine.accounts]
    assert theirs.memberships == mine.memberships
    assert theirs.privileges == mine.privileges


async def test_a_read_changes_nothing_and_works_where_nothing_may_be_written(seen, every_target):
    every_target.admin(f"ALTER ROLE {name(every_target.lapse_role)} SET default_transaction_read_only = on")
    assert (await seen()).complete


async def test_what_users_define_does_not_stand_in_for_the_catalog(seen, every_target):
    lapse = name(every_target.lapse_role)
    every_target.admin(
        "CREATE FUNCTION public.aclexplode(aclitem[]) RETURNS TABLE (grantor oid, grantee oid, privilege_type text,"
        " is_grantable bool) LANGUAGE sql AS 'SELECT 0::oid, 0::oid, ''LIE'', false';"
        "CREATE VIEW public.pg_roles AS SELECT 'lie'::name AS rolname;"
        f"ALTER ROLE {lapse} SET search_path = public, pg_catalog"
    )
    observation = await seen()
    assert every_target.role("alice") in {a.name for a in observation.accounts}
    assert not any("LIE" in p.privileges for p in observation.privileges)


async def test_a_wrong_password_is_unavailable_and_not_shown(seen, every_target):
    with pytest.raises(Unavailable, match="password authentication failed") as caught:
        await seen(every_target.server.dsn(every_target.dbname, every_target.lapse_role, "wrong-secret"))
    assert "wrong-secret" not in str(caught.value)


async def test_thousands_of_roles(seen, every_target):
    prefix = every_target.prefix
    every_target.admin(
        f"DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE ROLE %I LOGIN IN ROLE %I', '{prefix}_n' || i,"
        f" '{prefix}_reader'); END LOOP; END $$"
    )
    observation = await seen()
    members = [m for m in observation.memberships if m.role == every_target.role("reader") and not m.via]
    assert len(members) == 2001
    assert ObservedMembership in {type(m) for m in members}
