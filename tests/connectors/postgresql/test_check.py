"""The SQL in the documentation is enough, and each right that is taken away is named with its remedy."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lapse.connectors.postgresql import PostgresConnector
from lapse.domain.access import Applied, Assignment, Fence, Removed
from support.asked import ENDS
from support.postgres import name

DOCS = Path(__file__).parents[3] / "docs" / "connectors" / "postgresql.md"
RIGHTS = {
    "pg_signal_backend": "REVOKE pg_signal_backend FROM lapse",
    "pg_read_all_stats": "REVOKE pg_read_all_stats FROM lapse",
    "CREATEROLE": "ALTER ROLE lapse NOCREATEROLE",
    "reassign to app_owner": "REVOKE app_owner FROM lapse",
}


def documented(title, names):
    """The SQL block of that title, with this test's own role names."""
    (block,) = re.findall(rf"```sql\n-- prepare: {re.escape(title)}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return in_test_names(block, names)


def in_test_names(text, names):
    return re.sub(r"\b(lapse|app_reader|app_owner)\b", lambda word: name(names[word[1]]), text)


@pytest.fixture
def names(every_target):
    every_target.admin(f"DROP OWNED BY {name(every_target.lapse_role)}; DROP ROLE {name(every_target.lapse_role)}")
    role = every_target.role
    return {"lapse": role("lapse"), "app_reader": role("reader"), "app_owner": role("owner")}


@pytest.fixture
def natives(names):
    reader = names["app_reader"]
    return [
        {"role": reader, "mode": "membership"},
        {"role": reader, "mode": "ephemeral", "reassign_to": names["app_owner"]},
    ]


@asynccontextmanager
async def lapse_on(target):
    connector = PostgresConnector("pg-test", target.server.dsn(target.dbname, target.lapse_role, "choose-a-long-one"))
    try:
        yield connector
    finally:
        await connector.close()


def failing(check):
    return [item.name for item in check.items if not item.ok]


async def test_the_documented_sql_for_memberships_is_enough(every_target, names, natives):
    titles = ["membership"] + ["membership, 16 and newer"] * (every_target.server.version >= 16)
    for title in titles:
        every_target.admin(documented(title, names))
        async with lapse_on(every_target) as connector:
            check = await connector.check(natives[:1])
            assert failing(check) == []
            assert check.fences == {Fence.RECONCILER}
            a = Assignment(grant_id="g1", account=every_target.role("alice"), native=natives[0], ends_at=ENDS)
            assert isinstance((await connector.apply([a]))[0], Applied)
            assert isinstance((await connector.remove([a]))[0], Removed)
        every_target.admin(in_test_names("DROP OWNED BY lapse; DROP ROLE lapse", names))


async def test_the_documented_sql_for_ephemeral_logins_is_enough(every_target, names, natives):
    every_target.admin(documented("membership", names))
    every_target.admin(documented("ephemeral", names))
    async with lapse_on(every_target) as connector:
        check = await connector.check(natives)
        assert failing(check) == []
        assert (await connector.check(natives[1:])).fences == {Fence.TARGET, Fence.RECONCILER}
        assert check.server.startswith(f"PostgreSQL {every_target.server.version}.")


@pytest.mark.parametrize("right", RIGHTS)
async def test_each_missing_right_is_named_and_its_remedy_gives_it(every_target, names, natives, right):
    every_target.admin(documented("membership", names))
    every_target.admin(documented("ephemeral", names))
    every_target.admin(in_test_names(RIGHTS[right], names))
    async with lapse_on(every_target) as connector:
        check = await connector.check(natives)
        (item,) = [item for item in check.items if not item.ok]
        assert item.name == (right if " to " not in right else f"reassign to {names['app_owner']}")
        assert check.ok == (not item.required) == (right == "pg_read_all_stats")
        every_target.admin(item.remedy)
        assert failing(await connector.check(natives)) == []


async def test_a_role_that_may_not_be_given_is_named(every_target, names, natives):
    every_target.admin(documented("membership", names))
    every_target.admin(in_test_names("REVOKE ADMIN OPTION FOR app_reader FROM lapse", names))
    async with lapse_on(every_target) as connector:
        (item,) = [item for item in (await connector.check(natives[:1])).items if not item.ok]
        assert item.name == f"grant {names['app_reader']}"
        every_target.admin(item.remedy)
        assert failing(await connector.check(natives[:1])) == []


async def test_what_does_not_exist_and_what_cannot_be_read_is_named(connector, postgres_target):
    natives = [
        {"role": "no_such_role"},
        {"role": postgres_target.role("reader"), "mode": "ephemeral", "reassign_to": "no_owner", "database": "no_db"},
        {"role": "x", "colour": "blue"},
    ]
    check = await connector.check(natives)
    assert not check.ok
    assert failing(check) == ["entitlement", "grant no_such_role", "reassign to no_owner", "connect to no_db"]
