"""Detectors on Spark find what they find on DuckDB, in the rows of all cases; and how Spark starts, fails and ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.engines import spark_process
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.engines.spark_engine import SparkEngine
from lapse.review.detection.cases import cases_of, run_case
from lapse.review.detection.detector import all_detectors
from lapse.review.model import RunStatus
from support.both_engines import BothEngines
from support.spark import MASTER, QUICK, needs_spark, spark_engine

pytestmark = needs_spark
DETECTORS = {detector.id: detector for detector in all_detectors()}


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
def test_a_detector_finds_the_same_in_the_rows_of_all_of_its_cases(tmp_path, spark, detector):
    cases = cases_of(detector.id)
    one = next(case for case in cases if case.finds)
    if not same_on_both(detector, together(one, cases), tmp_path / "all"):  # what one finds, rows of another clear
        assert same_on_both(detector, one, tmp_path / "one"), one.name


def same_on_both(detector, case, folder):
    """Whether Spark and DuckDB found anything; that their rows differ is an error already."""
    compared = BothEngines.made(lambda: DuckDbEngine(threads=1), spark_engine, in_order=False)
    result = run_case(compared, detector, case, folder)
    assert result.status in {RunStatus.FOUND, RunStatus.CLEAR}, case.name
    return result.status is RunStatus.FOUND


def together(one, cases):
    """A case with the rows of all: each query costs Spark a second, however many rows it is about.

    What two of them call by one name comes twice, so that an order by names says nothing about it.
    """
    names = dict.fromkeys(name for case in cases for name in case.tables)
    tables = {name: tuple(row for case in cases for row in case.tables.get(name, ())) for name in names}
    return replace(one, name="; ".join(case.name for case in cases), tables=tables)


def test_importing_the_engine_loads_neither_spark_nor_sqlglot():
    code = "import sys, lapse.engines.spark_engine; sys.exit(bool({'pyspark', 'py4j', 'sqlglot'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "master", ["", "yarn", "local[]", "local[x]", "spark://", "spark://host", "k8s://x", "spark://a:b"]
)
def test_a_master_that_is_none_is_refused(master):
    with pytest.raises(InvalidInput, match="is no master of Spark"):
        SparkEngine(master)


def test_without_java_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(Unavailable, match="need Java 17") as caught:
        SparkEngine("local")
    assert "openjdk-17-jre-headless" in caught.value.hint


def test_without_pyspark_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(spark_process.importlib.util, "find_spec", lambda name: None if name == "pyspark" else name)
    with pytest.raises(Unavailable, match="need PySpark") as caught:
        SparkEngine("local")
    assert "lapse[spark]" in caught.value.hint


def test_a_cluster_elsewhere_is_refused_while_spark_is_up(spark):
    with pytest.raises(Unavailable, match=r"another review is on Spark at `local\[2\]`"):
        SparkEngine("spark://127.0.0.1:9").query("SELECT 1 AS x")


def test_paths_are_no_patterns_and_hidden_folders_are_seen(tmp_path, spark):
    folder = tmp_path / ".lapse" / "_x=1" / "a[1]{b,c}*?\\"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"x": [7]}), folder / "t.parquet")
    engine = spark_engine()
    engine.register("t", str(folder / "t.parquet"))
    assert engine.query("SELECT * FROM t") == [{"x": 7}]
    engine.close()


def test_a_file_that_is_replaced_is_read_anew(tmp_path, spark):
    engine, path = spark_engine(), tmp_path / "t.parquet"
    for value in (1, 2):
        pq.write_table(pa.table({"x": [value]}), path)
        engine.register("t", str(path))
        assert engine.query("SELECT x FROM t") == [{"x": value}]
    engine.close()


def test_kinds_of_columns_beside_those_of_evidence_are_read_as_well(tmp_path, spark):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": pa.array([1.5], pa.float32()), "y`z": pa.array(["a"])}), path)
    engine = spark_engine()
    engine.register("t", str(path))
    assert engine.query("SELECT * FROM t") == [{"x": 1.5, "y`z": "a"}]
    engine.close()


def test_a_file_that_is_gone_or_broken_is_the_engines_trouble(tmp_path, spark):
    engine, path = spark_engine(), tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 not really PAR1")
    engine.register("t", str(path))
    with pytest.raises(Unavailable, match="gave up"):
        engine.query("SELECT * FROM t")
    pq.write_table(pa.table({"x": ["a"]}), path)
    assert engine.query("SELECT x FROM t") == [{"x": "a"}]
    path.unlink()
    with pytest.raises(Unavailable, match="gave up"):
        engine.query("SELECT x FROM t")
    engine.close()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT CAST(x AS BIGINT) AS n FROM t", r"CAST_INVALID_INPUT.*'a'"),
        ("SELECT 1 // (length(x) - 1) AS n FROM t", "DIVIDE_BY_ZERO"),
        ("SELECT y FROM t", "UNRESOLVED_COLUMN.*`y`"),
        ("SELECT (SELECT x FROM t) AS x", "SCALAR_SUBQUERY_TOO_MANY_ROWS"),
        ("SELECT sum(x) AS n FROM t WHERE sum(length(x)) > 1", "INVALID_WHERE_CONDITION"),
        ("SELECT sum(9223372036854775807 - length(y)) AS n FROM t", "UNRESOLVED_COLUMN"),
    ],
)
def test_what_is_wrong_with_a_query_is_one_sentence_without_it(tmp_path, spark, capfd, sql, says):
    pq.write_table(pa.table({"x": ["a", "b"]}), tmp_path / "t.parquet")
    engine = spark_engine()
    engine.register("t", str(tmp_path / "t.parquet"))
    with pytest.raises(InvalidInput, match=f"^the query cannot be run: .*{says}") as caught:
        engine.query(sql)
    assert not {"SELECT", "\n", "SQLSTATE"} & set(caught.value.message.split())
    assert capfd.readouterr() == ("", "")
    engine.close()


def test_a_value_of_no_kind_is_refused(spark):
    with pytest.raises(InvalidInput, match="the value of `x`"):
        spark_engine().query("SELECT $x AS x", {"x": timedelta(1)})


def test_engines_have_tables_of_their_own(tmp_path, spark):
    one, other = spark_engine(), spark_engine()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    one.register("t", str(tmp_path / "t.parquet"))
    assert one.query("SELECT x FROM t") == [{"x": 1}]
    with pytest.raises(InvalidInput, match="there is no table `t`"):
        other.query("SELECT x FROM t")
    one.close()
    one.close()
    assert one.query("SELECT x FROM t") == [{"x": 1}]
    one.close()


ALONE = f"""
import os, pathlib, signal, tempfile
from lapse.engines.spark_engine import SparkEngine
from lapse.engines.spark_process import SHARED
from lapse.domain.errors import LapseError

