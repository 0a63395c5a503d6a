"""Who holds what: the quick answer is the server's own, whatever the memberships look like."""

from __future__ import annotations

import random

import psycopg
import pytest

from lapse.connectors.postgresql.holdings import OPTIONS_SINCE, can_use, holdings, not_clean
from support.postgres import name

OPTIONS = ("", " WITH INHERIT FALSE", " WITH SET FALSE", " WITH INHERIT FALSE, SET FALSE", " WITH ADMIN TRUE")


@pytest.fixture
def graph(every_target):
    """A dozen roles, one of them a superuser, with memberships that chance made; and the names."""
    chance = random.Random(every_target.server.version)  # noqa: S311  the same graph each time
    roles = [every_target.add_role(f"r{number}") for number in range(12)]
    every_target.admin(f"ALTER ROLE {name(roles[0])} SUPERUSER")
    for _ in range(25):
        low, high = sorted(chance.sample(range(12), 2))
        option = chance.choice(OPTIONS) if every_target.server.version >= 16 else ""
        every_target.admin(f"GRANT {name(roles[high])} TO {name(roles[low])}{option}")
    return roles


async def server_says(connection, pairs):
    use = can_use(connection.info.server_version, "%s::regrole::oid", "%s::regrole::oid")
    said = []
    for account, role in pairs:
        quoted = (name(account), name(role))
        values = quoted * (2 if connection.info.server_version >= OPTIONS_SINCE else 1)
        said.append((await (await connection.execute(f"SELECT {use}", values)).fetchone())[0])
    return said


async def test_every_answer_is_that_of_the_server(every_target, graph):
    pairs = [(a, r) for a in graph for r in (*graph, "pg_database_owner") if a != r]
    async with await psycopg.AsyncConnection.connect(every_target.server.dsn(), autocommit=True) as connection:
        found = await holdings(connection, pairs)
        expected = await server_says(connection, pairs)
        left = await not_clean(connection, pairs)
    assert [h.effective for h in found] == expected
    assert {True, False} == set(expected)
    assert left == {place: h for place, h in enumerate(found) if h.effective or h.grantors}


async def test_the_owner_of_the_database_is_in_the_role_that_no_membership_shows(every_target):
    owner, member = every_target.add_role("dba"), every_target.add_role("dba_member")
    every_target.admin(f"GRANT {name(owner)} TO {name(member)}")
    async with await psycopg.AsyncConnection.connect(every_target.server.dsn(), autocommit=True) as connection:
        pairs = [(owner, "pg_database_owner"), (member, "pg_database_owner")]
        assert [h.effective for h in await holdings(connection, pairs)] == [False, False]
        (database,) = await (await connection.execute("SELECT current_database()")).fetchone()
        (was,) = await (
            await connection.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", (database,))
        ).fetchone()
        try:
            await connection.execute(f"ALTER DATABASE {name(database)} OWNER TO {name(owner)}")
            assert [h.effective for h in await holdings(connection, pairs)] == [True, True]
        finally:
            await connection.execute(f"ALTER DATABASE {name(database)} OWNER TO {was}")


async def test_names_the_server_does_not_know_are_said_and_not_clean(every_target):
    known = every_target.add_role("known")
    async with await psycopg.AsyncConnection.connect(every_target.server.dsn(), autocommit=True) as connection:
        left = await not_clean(connection, [(known, "no_such_role"), ("no such account", known), (known, known + "x")])
    assert [h.missing for h in left.values()] == ["no_such_role", "no such account", known + "x"]
