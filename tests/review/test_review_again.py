"""A review whose engine has kept what earlier ones computed says what one says that computes everything."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from lapse.domain.data import to_data
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.engines.kept import KeptEngine
from lapse.review.model import Snapshot
from lapse.review.simulation import Size, simulate
from lapse.review.stages import run_stages
from support.simulation import snapshot_of

pytestmark = pytest.mark.timeout(600)
WORLD = Size(people=50, days=92, seed=7)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return snapshot_of(simulate(WORLD, folder / "files"), folder / "snapshot")


def copied(snapshot, folder, share=1.0):
    """The evidence in a folder of its own, with the first `share` of the use."""
    shutil.copytree(snapshot.folder, folder)
    usage = pq.read_table(folder / "usage.parquet")
    pq.write_table(usage.slice(0, int(share * len(usage))), folder / "usage.parquet", compression="zstd")
    return Snapshot(folder=str(folder), manifest=snapshot.manifest)


def said(result):
    """Everything that a review says, but for where its evidence is."""
    findings = sorted(result.findings, key=lambda finding: finding.fingerprint)
    data = to_data(replace(result, snapshot=replace(result.snapshot, folder="")))
    return json.loads(json.dumps(data)), to_data(findings)


def test_a_review_of_one_more_day_is_that_of_all_days(tmp_path, evidence):
    def keeping():
        return KeptEngine(DuckDbEngine(threads=1), tmp_path / "kept", least_rows=1, least_seconds=0.0)

    run_stages(keeping, copied(evidence, tmp_path / "yesterday", 0.98))
    kept = {file.name for file in (tmp_path / "kept").iterdir()}
    again = run_stages(keeping, copied(evidence, tmp_path / "again"))
    whole = run_stages(lambda: DuckDbEngine(threads=1), copied(evidence, tmp_path / "whole"))
    assert {file.name for file in (tmp_path / "kept").iterdir()} > kept
    assert said(again) == said(whole)
