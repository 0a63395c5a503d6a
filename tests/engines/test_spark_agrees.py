"""Spark and DuckDB give the same rows: all that may be said, over hundreds of awkward values."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lapse.engines.duckdb_engine import DuckDbEngine
from support.spark import needs_spark, spark_engine

pytestmark = [needs_spark, pytest.mark.usefixtures("spark")]

TEXTS = (
    *(
        "",
        " ",
        "a",
        "A",
        "aa",
        "a b",
        " a ",
        "\ta\n",
        "\u00a0a\u3000",
        "äöü",
        "👍a",
        "a'b",
        'a"b',
        "a`b",
        "a\\b",
        "a%b",
        "a_b",
    ),
    *(
        "\\",
        "\\\\",
        "%",
        "_",
        "-",
        "1",
        "01",
        "-5",
        "pg_read_all_data",
        "a > b > c",
        " > a",
        "x;y;z",
        ";;",
        "a.b",
        "A.B",
        "[a]",
    ),
)
UNITS = ("microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
NUMBERS = (0, 1, -1, 2, 3, 7, -7, 10, 60, 100, 3600, 2**31, -(2**40), 10**15)
EXPRESSIONS = {
    **{f"date_diff by {unit}": f"date_diff('{unit}', t, u)" for unit in UNITS if unit != "week"},
    **{f"date_trunc to {unit}": f"date_trunc('{unit}', t)" for unit in UNITS},
    "strftime": "strftime(t, '%Y-%m-%dT%H:%M:%SZ')",
    "strftime with words": "strftime(t, 'on %d.%m.%Y, at %H:%M''s %f [100 %%] #{y}')",
    "parts of a time": "year(t) * 10000 + month(t) * 100 + day(t)",
    "hour and minute": "100 * hour(t) + extract(minute FROM t)",
    "quarter": "date_part('quarter', t)",
    "day of the week": "dayofweek(t)",
    "day of the week, extracted": "extract(dow FROM t)",
    "day of the week by ISO": "isodow(t)",
    "epoch": "epoch(t)",
    "later": "t + INTERVAL 1 DAY",
    "earlier": "t - INTERVAL '90 minutes' + to_seconds(5)",
    "some hours later": "t + to_hours(m)",
    "longer than": "u - t > INTERVAL 2 HOUR",
    "day": "CAST(t AS DATE)",
    "earliest and latest": "LEAST(t, u) < GREATEST(t, u)",
    "text of a number": "CAST(n AS VARCHAR)",
    "text of a yes": "CAST(ok AS VARCHAR)",
    "joined texts": "a || '/' || b || CASE WHEN ok THEN '!' ELSE '' END",
    "quotes": """'it''s `a` "b" \\ \\n %' || a""",
    "trim": "'<' || trim(a) || '|' || ltrim(a) || '|' || rtrim(a) || '>'",
    "length": "length(a)",
    "length without spaces": "length(trim(COALESCE(a, '')))",
    "lower and upper": "lower(a) || upper(b)",
    "part of a text": "substr(a, 1, 3) || '|' || substr(a, 2, 1) || '|' || substr(a, -2) || '|' || left(a, 2)",
    "replace": "replace(replace(a, 'a', 'bb'), '\\', '/')",
    "split_part": "split_part(a, ' > ', 2)",
    "split_part by a number": "split_part(a, ' > ', m)",
    "last part": "split_part(a, ';', -1)",
    "place": "strpos(a, 'b')",
    "begins, ends, has": "starts_with(a, 'a') OR ends_with(a, 'b') OR contains(a, '_')",
    "LIKE": "a LIKE 'a%'",
    "LIKE with a backslash": "a LIKE '%\\%'",
    "LIKE a column": "a LIKE b",
    "NOT ILIKE": "a NOT ILIKE 'A_%'",
    "LIKE with ESCAPE": "a LIKE '%!%%' ESCAPE '!'",
    "a pattern": "regexp_matches(a, '^[a-z]+(_|\\.)?')",
    "a pattern with ~": "a ~ '[0-9]'",
    "comparison of texts": "a < b",
    "one of": "a IN ('a', 'b', b)",
    "between": "n BETWEEN -1 AND m",
    "same": "a IS NOT DISTINCT FROM b",
    "three values": "(ok OR n > 0) AND NOT (ok AND m > 0)",
    "nullif": "NULLIF(n, m)",
    "division": "n / 7",
    "division by a column": "n / m",
    "division of decimals": "100.0 * n / NULLIF(m, 0)",
    "whole division": "CASE WHEN m <> 0 THEN n // m END",
    "remainder": "CASE WHEN m <> 0 THEN n % m END",
    "sums of decimals": "0.1 * n + 2.25",
    "rounded": "round(n / 7, 1)",
    "rounded to two digits": "round(n / 200, 2)",
    "rounded to none": "round(n / 2.0)",
    "whole": "CAST(n / 2 AS BIGINT)",
    "percent": "CAST(round(100.0 * m / 7) AS BIGINT)",
    "text of a share": "CAST(round(m / 8, 2) AS VARCHAR)",
    "floor and ceil": "floor(n / 4) - ceil(n / 4)",
    "absolute": "abs(n)",
    "root": "CAST(sqrt(abs(m)) AS DOUBLE)",
    "cast to a yes": "CAST(m AS BOOLEAN)",
    "number of a yes": "CAST(ok AS INTEGER)",
    "time in the text": "CAST('1900-01-01T00:00:00.000001Z' AS TIMESTAMPTZ) < t",
    "parameter": "$text || CAST($number AS VARCHAR)",
    "product of parameters": "3600 * $large * $number",
    "time as a parameter": "date_diff('microsecond', t, $at)",
}
AGGREGATES = {
    "count": "count(*) * 1000 + count(a) * 100 + count(DISTINCT a)",
    "sum": "sum(m)",
    "sum where": "sum(m) FILTER (WHERE ok)",
    "average": "avg(m)",
    "median": "median(m)",
    **{f"quantile {share}": f"quantile_disc(n, {share})" for share in (0, 0.05, 0.25, 0.5, 0.9, 0.95, 0.99, 1)},
    "quantile of times": "quantile_disc(t, 0.5)",
    "quantile of texts": "quantile_disc(a, 0.5)",
    "all and any": "bool_and(ok) OR bool_or(ok)",
    "least and greatest": "min(a) || max(a)",
    "first time": "min(t)",
    "names": "string_agg(DISTINCT a, ';' ORDER BY a)",
    "spread": "stddev_samp(m)",
    "spread of one": "stddev_samp(CASE WHEN id = 7 THEN m END)",
}
WINDOWS = {
    "number": "row_number() OVER (PARTITION BY g ORDER BY a, t DESC, id)",
    "rank": "rank() OVER (ORDER BY m) * 1000 + dense_rank() OVER (ORDER BY m DESC)",
    "before": "lag(a) OVER (PARTITION BY g ORDER BY t, id)",
    "two after": "lead(a, 2) OVER (PARTITION BY g ORDER BY t, id)",
    "latest so far": """max(t) OVER (PARTITION BY g ORDER BY u, id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)""",
    "running sum": "sum(m) OVER (PARTITION BY g ORDER BY m)",
    "of all": "count(*) OVER ()",
    "first": "first_value(a) OVER (PARTITION BY g ORDER BY t NULLS FIRST, id)",
}
PARAMETERS = {
    "text": "a' OR 'x'='x\\",
    "number": 5,
    "large": 10**10,
    "at": datetime(2026, 7, 1, 12, 30, 0, 250_001, tzinfo=UTC),
}
QUERIES = (
    "SELECT DISTINCT a, ok FROM things ORDER BY 2 DESC, 1",
    "SELECT id, t FROM things ORDER BY t DESC, id LIMIT 7",
    "SELECT t, id FROM things ORDER BY ok NULLS FIRST, a DESC NULLS LAST, id",
    "SELECT g, count(*) AS n FROM things GROUP BY g HAVING count(b) > 40 ORDER BY n DESC, g",
    "SELECT a AS x FROM things INTERSECT SELECT b FROM things ORDER BY 1",
    "SELECT a AS x FROM things EXCEPT SELECT b FROM things WHERE ok ORDER BY 1",
    "SELECT a FROM things WHERE a NOT IN (SELECT b FROM things WHERE b IS NOT NULL AND id < 20) ORDER BY id",
    "SELECT count(*) AS n FROM things WHERE a NOT IN (SELECT b FROM things)",
    "SELECT t.id FROM things t SEMI JOIN things o ON o.b = t.a AND o.id < t.id ORDER BY 1",
    "SELECT t.id FROM things t ANTI JOIN things o ON o.b = t.a AND o.id < t.id ORDER BY 1",
    """SELECT t.id, o.id AS other FROM things t FULL JOIN (SELECT * FROM things WHERE g = 1) o ON o.id = t.id + 1
        ORDER BY 1, 2""",
    """SELECT id, EXISTS (SELECT 1 FROM things o WHERE o.a = things.b AND o.t > things.t) AS later,
        (SELECT max(o.n) FROM things o WHERE o.g = things.g AND (o.ok IS NULL OR o.a <> things.a)) AS most
        FROM things ORDER BY id""",
    "SELECT id FROM things QUALIFY row_number() OVER (PARTITION BY g ORDER BY id DESC) = 1 ORDER BY id",
    "SELECT * EXCLUDE (a, b) FROM things WHERE id < 3 ORDER BY id",
    "WITH things AS (SELECT 1 AS x UNION ALL SELECT NULL) SELECT * FROM things ORDER BY x",
    "SELECT x.k, x.v FROM (VALUES (1, 'a'), (2, NULL)) x(k, v) ORDER BY k",
    'WITH "over" AS (SELECT id AS "end", g AS "Order" FROM things) SELECT * FROM "over" WHERE "end" < 3 ORDER BY 1',
    """SELECT g, string_agg(a, ', ' ORDER BY id DESC) AS x, string_agg(b, '' ORDER BY ok, t DESC, id) AS y,
        string_agg(CASE WHEN g = 1 THEN 'x' END, ';' ORDER BY id) AS z FROM things GROUP BY g ORDER BY g""",
    """SELECT g, count(DISTINCT a) AS x, count(DISTINCT b) AS y, string_agg(DISTINCT a, ';' ORDER BY a) AS z
        FROM things GROUP BY g ORDER BY g""",
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory, spark):
    path = tmp_path_factory.mktemp("things") / "things.parquet"
    pq.write_table(things(), path)
    both = DuckDbEngine(threads=1), spark_engine()
    for engine in both:
        engine.register("things", str(path))
    yield both
    for engine in both:
        engine.close()


def things():
    pick = random.Random(7)  # noqa: S311  test data

    def time():
        base = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=pick.choice((0, 1, 999_999, -1, 250_000)))
        far = timedelta(days=pick.choice((0, 0, 1, 30, 300, 3_000, -40_000)))
        return base + far + timedelta(seconds=pick.choice((0, 1, 59, 60, 3_599, 86_399, pick.randrange(10**7))))

    def some(value):
        return None if pick.random() < 0.15 else value

    rows = [
        {
            "id": number,
            "g": number % 5,
            "a": some(pick.choice(TEXTS)),
            "b": some(pick.choice(TEXTS)),
            "n": some(pick.choice(NUMBERS)),
            "m": some(pick.randrange(-5, 50)),
            "ok": some(pick.random() < 0.5),
            "t": some(time()),
            "u": some(time()),
        }
        for number in range(300)
    ]
    kinds = {"a": pa.string(), "b": pa.string(), "ok": pa.bool_(), **dict.fromkeys("tu", pa.timestamp("us", tz="UTC"))}
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.int64())) for name in rows[0]]))


def asked(engines, expressions, rest):
    """Both engines' columns of all `expressions`, asked in one query."""
    names = {f"c{number}": name for number, name in enumerate(expressions)}
    columns = ", ".join(f"{expressions[name]} AS {column}" for column, name in names.items())
    duck, spark = (engine.query(f"SELECT {columns} {rest}", PARAMETERS) for engine in engines)
    return [(name, [row[column] for row in duck], [row[column] for row in spark]) for column, name in names.items()]


