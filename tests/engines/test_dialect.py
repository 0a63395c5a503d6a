"""What review SQL becomes for Spark, and what is refused. That it means the same: test_spark_agrees."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from lapse.domain.errors import InvalidInput
from lapse.review import workflows
from lapse.review.adjust import durations
from lapse.review.detection.detector import all_detectors
from lapse.review.detection.shared import SHARED, with_heads
from lapse.review.evidence import TABLES
from lapse.review.items import holdings
from support.spark import needs_spark

pytestmark = needs_spark

OF_STAGES = {
    "holdings": holdings._SQL,
    "lag": workflows._LAG,
    "patterns": workflows._PATTERNS,
    "uses": durations._USED,
    "offers": durations._OFFERS,
}
MERGES = {f"pieces of {table.name}": table.merged(["usage_totals_1", "usage_totals_2"]) for table in SHARED}
DETECTORS = {detector.id: detector.sql for detector in all_detectors()}
EVERY = {name: with_heads(sql) for name, sql in {**OF_STAGES, **DETECTORS}.items()}


def to_spark(sql, tables=("t", "u"), whole=()):
    from lapse.engines.dialect import to_spark

    return to_spark(sql, tables=tables, whole=whole)


@pytest.mark.parametrize("sql", EVERY.values(), ids=EVERY)
def test_every_query_of_a_review_can_be_said(sql):
    assert to_spark(sql, TABLES, ["tolerance_seconds"]).tables


@pytest.mark.parametrize("sql", MERGES.values(), ids=MERGES)
def test_what_pieces_of_the_use_give_is_put_together_on_every_engine(sql):
    assert to_spark(sql, ["usage_totals_1", "usage_totals_2"]).tables


def test_every_file_of_sql_is_among_them():
    folder = files("lapse.review") / "detectors"
    assert {file.name for file in folder.iterdir() if file.name.endswith(".sql")} == {
        f"{detector.id}.sql" for detector in all_detectors()
    }


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "date_diff('second', a, b)",
            "TIMESTAMPDIFF(SECOND, DATE_TRUNC('SECOND', `a`), DATE_TRUNC('SECOND', `b`))",
        ),
        ("strftime(a, '%Y-%m-%dT%H:%M:%SZ')", r"DATE_FORMAT(`a`, 'yyyy-MM-dd\'T\'HH:mm:ss\'Z\'')"),
        ("a // b", "`a` DIV `b`"),
        ("a / 60", "CAST(`a` AS DOUBLE) / CAST(60 AS DOUBLE)"),
        ("a / NULLIF(b, 0)", "CAST(`a` AS DOUBLE) / CAST(NULLIF(`b`, 0) AS DOUBLE)"),
        (
            "quantile_disc(a, 0.5)",
            "TRY_ELEMENT_AT(ARRAY_SORT(COLLECT_LIST(`a`)), CAST(GREATEST(CEIL(0.5 * COUNT(`a`)), 1) AS INT))",
        ),
        ("string_agg(a, ';' ORDER BY b)", "LISTAGG(`a`, ';') WITHIN GROUP (ORDER BY `b` NULLS LAST)"),
        ("count(*) FILTER (WHERE a)", "COUNT(*) FILTER(WHERE `a`)"),
        ("split_part(a, ' > ', 2)", "SPLIT_PART(`a`, ' > ', CAST(2 AS INT))"),
        ("CAST(a AS TIMESTAMPTZ)", "CAST(`a` AS TIMESTAMP)"),
        ("CAST(a / 7 AS BIGINT)", "CAST(RINT(CAST(`a` AS DOUBLE) / CAST(7 AS DOUBLE)) AS BIGINT)"),
        ("a LIKE 'x%'", "`a` LIKE 'x%' ESCAPE '\\001'"),
        ("isodow(a)", "(WEEKDAY(`a`) + 1)"),
        ("'it''s'", r"'it\'s'"),
        (r"'a\b'", r"'a\\b'"),
    ],
)
def test_what_spark_means_otherwise_is_said_otherwise(sql, said):
    assert to_spark(f"SELECT {sql} AS x FROM t").sql == f"SELECT {said} AS `x` FROM `t`"


def test_names_are_quoted_and_comments_stay_behind():
    found = to_spark('SELECT "end", a.b /* why */ FROM t AS a -- because')
    assert found.sql == "SELECT `end`, `a`.`b` FROM `t` AS `a`"


def test_nulls_come_last_either_way():
    assert to_spark("SELECT a FROM t ORDER BY a, b DESC").sql.endswith("ORDER BY `a` NULLS LAST, `b` DESC")


def test_parameters_are_named_and_whole_ones_are_wide():
    found = to_spark("SELECT $text, 3600 * $hours FROM t LIMIT $hours", whole=["hours"])
    assert found.sql == "SELECT :text, 3600 * CAST(:hours AS BIGINT) FROM `t` LIMIT :hours"
    assert found.parameters == {"text", "hours"}


def test_a_dollar_in_a_text_is_no_parameter():
    assert to_spark("SELECT '$not_one' FROM t").parameters == frozenset()


def test_the_tables_that_are_read_are_known():
    found = to_spark("WITH v AS (SELECT * FROM t), u AS (SELECT 1) SELECT * FROM v JOIN T AS x ON TRUE")
    assert found.tables == {"t"}


def test_a_table_that_the_query_defines_is_its_own():
    found = to_spark("WITH t AS (SELECT 1 AS x) SELECT * FROM t")
    assert found.tables <= {"t"}


@pytest.mark.parametrize(
    "sql",
    [
        *("SELECT * FROM nope", "SELECT * FROM 'a.parquet'", "SELECT * FROM other.t", 'SELECT * FROM "parquet"."/etc"'),
        *("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM range(5)", "SELECT * FROM t, LATERAL (SELECT 1)"),
        "SELECT 1 WHERE EXISTS (SELECT * FROM nope)",
    ],
)
def test_nothing_else_than_tables_is_read(sql):
    with pytest.raises(InvalidInput, match="cannot be run"):
        to_spark(sql)


@pytest.mark.parametrize(
    "sql",
    [
        *("", ";", "SELEKT 1", "SELECT (", "SELECT 1; SELECT 2", "VALUES (1)", "DESCRIBE t", "SUMMARIZE t"),
        *(
            "COPY (SELECT 1) TO 'x'",
            "SET memory_limit = '1GB'",
            "DROP TABLE t",
            "INSERT INTO t SELECT 1",
            "LOAD httpfs",
        ),
        *("CREATE VIEW v AS SELECT 1", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "PRAGMA version"),
    ],
)
def test_only_one_select_is_a_query(sql):
    with pytest.raises(InvalidInput, match="cannot be run"):
        to_spark(sql)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("reflect('java.lang.System', 'exit', '0')", "REFLECT('java.lang.System', 'exit', '0')"),
        ("java_method('java.lang.System', 'exit')", "JAVA_METHOD('java.lang.System', 'exit')"),
        ("input_file_name()", "INPUT_FILE_NAME()"),
        ("now()", "NOW()"),
        ("random()", "RANDOM()"),
        ("log(a)", "LOG(a)"),
        ("list(a)", "ARRAY_AGG(a)"),
        ("unnest(a)", "UNNEST(a)"),
        ("a[1]", "a[1]"),
        ("epoch_ms(a)", "EPOCH_MS(a)"),
        ("concat(a, b)", "CONCAT(a, b)"),
        ("any_value(a)", "ANY_VALUE(a)"),
        ("regexp_replace(a, 'x', 'y')", "REGEXP_REPLACE(a, 'x', 'y')"),
        ("CAST(a AS TIMESTAMP)", "the type TIMESTAMP"),
        ("CAST(a AS DECIMAL(5, 2))", "the type DECIMAL(5, 2)"),
        ("sum(a) OVER (ORDER BY a GROUPS 1 PRECEDING)", "a window by GROUPS or with EXCLUDE"),
        ("a SIMILAR TO 'x'", "a SIMILAR TO 'x'"),
        ("a & 1", "a & 1"),
    ],
)
def test_what_is_not_known_to_mean_the_same_is_refused_by_name(expression, what):
    with pytest.raises(InvalidInput, match=re.escape(f"of `{what}` it is not known")):
        to_spark(f"SELECT {expression} FROM t")


@pytest.mark.parametrize(
    "sql",
    [
        *(
            "SELECT DISTINCT ON (a) a, b FROM t",
            "SELECT * FROM t ASOF JOIN u ON t.a >= u.a",
            "SELECT * FROM t NATURAL JOIN u",
        ),
        *("SELECT * REPLACE (1 AS a) FROM t", "SELECT * FROM t TABLESAMPLE 10%", "PIVOT t ON a USING sum(b)"),
        "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 5) SELECT * FROM r",
        "SELECT a, sum(b) FROM t GROUP BY CUBE (a)",
    ],
)
def test_shapes_that_spark_does_not_have_are_refused(sql):
    with pytest.raises(InvalidInput):
        to_spark(sql)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("strftime(a, '%A')", "strftime with `%A`"),
        ("strftime(a, '%')", "at its end"),
        ("strftime(a, b)", "written out"),
        ("date_diff('week', a, b)", "date_diff by `WEEK`"),
        ("date_diff(c, a, b)", "date_diff by `C`"),
        ("string_agg(a, ';')", "needs an ORDER BY"),
        ("string_agg(DISTINCT a, ';' ORDER BY a DESC)", "ORDER BY of the same"),
        ("string_agg(DISTINCT a, ';' ORDER BY a) FILTER (WHERE b)", "with FILTER or OVER"),
        ("quantile_disc(a, 0.5) OVER ()", "with FILTER or OVER"),
        ("quantile_disc(a, b)", "one share between 0 and 1"),
        ("quantile_disc(a, [0.1, 0.2])", "not known"),
        ("trim(a, 'x')", "other characters than spaces"),
        ("round(a, b)", "written out"),
        ("extract(century FROM a)", "the part `CENTURY` of a time"),
        ("date_part(b, a)", "written out"),
        ("a + INTERVAL '1 month'", "an INTERVAL is a whole number"),
        ("a + INTERVAL '1.5 hours'", "an INTERVAL is a whole number"),
        ("?", "its parameters need names"),
        ("$1", "its parameters need names"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_reason(expression, why):
    with pytest.raises(InvalidInput, match=re.escape(why)):
        to_spark(f"SELECT {expression} FROM t")
