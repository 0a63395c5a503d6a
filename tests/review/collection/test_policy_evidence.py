"""What the policy in force comes to, as evidence: what is not known, or cannot be, is never a pass."""

import time

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.ports import PolicyVersion
from lapse.review.collection import policy_evidence as evidence
from lapse.review.collection.collect import Inputs, collect_policy
from lapse.review.collection.snapshot import SnapshotWriter, register_all
from lapse.review.detection.cases import AS_OF
from lapse.review.detection.detector import all_detectors, run_detector
from lapse.review.model import RunStatus
from lapse.review.scope import ReviewScope, parse_period
from support.policy_world import CATALOG, TUESDAY, limit, offer, policy

AUTO = "  - {name: auto, to: group:dba, entitlements: 'tag:env=prod', max_duration: 1h, auto_approve: true}\n"
SHADOW = (
    AUTO.replace("auto,", "shadow,")
    .replace("group:dba", "group:developers")
    .replace("tag:env=prod", "pg-prod/*")
    .replace("auto_approve: true", "approvals: [{from: owner}]")
)


def version(text):
    made = policy(text)
    return PolicyVersion(version=made.version, files=dict(made.files), activated_at=TUESDAY, activated_by="admin")


def found_in(text, clock=time.monotonic):
    return evidence.policy_evidence(version(text), CATALOG, clock)


def outcomes(found, folder):
    """How each of M7, M9 and M10 came out, with what it found."""
    scope = ReviewScope(selector="all", period=parse_period("2026-Q3"))
    writer = SnapshotWriter(folder, scope, AS_OF)
    collect_policy(writer, Inputs(policy=found), CATALOG.resources)
    snapshot = writer.finish(CATALOG.resources)
    engine = DuckDbEngine()
    try:
        register_all(engine, snapshot)
        runs = [run_detector(engine, snapshot.manifest, d) for d in all_detectors() if d.id in {"M7", "M9", "M10"}]
    finally:
        engine.close()
    return {run.detector: (run.status, sorted(one.subject for one in findings)) for findings, run in runs}


def test_a_policy_with_everything_wrong_is_found_out(tmp_path):
    found = found_in(offer() + SHADOW + AUTO)
    said = outcomes(found, tmp_path / "s")
    assert said["M7"] == (RunStatus.FOUND, ["offer shadow"])
    assert said["M9"][0] is RunStatus.FOUND
    assert "pg-prod/admin" in said["M9"][1]
    assert "pg-dev/reader" not in said["M9"][1]
    assert said["M10"] == (RunStatus.FOUND, ["read pg-dev/admin", "read pg-dev/reader", "read pg-dev/writer"])
    auto = next(row for row in found.tables["approval_paths"] if row["entitlement"] == "pg-prod/admin")
    assert (auto["offer"], auto["tags"]) == ("auto", "env=prod")
    assert "asks for `pg-prod/" in auto["detail"]


def test_a_sound_policy_is_clear(tmp_path):
    said = outcomes(found_in(offer(approved_by="group:leads") + limit("max_duration: 1h")), tmp_path / "s")
    assert {status for status, _ in said.values()} == {RunStatus.CLEAR}


def test_without_a_solver_it_is_not_assessed(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "installed", lambda: False)
    found = found_in(offer(approved_by="group:leads"))
    assert "the solver is not installed" in found.problems["rule_effects"]
    said = outcomes(found, tmp_path / "s")
    assert said["M7"][0] is said["M9"][0] is RunStatus.NOT_ASSESSED
    assert said["M10"][0] is RunStatus.CLEAR


def test_what_was_not_decided_in_time_is_not_a_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "TIME_FOR_IT", 0.0)
    found = found_in(offer(approved_by="group:leads"))
    assert found.gaps["rule_effects"] == ["whether `read` ever decides anything is not known: the time for it is over"]
    said = outcomes(found, tmp_path / "s")
    assert said["M7"][0] is said["M9"][0] is RunStatus.NOT_ASSESSED


def test_who_is_on_call_is_a_gap(tmp_path):
    found = found_in(offer(approved_by="'oncall:db'"))
    assert "depends on who is on call" in found.gaps["quorums"][0]
    assert outcomes(found, tmp_path / "s")["M10"][0] is RunStatus.NOT_ASSESSED


def test_where_no_policy_is_in_force_there_is_nothing_to_find(tmp_path):
    found = evidence.policy_evidence(None, CATALOG, time.monotonic)
    assert {status for status, _ in outcomes(found, tmp_path / "s").values()} == {RunStatus.CLEAR}


def test_what_is_not_modelled_is_not_assessed(tmp_path):
    said = outcomes(found_in(offer("when: context.risk < 5", approved_by="group:leads")), tmp_path / "s")
    assert said["M7"][0] is RunStatus.NOT_ASSESSED
