"""OCSF events: valid for the published schema, from the version that is named to the newest, and never a false pass."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from lapse.domain.reviews import Confidence
from lapse.review.export import ocsf_lines
from lapse.review.model import RunStatus
from support.sample_review import renamed

CLASSES = {2003: "compliance_finding", 2004: "detection_finding"}


def events_of(result, facts):
    lines = list(ocsf_lines(result, facts))
    assert all(line.count(b"\n") == 1 for line in lines)
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=["1.5.0", "1.6.0", "1.7.0", "1.8.0"])
def validators(request):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=request.param))
    return {
        uid: Draft202012Validator(schema.get_class_schema(class_name=name, profiles=[]))
        for uid, name in CLASSES.items()
    }


def test_every_event_is_valid(validators, result, facts):
    for event in events_of(result, facts):
        errors = [error.message for error in validators[event["class_uid"]].iter_errors(event)]
        assert errors == []


def test_the_schema_would_find_something(validators, result, facts):
    event = events_of(result, facts)[0]
    assert list(validators[event["class_uid"]].iter_errors({**event, "severity_id": "high"}))
    del event["finding_info"]
    assert list(validators[event["class_uid"]].iter_errors(event))


def test_hostile_names_stay_valid(result, facts):
    for event in events_of(renamed(result, "a\nb\0\u202e{"), facts):
        assert "\n" not in event["message"]


def test_facts_are_compliance_findings_and_advice_is_a_detection(result, facts):
    by_uid = {event["finding_info"]["uid"]: event for event in events_of(result, facts)}
    for finding in (*result.findings, *result.gone):
        advice = finding.confidence is Confidence.ADVICE
        assert by_uid[finding.fingerprint]["class_uid"] == (2004 if advice else 2003)


def test_a_detector_that_could_not_run_has_no_result(result, facts):
    by_control = {}
    for event in events_of(result, facts):
        if "compliance" in event:
            by_control.setdefault(event["compliance"]["control"], set()).add(event["compliance"]["status"])
    for run in result.runs:
        if run.status is RunStatus.NOT_ASSESSED:
            assert by_control[run.detector] == {"Warning"}
        elif run.status is RunStatus.CLEAR:
            assert by_control[run.detector] == {"Pass"}


def test_what_became_of_a_finding_is_its_activity_and_status(result, facts):
    seen = {(e["activity_name"], e["status"]) for e in events_of(result, facts)}
    assert seen >= {("Create", "New"), ("Update", "In Progress"), ("Update", "Suppressed"), ("Close", "Resolved")}


def test_the_same_review_gives_the_same_lines(result, facts):
    assert list(ocsf_lines(result, facts)) == list(ocsf_lines(result, facts))


def test_an_unknown_state_is_said_in_words(result, facts):
    (event,) = [e for e in events_of(replace(result, gone=result.gone[1:]), facts) if e["status_id"] == 99]
    assert event["status"] == "not known"
