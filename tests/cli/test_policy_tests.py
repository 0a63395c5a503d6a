"""`lapse policy test` and `lapse policy schema`, with no home and no server."""

from __future__ import annotations

import json

import pytest

from support.program import Program
from support.tools import ROOT

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [group:developers]
    max_duration: 4h
    approvals: [{from: [bob]}]
limits:
  - {name: week, max_total: 1w, entitlements: wiki/*}
"""
CASES = """
version: 1
catalog: people.yaml
cases:
  - name: a developer reads
    ask: {requester: alice, entitlement: pg-prod/reader, duration: 1h}
    expect: {offer: readers}
"""
CATALOG = """
principals: [{name: alice}, {name: bob}]
groups: [{name: developers, members: [alice]}]
resources: [{name: pg-prod, connector: postgresql, entitlements: [{role: reader}]}]
"""


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path / "nothing", {"COLUMNS": "80"})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "p.yaml").write_text(POLICY)
    (folder / "p.test.yaml").write_text(CASES)
    (folder / "people.yaml").write_text(CATALOG)
    return folder


def test_cases_beside_the_policy_are_found_with_their_catalog(program, folder):
    said = program.run("policy", "test", str(folder / "p.yaml")).out
    assert said.startswith("1 case: 1 as expected, 0 not\n")
    assert "1 of 2 rules looked at (50 %)" in said
    assert "p.yaml:10: no case is about the limit `week`" in " ".join(said.split())
    assert all(len(line) <= 80 for line in said.splitlines() if str(folder) not in line)
    assert "ok      a developer reads" in program.run("policy", "test", "-v", str(folder / "p.yaml")).out


def test_too_few_rules_that_are_tested_fail(program, folder):
    ran = program.run("policy", "test", str(folder / "p.yaml"), "--min-coverage", "60", expect=1)
    assert "too few rules are tested: 50 % of them, and 60 % are asked for" in ran.out
    assert program.run("policy", "test", str(folder / "p.yaml"), "--min-coverage", "50").code == 0


def test_an_answer_that_is_not_as_expected_fails_with_its_place(program, folder):
    cases = folder / "p.test.yaml"
    cases.write_text(CASES.replace("offer: readers", "denied: true"))
    ran = program.run("policy", "test", str(folder / "p.yaml"), "--cases", str(cases), expect=1)
    assert ran.out.startswith(
        f"FAILED  a developer reads\n  {cases}:7: denied\n    expected  denied\n    got       allowed"
    )
    data = program.run("policy", "test", "--json", str(folder / "p.yaml"), expect=1).data
    assert (data["ok"], data["coverage"], data["cases"][0]["differences"][0]["line"]) == (False, 50, 7)


def test_mistakes_in_cases_are_no_failures_of_the_policy(program, folder):
    (folder / "p.test.yaml").write_text(CASES.replace("alice", "alise"))
    ran = program.run("policy", "test", str(folder / "p.yaml"), expect=2)
    assert "p.test.yaml:6:22: `requester` names the principal `alise`" in ran.err
    assert "did you mean `alice`?" in ran.err
    (folder / "p.test.yaml").write_text(CASES.replace("people.yaml", "nobody.yaml"))
    assert "cannot be read" in program.run("policy", "test", str(folder / "p.yaml"), expect=2).err
    (folder / "p.test.yaml").unlink()
    assert "there are no test cases" in program.run("policy", "test", str(folder / "p.yaml"), expect=2).err


def test_the_examples_pass(program):
    assert "(100 %)" in program.run("policy", "test", str(ROOT / "examples" / "policy"), "--min-coverage", "100").out


def test_the_schemas_are_printed(program):
    assert json.loads(program.run("policy", "schema").out)["title"] == "lapse policy"
    assert json.loads(program.run("policy", "schema", "--cases").out)["title"] == "test cases of a lapse policy"
