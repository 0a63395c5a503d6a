"""What a guard says about a statement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.guards import Guard, Mask, StatementClass
from lapse.protocols.postgres.judging import Outcome, may_be, must_be, verdict
from lapse.protocols.postgres.statements import Table

MASK = Mask(name="m")
READER = Guard(read_only=True)
SHOP = Guard(tables_allowed=("shop.*",), tables_denied=("*.secrets",))
DENY = Guard(tables_denied=("audit.*", "*.secrets"))

REFUSED = [
    (READER, "UPDATE t SET a = 1 WHERE b = 1", "read-only"),
    (READER, "SELECT * FROM t FOR UPDATE", "read-only"),
    (READER, "SET default_transaction_read_only = off", "must stay"),
    (READER, "SET SESSION default_transaction_read_only TO false", "must stay"),
    (READER, "SELECT set_config('default_transaction_' || 'read_only', 'off', false)", "constant name"),
    (READER, "SELECT set_config('Default_Transaction_Read_Only', 'off', false)", "must stay"),
    (READER, "SET transaction_read_only = off", "must stay"),
    (READER, "SET TRANSACTION READ WRITE", "READ WRITE"),
    (READER, "BEGIN READ WRITE", "READ WRITE"),
    (READER, "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "READ WRITE"),
    (READER, "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "READ WRITE"),
    (READER, "CALL p()", "class call"),
    (READER, "DO $$ BEGIN END $$", "class call"),
    (READER, "SET ROLE postgres", "class privilege"),
    (READER, "SET standard_conforming_strings = off", "must stay"),
    (READER, "SET client_encoding = 'SJIS'", "must stay"),
    (READER, "SET NAMES 'BIG5'", "must stay"),
    (READER, "SELECT 1; COMMIT; BEGIN READ WRITE; DELETE FROM t", "read-only"),
    (Guard(statements=(StatementClass.READ,)), "BEGIN", "class transaction"),
    (Guard(require_where=True), "DELETE FROM t", "WHERE"),
    (SHOP, "SELECT * FROM shop.secrets", "denied"),
    (SHOP, "SELECT * FROM orders", "not among"),
    (SHOP, "SELECT * FROM public.orders", "not among"),
    (SHOP, 'SELECT * FROM "shop.x".orders', "not among"),
    (SHOP, "SELECT query_to_xml('SELECT * FROM secrets', true, true, '')", "cannot be seen"),
    (SHOP, "DO $$ BEGIN END $$", "cannot be seen"),
    (SHOP, "DROP SCHEMA shop CASCADE", "cannot be seen"),
    (DENY, "SELECT * FROM secrets", "denied"),
    (DENY, "SELECT * FROM log", "denied"),
    (DENY, "SELECT * FROM audit.log", "denied"),
    (DENY, "SET search_path = audit; SELECT * FROM log", "denied"),
    (Guard(denied_patterns=(r"(?i)\bpg_sleep\b",)), "SELECT PG_SLEEP(1)", "matches"),
    (Guard(denied_patterns=(r"(?i)\bpg_sleep\b",)), 'SELECT U&"pg\\005fsleep"(1)', "matches"),
    (Guard(approval_patterns=("x",)), "EXECUTE p", "EXECUTE"),
    (Guard(masks=(MASK,)), "COPY t TO STDOUT", "masked"),
    (Guard(masks=(MASK,)), "SELECT 1; copy/**/(SELECT 1) TO STDOUT", "masked"),
    (READER, "SELEKT 1", "cannot be judged"),
]  # fmt: skip

ALLOWED = [
    (READER, "SELECT 1"),
    (READER, "BEGIN; SELECT 1; COMMIT"),
    (READER, "BEGIN READ ONLY"),
    (READER, "SET work_mem = '1MB'"),
    (READER, "DISCARD ALL"),
    (READER, "COPY t TO STDOUT"),
    (SHOP, "SELECT * FROM shop.orders"),
    (SHOP, "WITH x AS (SELECT * FROM shop.orders) SELECT * FROM x"),
    (DENY, "SELECT * FROM shop.orders"),
    (Guard(tables_allowed=("*.orders",)), "SELECT * FROM orders"),
    (Guard(tables_allowed=("*",)), "SELECT * FROM anything"),
    (Guard(require_where=True), "DELETE FROM t WHERE a = 1"),
    (Guard(masks=(MASK,)), "SELEKT is for the server to refuse"),
    (Guard(masks=(MASK,)), "COPY t FROM STDIN"),
    (Guard(masks=(MASK,)), "SELECT copy FROM t"),
]


@pytest.mark.parametrize(("guard", "sql", "why"), REFUSED, ids=lambda given: given if isinstance(given, str) else "")
def test_what_a_rule_forbids_is_refused_with_its_reason(guard, sql, why):
    found = verdict(guard, sql.encode())
    assert found.outcome is Outcome.REFUSED
    assert why in found.why


@pytest.mark.parametrize(("guard", "sql"), ALLOWED, ids=lambda given: given if isinstance(given, str) else "")
def test_everything_else_is_allowed(guard, sql):
    assert verdict(guard, sql.encode()).outcome is Outcome.ALLOWED


def test_a_statement_that_an_approval_is_asked_for_waits_unless_it_is_refused_anyway():
    guard = Guard(
        approval_statements=(StatementClass.UPDATE,), approval_patterns=(r"\bsalaries\b",), require_where=True
    )
    assert verdict(guard, b"UPDATE t SET a = 1 WHERE b = 1").outcome is Outcome.HELD
    held = verdict(guard, b"SELECT * FROM salaries")
    assert (held.outcome, "salaries" in held.why) == (Outcome.HELD, True)
    assert verdict(guard, b"UPDATE t SET a = 1").outcome is Outcome.REFUSED
    assert verdict(guard, b"SELECT 1").outcome is Outcome.ALLOWED


def test_a_text_whose_encoding_hides_what_it_says_is_refused():
    text = "SELECT 'ソ'".encode("shift_jis")
    assert verdict(READER, text, "SJIS").outcome is Outcome.REFUSED
    assert verdict(READER, b"SELECT 1", "SJIS").outcome is Outcome.ALLOWED
    assert verdict(READER, b"SELECT '\xff'").outcome is Outcome.REFUSED


NAMES = st.text("ab.", min_size=1, max_size=4)
PATTERNS = st.text("ab.*?", min_size=1, max_size=6)


@given(PATTERNS, st.text("ab", min_size=1, max_size=3), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1))
def test_a_table_without_a_schema_is_in_every_schema(pattern, name, schemas):
    somewhere = any(may_be(pattern, Table(schema, name)) for schema in schemas)
    everywhere = all(must_be(pattern, Table(schema, name)) for schema in schemas)
    assert may_be(pattern, Table("", name)) or not somewhere
    assert not must_be(pattern, Table("", name)) or everywhere


@given(st.sampled_from([READER, SHOP, DENY]), st.binary(max_size=60))
def test_any_bytes_get_a_verdict(guard, text):
    assert verdict(guard, text).outcome in Outcome
