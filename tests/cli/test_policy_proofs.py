"""`lapse policy prove`: outcomes, counter-examples, exit codes; without a home, or over the catalog of one."""

import pytest

from support.program import Program
from support.tools import ROOT

POLICY = """\
version: 1
offers:
  - name: admin
    entitlements: "*/admin"
    to: group:dba
    max_duration: 1h
    max_total: 4h
    approvals: [{from: group:leads}]
claims:
  - {name: short, always: {no_longer_than: 1h}}
  - {name: two-persons, always: {at_least_persons: 2}}
"""
CATALOG = """\
version: 1
principals: [{name: dora}, {name: lea}]
groups: [{name: dba, members: [dora]}, {name: leads, members: [lea]}]
resources: [{name: pg, connector: postgresql, entitlements: [{role: admin, native: {role: r}}]}]
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    return Program(tmp_path / "home")


def test_the_policies_of_the_examples_do_what_they_claim(tmp_path):
    proved = Program(tmp_path).run("policy", "prove", str(ROOT / "examples" / "policy"))
    assert proved.out.count("proved   ") == 4
    assert "4 claims: 4 proved, in " in proved.out


def test_a_refuted_claim_ends_with_one_and_shows_how(program, tmp_path):
    ran = program.run("policy", "prove", str(tmp_path / "policy.yaml"), expect=1)
    assert ran.out.startswith("proved   short\n         holds of every request\n\nrefuted  two-persons\n")
    assert "offer `admin` allows it; `kim` agrees" in " ".join(ran.out.split())
    assert "2 claims: 1 proved, 1 refuted, in " in ran.out
    assert "next: " in ran.out


def test_everything_fits_eighty_columns(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY)
    program = Program(tmp_path / "home", {"COLUMNS": "80"})
    ran = program.run("policy", "prove", str(tmp_path / "policy.yaml"), expect=1)
    assert max(map(len, ran.out.splitlines())) <= 80


def test_one_claim_alone_can_be_asked_for(program, tmp_path):
    file = str(tmp_path / "policy.yaml")
    assert "1 claim: 1 proved" in program.run("policy", "prove", file, "--claim", "short").out
    wrong = program.run("policy", "prove", file, "--claim", "shrot", expect=4)
    assert "there is no claim `shrot`" in wrong.err
    assert "did you mean `short`" in wrong.err


def test_the_counter_example_is_data_too(program, tmp_path):
    data = program.run("--json", "policy", "prove", str(tmp_path / "policy.yaml"), expect=1).data
    assert data["ok"] is False
    short, two = data["claims"]
    assert (short["outcome"], short["counter_example"]) == ("proved", None)
    assert two["counter_example"]["steps"][0]["persons"] == ["kim"]
    assert two["counter_example"]["catalog"]["groups"]["dba"]["members"] == ["ann"]
    assert two["seconds"] >= 0


def test_the_real_directory_decides_when_it_is_asked_for(program, tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    file = str(tmp_path / "policy.yaml")
    program.run("init")
    empty = program.run("policy", "prove", file, "--directory", expect=2)
    assert "the catalog has nobody or nothing in it" in empty.err
    program.run("catalog", "apply", str(tmp_path / "catalog.yaml"), "--yes")
    ran = program.run("policy", "prove", file, "--directory", expect=1)
    assert "`dora` asks for `pg/admin`" in " ".join(ran.out.split())


def test_files_that_claim_nothing_say_so(tmp_path):
    (tmp_path / "policy.yaml").write_text(POLICY.partition("claims:")[0])
    ran = Program(tmp_path).run("policy", "prove", str(tmp_path / "policy.yaml"))
    assert ran.out == "the files claim nothing; add `claims:` with what must never be possible\n"
    assert Program(tmp_path).run("--json", "policy", "prove", str(tmp_path / "policy.yaml")).data["claims"] == []


def test_without_the_solver_it_says_how_to_get_it(program, tmp_path, monkeypatch):
    monkeypatch.setattr("lapse.policy.proof.outcomes.find_spec", lambda _name: None)
    ran = program.run("policy", "prove", str(tmp_path / "policy.yaml"), expect=6)
    assert "pip install 'lapse[prove]'" in ran.err


def test_a_time_that_is_none_is_refused(program, tmp_path):
    ran = program.run("policy", "prove", str(tmp_path / "policy.yaml"), "--timeout", "soon", expect=2)
    assert "`soon` is not a duration" in ran.err
