"""OSCAL assessment results: valid for a library that reads OSCAL 1.1.3, stable, honest about what was not seen."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from trestle.oscal.assessment_results import Model

from lapse.review.export import examine_document, oscal_document
from lapse.review.export.oscal import NS, target_of
from lapse.review.frameworks import all_frameworks
from lapse.review.model import Adjustments, AuditResult, RunStatus, ValidationResult, WorkflowResult
from lapse.review.pack.standalone_manifest import FileEntry
from support.sample_review import renamed

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
STATEMENTS = {"ac-2_smt.b", "ac-2_smt.j", "ac-2.3_smt.a", "ac-2.3_smt", "ac-6.7_smt.b", "au-9.4_smt", "ps-5_smt"}


def body_of(result, facts):
    return json.loads(oscal_document(result, facts))["assessment-results"]


def empty(result):
    return replace(
        result, audit=AuditResult(), validation=ValidationResult(), workflows=WorkflowResult(),
        adjustments=Adjustments(), gone=(), items=(),
    )  # fmt: skip


def ids_in(value):
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "uuid" or name.endswith("-uuid"):
                yield name, part
            yield from ids_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from ids_in(part)


def test_it_is_valid_for_the_reader_of_oscal(result, facts):
    whole = Model.parse_obj(json.loads(oscal_document(result, facts)))
    assert whole.assessment_results.metadata.oscal_version.__root__ == "1.1.3"


def test_a_review_of_nothing_is_valid_too(result, facts):
    Model.parse_obj(json.loads(oscal_document(empty(result), facts)))


def test_hostile_names_stay_valid(result, facts):
    for text in ("a\nb\0c", " ", "\u202ex", '"}]', "x" * 5_000):
        Model.parse_obj(json.loads(oscal_document(renamed(result, text), facts)))


def test_every_finding_is_an_observation_and_a_risk(result, facts):
    (one,) = body_of(result, facts)["results"]
    fingerprints = {f.fingerprint for f in (*result.findings, *result.gone)}

    def marked(part):
        return {p["value"] for entry in one[part] for p in entry["props"] if p["name"] == "fingerprint"}

    assert marked("observations") == marked("risks") == fingerprints
    by_status = {risk["status"] for risk in one["risks"]}
    assert by_status == {"open", "deviation-approved", "closed", "investigating"}


def test_what_was_not_assessed_is_said_so_and_is_never_satisfied(result, facts):
    (one,) = body_of(result, facts)["results"]
    blind = [run.detector for run in result.runs if run.status is RunStatus.NOT_ASSESSED]
    said = {
        entry["title"].split()[0]: entry["description"]
        for entry in one["observations"]
        if {"name": "assessment", "ns": NS, "value": "not-assessed"} in entry["props"]
    }
    assert set(said) == set(blind)
    assert all("Not assessed:" in text for text in said.values())
    for finding in one["findings"]:
        status = finding["target"]["status"]
        marked = next(p["value"] for p in finding["props"] if p["name"] == "result")
        assert (status["state"], status["reason"]) == {
            "met": ("satisfied", "pass"),
            "findings": ("not-satisfied", "fail"),
            "partly-assessed": ("not-satisfied", "other"),
            "not-assessed": ("not-satisfied", "other"),
        }[marked]


def test_ids_are_stable_unique_and_lead_somewhere(result, facts):
    body = body_of(result, facts)
    assert body == body_of(result, facts)
    found = list(ids_in(body))
    assert all(UUID.fullmatch(value) for _, value in found)
    own = [value for name, value in found if name == "uuid"]
    assert len(own) == len(set(own))
    assert {value for name, value in found if name != "uuid"} <= set(own)
    again = replace(result, scope=replace(result.scope, review_id="rv_later"))
    observed = {o["title"]: o["uuid"] for o in body["results"][0]["observations"] if o["types"] == ["finding"]}
    later = body_of(again, facts)["results"][0]["observations"]
    assert observed == {o["title"]: o["uuid"] for o in later if o["types"] == ["finding"]}


def test_files_of_the_pack_are_resources_with_their_hashes(result, facts):
    with_files = replace(facts, files={"items.csv": FileEntry("items.csv", 3, "ab" * 32)})
    resources = {r["title"]: r for r in body_of(result, with_files)["back-matter"]["resources"]}
    assert resources["items.csv"]["rlinks"] == [
        {"href": "../items.csv", "media-type": "text/csv", "hashes": [{"algorithm": "SHA-256", "value": "ab" * 32}]}
    ]


@pytest.mark.parametrize(
    ("clause", "target"),
    [
        ("NIST 800-53 AC-2b", ("ac-2", "ac-2_smt.b")),
        ("NIST 800-53 AC-2(3)(a)", ("ac-2.3", "ac-2.3_smt.a")),
        ("NIST 800-53 AC-6(10)", ("ac-6.10", "ac-6.10_smt")),
        ("NIST 800-53 CM-3", ("cm-3", "cm-3_smt")),
        ("SOC 2 CC6.1", None),
    ],
)
def test_clauses_are_statements_of_the_catalog(clause, target):
    assert target_of(clause) == target


def test_every_clause_of_nist_has_a_target():
    (nist,) = (one for one in all_frameworks() if one.id == "nist-800-53-r5")
    targets = {target_of(clause.id)[1] for clause in nist.clauses}
    assert targets >= STATEMENTS
    assert len(targets) == len(nist.clauses)


def test_what_to_examine_names_the_files_that_are_there_and_those_that_are_not():
    index = json.loads(examine_document({"items.csv", "report.html", "policy/index.json"}))["controls"]
    assert set(index) == {"ac-2", "ac-6.7"}
    assert len(index["ac-2"]) == 15
    assert len(index["ac-6.7"]) == 9
    rules = index["ac-2"][0]
    assert rules["files"] == ["policy/index.json"]
    for entry in [*index["ac-2"], *index["ac-6.7"]]:
        assert entry["files"] or entry["not_in_this_pack"] or entry["note"]