def same(one, other):
    """Equal and of one type; floating point may differ in the last digits, where the order of a sum shows."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    return one == other


def differences(compared):
    return {
        name: found[:5]
        for name, duck, spark in compared
        if (found := [(d, s) for d, s in zip(duck, spark, strict=True) if not same(d, s)])
    }


def test_expressions(engines):
    assert differences(asked(engines, EXPRESSIONS, "FROM things ORDER BY id")) == {}


@pytest.mark.parametrize("group", ["g", "a"])
def test_aggregates_of_groups(engines, group):
    assert differences(asked(engines, AGGREGATES, f"FROM things GROUP BY {group} ORDER BY {group}")) == {}


def test_aggregates_of_nothing(engines):
    assert differences(asked(engines, AGGREGATES, "FROM things WHERE id < 0")) == {}


def test_windows(engines):
    assert differences(asked(engines, WINDOWS, "FROM things ORDER BY id")) == {}


@pytest.mark.parametrize("sql", QUERIES)
def test_whole_queries(engines, sql):
    duck, spark = (engine.query(sql, PARAMETERS) for engine in engines)
    assert spark == duck
    assert spark


@pytest.mark.parametrize("size", range(1, 25))
def test_quantiles_of_every_size(engines, size):
    shares = {str(share): f"quantile_disc(id, {share})" for share in (0.01, 0.05, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99)}
    assert differences(asked(engines, shares, f"FROM things WHERE id < {size}")) == {}