engine = SparkEngine({MASTER!r}, memory="512m", settings={QUICK!r})
before = signal.getsignal(signal.SIGINT)
print(engine.query("SELECT 1 AS x"))
running = SHARED._running
os.kill(running.process.pid, signal.SIGKILL)
try:
    engine.query("SELECT 2 AS x")
except LapseError as error:
    print(error.code, error.message)
print(engine.query("SELECT 3 AS x"))
last = SHARED._running.process
engine.close()
print(last.poll() is not None, signal.getsignal(signal.SIGINT) is before)
print(sorted(path.name for path in pathlib.Path(".").iterdir()))
print([path.name for path in pathlib.Path(tempfile.gettempdir()).iterdir()])
"""


def test_it_ends_without_a_trace_and_starts_again_after_a_crash(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    script = tmp_path / "script.py"
    script.write_text(ALONE)
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    first, failed, again, ended, here, temporary = done.stdout.splitlines()
    assert first == "[{'x': 1}]"
    assert failed.startswith("unavailable the review engine gave up: Spark does not answer any more (")
    assert again == "[{'x': 3}]"
    assert ended == "True True"
    assert here == temporary == "[]"


def test_a_jvm_that_does_not_start_is_said_with_its_reason(tmp_path):
    engine = "SparkEngine('local', settings={'spark.driver.memory': '1k'}).query('SELECT 1 AS x')"
    script = (
        f"from lapse.engines.spark_engine import SparkEngine\ntry:\n    {engine}\nexcept Exception as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Spark does not start: ")
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_gave_the_review_up_is_said():
    context = Mock()
    context._jsc.sc.side_effect = ConnectionRefusedError
    with pytest.raises(Unavailable, match="the Spark cluster at `spark://h:1` could not start an executor"):
        spark_process._has_worker(context, "spark://h:1")


def test_a_master_that_does_not_answer_is_said_at_once(tmp_path):
    script = (
        "from lapse.engines.spark_engine import SparkEngine\n"
        "try:\n    SparkEngine('spark://127.0.0.1:9').query('SELECT 1 AS x')\nexcept Exception as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "no master of Spark answers at `spark://127.0.0.1:9`\n"
