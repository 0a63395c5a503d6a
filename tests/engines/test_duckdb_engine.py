from __future__ import annotations

import subprocess
import sys

import pytest

from lapse.domain.errors import Unavailable
from lapse.engines.duckdb_engine import DuckDbEngine


def test_a_query_that_needs_too_much_memory_fails_and_the_engine_lives_on():
    engine = DuckDbEngine(memory_limit="20MB", threads=1)
    with pytest.raises(Unavailable, match="gave up"):
        engine.query("SELECT list(i) AS l FROM range(50000000) t(i)")
    assert engine.query("SELECT 1 AS one") == [{"one": 1}]
    engine.close()


def test_importing_the_engine_does_not_load_duckdb():
    code = "import sys, lapse.engines.duckdb_engine; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_with_a_folder_to_spill_into_a_large_sort_finishes_in_little_memory(tmp_path):
    engine = DuckDbEngine(memory_limit="60MB", threads=1, spill=tmp_path)
    sql = "SELECT max(r) AS n FROM (SELECT row_number() OVER (ORDER BY hash(i)) AS r FROM range(4000000) t(i))"
    assert engine.query(sql) == [{"n": 4_000_000}]
    engine.close()
