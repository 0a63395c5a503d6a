"""A user's own detector is a file in a folder: tried on its cases, given to a review, sealed with it."""

from __future__ import annotations

import hashlib

import pytest

from lapse.domain.errors import Corrupt, InvalidInput, NotFound
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.collect import Inputs, collect_imports
from lapse.review.collection.snapshot import load_snapshot
from lapse.review.detection.cases import read_cases, run_case
from lapse.review.detection.detector import detectors_in, own_detectors
from lapse.review.detection.new_detector import new_detector
from lapse.review.model import RunStatus
from lapse.review.scope import parse_scope
from lapse.review.stages import run_stages
from support.clock import START

WITH_SEVERITY = """
SELECT 's' AS subject, '' AS principal, '' AS resource, 'x' AS summary, 'huge' AS severity FROM access_observed
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in new_detector("X1").items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "own"


def reviewed(tmp_path, folder):
    imports = tmp_path / "imports"
    imports.mkdir()
    (imports / "access_observed.csv").write_text(
        "resource,account,role,holding,depth,observed_at\npg,ann,forbidden,direct,0,2026-03-01\n"
    )
    inputs = Inputs(imports=imports, detectors=folder)
    snapshot = collect_imports(inputs, parse_scope("all", "2026"), tmp_path / "snapshot", START)
    return run_stages(DuckDbEngine, load_snapshot(tmp_path / "snapshot")), snapshot


def run_of(result, name):
    return next(run for run in result.runs if run.detector == name)


def test_what_a_new_one_begins_with_passes_its_own_cases(folder, tmp_path):
    (detector,) = detectors_in(folder)
    cases = read_cases((folder / "cases" / "X1.yaml").read_text(), "X1.yaml")
    for number, case in enumerate(cases):
        assert run_case(lambda: DuckDbEngine(threads=1), detector, case, tmp_path / str(number)).passed


def test_it_runs_with_a_review_and_goes_with_its_evidence(folder, tmp_path):
    result, snapshot = reviewed(tmp_path, folder)
    assert [f.subject for f in result.findings if f.detector == "X1"] == ["pg/ann"]
    digest = hashlib.sha256((folder / "X1.sql").read_bytes()).hexdigest()
    assert snapshot.manifest.detectors == {"X1": digest}


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (WITH_SEVERITY, "it could not be run: `huge` is no severity"),
        ("SELECT nothing FROM nowhere", "it could not be run: the query cannot be run"),
        ("SELECT 1 AS subject FROM access_observed", "it could not be run: its SQL gives no column `principal`"),
        ("SELECT * FROM read_csv('/etc/passwd')", "it could not be run"),
    ],
)
def test_one_that_does_not_work_is_not_assessed_and_the_review_goes_on(folder, tmp_path, sql, says):
    text = (folder / "X1.sql").read_text()
    (folder / "X1.sql").write_text(text[: text.index("*/") + 3] + sql)
    result, _ = reviewed(tmp_path, folder)
    run = run_of(result, "X1")
    assert run.status is RunStatus.NOT_ASSESSED
    assert run.reason.startswith(says)
    assert run_of(result, "L1").status is RunStatus.FOUND


def test_one_that_was_changed_since_is_refused(folder, tmp_path):
    _, snapshot = reviewed(tmp_path, folder)
    (tmp_path / "snapshot" / "detectors" / "X1.sql").write_text((folder / "X1.sql").read_text() + "\n")
    with pytest.raises(Corrupt, match="X1 is not the one"):
        own_detectors(snapshot)
    (tmp_path / "snapshot" / "detectors" / "X1.sql").unlink()
    with pytest.raises(Corrupt, match="missing"):
        own_detectors(snapshot)


@pytest.mark.parametrize("name", ["L1", "x", "TOOLONG1", "../X1", ""])
def test_an_id_is_capitals_and_a_number_that_no_other_has(name, folder):
    with pytest.raises(InvalidInput, match="cannot be the id"):
        new_detector(name)
    (folder / "X1.sql").write_text((folder / "X1.sql").read_text().replace("id: X1", f'id: "{name}"'))
    with pytest.raises(InvalidInput, match=r"is taken|is no id"):
        detectors_in(folder)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFound, match="there is no folder"):
        detectors_in(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is not YAML"),
        ("{}", "is no list of cases"),
        ("- {name: x}", "case 1 of `X1.yaml` needs a `name` and `tables`"),
        ("- {name: x, tables: {nope: []}}", "a table `nope`"),
        ("- {name: x, tables: {grants: 7}}", "`grants` is no list of rows"),
        ("- {name: x, tables: {grants: [{nope: 1}]}}", "`grants` has no column `nope`"),
    ],
)
def test_cases_that_are_none_are_refused_with_their_place(text, says):
    with pytest.raises(InvalidInput, match=says):
        read_cases(text, "X1.yaml")
