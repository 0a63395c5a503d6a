"""The statements for a narrower role, run on a real PostgreSQL: what was used still works, the rest does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.connectors.postgresql import PostgresConnector
from lapse.domain.errors import InvalidInput
from lapse.protocols.postgres import quoting
from lapse.review.collection.observed import (
    Explanations,
    access_rows,
    account_rows,
    privilege_rows,
    role_privilege_rows,
)
from lapse.review.roles.validation import validate_roles
from support.evidence_rows import evidence
from support.postgres import name, run

NOW = datetime.now(UTC)


async def narrowed(target, tmp_path, role, uses):
    """The check of `role`, from a real read of the target and what `uses` (account, action, object) say."""
    connector = PostgresConnector("pg", target.admin_dsn)
    try:
        seen = await connector.observe()
    finally:
        await connector.close()
    found = {
        "accounts": list(account_rows(seen, Explanations(), lambda *_: None)),
        "access_observed": list(access_rows(seen, Explanations(), lambda *_: None)),
        "object_privileges": list(privilege_rows(seen)),
        "role_privileges": list(role_privilege_rows(seen)),
        "resources": [{"resource": "pg", "connector": "postgresql"}],
        "coverage": [
            {
                "resource": "pg",
                "from_at": NOW - timedelta(days=500),
                "to_at": NOW + timedelta(days=1),
                "complete": True,
                "actions": True,
            }
        ],
        "usage": [
            {"resource": "pg", "account": account, "action": action, "object": thing, "started_at": NOW}
            for account, action, thing in uses
        ],
    }
    period = f"{NOW - timedelta(days=30):%Y-%m-%d}..{NOW + timedelta(days=1):%Y-%m-%d}"
    with evidence(tmp_path / "s", found, period=period, as_of=NOW + timedelta(hours=1)) as (engine, snapshot):
        return next(check for check in validate_roles(engine, snapshot).checks if check.role == role)


def may(target, suffix, statement):
    try:
        run(target.dsn(suffix), statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


@pytest.fixture
def shop(postgres_target):
    target = postgres_target
    writer, alice, owner = (target.role(suffix) for suffix in ("writer", "alice", "owner"))
    target.admin(
        f"""
        GRANT {name(writer)} TO {name(alice)};
        CREATE SCHEMA "Odd ""one"; GRANT USAGE ON SCHEMA "Odd ""one" TO {name(writer)};
        CREATE TABLE "Odd ""one"."T; DROP" (id int, note text, secret text);
        GRANT SELECT, UPDATE, TRUNCATE ON "Odd ""one"."T; DROP" TO {name(writer)};
        CREATE TABLE parts (id int, price int); GRANT SELECT (id), UPDATE (price) ON parts TO {name(writer)};
        CREATE SEQUENCE numbers; GRANT USAGE ON numbers TO {name(writer)};
        ALTER SEQUENCE numbers OWNER TO {name(owner)};
        CREATE FUNCTION f(integer, "Odd ""one"."T; DROP") RETURNS int LANGUAGE sql AS 'SELECT 1';
        REVOKE EXECUTE ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO {name(writer)};
        """
    )
    return target


async def test_what_nobody_used_is_taken_away_and_what_was_used_still_works(shop, tmp_path):
    target, writer, alice = shop, shop.role("writer"), shop.role("alice")
    odd = 'Odd "one.T; DROP'
    uses = [
        (alice, "SELECT", "public.orders"),
        (alice, "UPDATE", odd),
        (alice, "UPDATE", "public.parts"),
        (alice, "SELECT", None),
    ]
    check = await narrowed(target, tmp_path, writer, uses)
    odd_table = '"Odd ""one"."T; DROP"'
    everything = {
        "SELECT FROM orders": True,
        f"UPDATE {odd_table} SET id = 1": True,
        f"SELECT FROM {odd_table}": True,
        "UPDATE parts SET price = 1": True,
        "DELETE FROM orders": False,
        "INSERT INTO orders VALUES (9, 'x')": False,
        f"TRUNCATE {odd_table}": False,
    }
    assert {one: may(target, "alice", f"BEGIN; {one}; ROLLBACK") for one in everything} == dict.fromkeys(
        everything, True
    )
    take_away, make = check.spellings[:2]
    target.admin(take_away.text)
    assert {one: may(target, "alice", f"BEGIN; {one}; ROLLBACK") for one in everything} == everything
    assert 'REVOKE TRUNCATE ON TABLE "Odd ""one"."T; DROP" FROM' in take_away.text
    narrow = f"{writer}_narrow"
    target.admin(make.text)
    target.admin(f"REVOKE {name(writer)} FROM {name(alice)}; GRANT {name(narrow)} TO {name(alice)}")
    assert {one: may(target, "alice", f"BEGIN; {one}; ROLLBACK") for one in everything} == everything
    again = await narrowed(target, tmp_path / "again", narrow, [(alice, *rest) for _, *rest in uses])
    assert again.unused == 0


async def test_what_cannot_be_spelled_is_left_to_people_and_the_rest_still_runs(postgres_target, tmp_path):
    target, writer, alice = postgres_target, postgres_target.role("writer"), postgres_target.role("alice")
    target.admin(
        f"""
        GRANT {name(writer)} TO {name(alice)};
        CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."c.d" (id int); GRANT SELECT ON "a.b"."c.d" TO {name(writer)};
        """
    )
    check = await narrowed(target, tmp_path, writer, [(alice, "UPDATE", "public.orders")])
    text = check.spellings[0].text
    assert "-- by hand: SELECT on table a.b.c.d" in text
    target.admin(text)
    assert not may(target, "alice", "DELETE FROM orders")


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=63)


@settings(max_examples=150)
@given(NAMES)
def test_a_quoted_name_is_that_name_to_the_server(postgres_server, text):
    if len(text.encode()) > quoting.LONGEST_NAME:
        with pytest.raises(InvalidInput):
            quoting.identifier(text)
        return
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        found = connection.execute(f"SELECT 1 AS {quoting.identifier(text)}")
        assert [column.name for column in found.description] == [text]
        assert "\n" not in quoting.comment(text)
        connection.execute(f"SELECT 1 {quoting.comment(text)}\n")


@pytest.mark.parametrize("wrong", ["", "x" * 64, "ä" * 32, "a\0b", "\ud800"])
def test_what_no_server_can_have_is_no_name(wrong):
    with pytest.raises(InvalidInput):
        quoting.identifier(wrong)


@pytest.mark.parametrize("keyword", ["public", "none"])
def test_keywords_are_no_roles_even_in_quotes(keyword):
    with pytest.raises(InvalidInput):
        quoting.role(keyword)
    assert quoting.role("PUBLIC") == '"PUBLIC"'
