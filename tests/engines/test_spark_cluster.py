"""Detectors on a real cluster of Spark, a master and two workers on loopback: they find what they find on DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lapse.domain.data import to_data
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.collect import Inputs, collect_imports
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.detector import all_detectors, run_detector
from lapse.review.scope import parse_scope
from lapse.review.simulation import Size, simulate
from support.spark import needs_spark

pytestmark = [needs_spark, pytest.mark.timeout(280)]

WORLD = Size(people=50, days=92, seed=7)
DETECTORS = ("C15", "L4", "R9")
"""One of each kind. All of them, on a cluster that just started, would take minutes."""
ON_SPARK = """
import json, pathlib, sys
from lapse.bootstrap.engines import new_engine
from lapse.domain.data import to_data
from lapse.review.detection.detector import all_detectors, run_detector
from lapse.review.collection.snapshot import load_snapshot, register_all

master, folder, out, *names = sys.argv[1:]
snapshot, engine = load_snapshot(pathlib.Path(folder)), new_engine(master)
register_all(engine, snapshot)
found = [run_detector(engine, snapshot.manifest, one) for one in all_detectors() if one.id in names]
engine.close()
pathlib.Path(out).write_text(json.dumps(to_data(found)))
"""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = simulate(WORLD, folder / "files")
    scope = parse_scope("all", WORLD.period)
    return collect_imports(Inputs(imports=world.folder), scope, folder / "snapshot", WORLD.end)


@pytest.fixture(scope="module")
def on_spark(tmp_path_factory, snapshot):
    """What was found on the cluster, and how many tasks each worker's executor did."""
    from support.spark_cluster import spark_cluster

    folder = tmp_path_factory.mktemp("spark")
    out, here = folder / "found.json", folder / "here"
    here.mkdir()
    with spark_cluster(folder / "cluster") as cluster:
        done = subprocess.run(
            [sys.executable, "-c", ON_SPARK, cluster.master, snapshot.folder, out, *DETECTORS],
            env={**os.environ, **cluster.environment},
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []
    return json.loads(out.read_text()), cluster.tasks()


def test_both_workers_took_part(on_spark):
    _, tasks = on_spark
    assert sorted(tasks) == ["0", "1"]
    assert min(tasks.values()) >= len(DETECTORS)


def test_findings_are_those_of_duckdb(on_spark, snapshot):
    engine = DuckDbEngine(threads=1)
    register_all(engine, snapshot)
    expected = [run_detector(engine, snapshot.manifest, one) for one in all_detectors() if one.id in DETECTORS]
    engine.close()
    assert [run.status for _, run in expected] == ["found"] * len(DETECTORS)
    assert on_spark[0] == json.loads(json.dumps(to_data(expected)))
