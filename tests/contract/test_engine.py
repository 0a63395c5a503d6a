"""What every engine must do; an engine is added to the list and nothing else changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lapse.domain.errors import InvalidInput, NotFound
from lapse.engines.duckdb_engine import DuckDbEngine
from support.spark import needs_spark, spark_engine

AT = datetime(2026, 7, 1, 12, 30, 0, 250_000, tzinfo=UTC)


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=needs_spark)])
def engine(request):
    if request.param == "spark":
        request.getfixturevalue("spark")
    made = spark_engine() if request.param == "spark" else DuckDbEngine()
    yield made
    made.close()


@pytest.fixture
def grants(tmp_path):
    file = tmp_path / "gra'nts.parquet"
    schema = pa.schema([("id", pa.string()), ("n", pa.int64()), ("seen", pa.timestamp("us", tz="UTC"))])
    pq.write_table(
        pa.Table.from_pylist([{"id": "a", "n": 1, "seen": AT}, {"id": "b", "n": 2, "seen": None}], schema), file
    )
    return str(file)


def test_a_registered_file_is_a_table_and_times_are_utc(engine, grants):
    engine.register("grants", grants)
    assert engine.query("SELECT * FROM grants ORDER BY id") == [
        {"id": "a", "n": 1, "seen": AT},
        {"id": "b", "n": 2, "seen": None},
    ]


def test_parameters_are_values_and_unused_ones_are_ignored(engine, grants):
    engine.register("grants", grants)
    hostile = "a' OR 'x'='x"
    found = engine.query("SELECT id FROM grants WHERE id = $id -- $not_one", {"id": hostile, "spare": 1})
    assert found == []
    assert engine.query("SELECT n FROM grants WHERE seen = $at", {"at": AT}) == [{"n": 1}]


def test_a_missing_parameter_is_named(engine):
    with pytest.raises(InvalidInput, match="`who`"):
        engine.query("SELECT $who")


def test_a_second_registration_replaces_the_first_and_adds_tables(engine, grants, tmp_path):
    engine.register("grants", grants)
    assert len(engine.query("SELECT * FROM grants")) == 2
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), other)
    engine.register("other", str(other))
    engine.register("grants", str(other))
    assert engine.query("SELECT count(*) AS n FROM grants JOIN other USING (x)") == [{"n": 1}]


@pytest.mark.parametrize("table", ["", "Grants", "a b", 'a"b', "1a", "a;drop"])
def test_names_that_are_not_tables_are_refused(engine, grants, table):
    with pytest.raises(InvalidInput, match="not a table name"):
        engine.register(table, grants)


def test_a_file_that_is_not_there_is_said(engine, tmp_path):
    with pytest.raises(NotFound, match="there is no file"):
        engine.register("grants", str(tmp_path / "none.parquet"))


def test_wrong_sql_is_one_clear_sentence(engine):
    with pytest.raises(InvalidInput, match="the query cannot be run") as caught:
        engine.query("SELEKT 1")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "reach",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
    ],
)
def test_a_query_reaches_nothing_but_its_tables(engine, grants, tmp_path, reach):
    engine.register("grants", grants)
    with pytest.raises(InvalidInput):
        engine.query(reach.format(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["gra'nts.parquet"]
