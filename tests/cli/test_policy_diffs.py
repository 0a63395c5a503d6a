"""`lapse policy diff` and `analyse`: files, folders and the policy in force; exit codes; eighty columns."""

import json

import pytest

from support.program import Program
from support.tools import ROOT

OLD = """\
version: 1
offers:
  - name: readers
    entitlements: "pg-*/reader"
    to: group:developers
    max_duration: 4h
    approvals: [{from: owner}]
"""
NEW = OLD.replace("4h", "8h").replace("group:developers", "[group:developers, group:interns]")
CATALOG = """\
version: 1
principals: [{name: dora}]
groups: [{name: developers, members: [dora]}]
resources: [{name: pg-prod, connector: postgresql, entitlements: [{role: reader, native: {role: r}}]}]
"""


@pytest.fixture
def files(tmp_path):
    for name, text in (("old.yaml", OLD), ("new.yaml", NEW), ("catalog.yaml", CATALOG)):
        (tmp_path / name).write_text(text)
    return lambda *names: [str(tmp_path / name) for name in names]


@pytest.fixture
def bare(tmp_path):
    """Without a home: none is needed."""
    return Program(tmp_path / "home", {"COLUMNS": "80"})


def test_each_difference_is_shown_with_an_example(bare, files):
    said = bare.run("policy", "diff", *files("old.yaml", "new.yaml")).out
    assert said.startswith("1 rule differs: offer `readers` (changed)\n\nnewly permitted: offer `readers` (changed)\n")
    assert "  `ann` (in `interns`) asks for `pg-a/reader`, 1h\n" in said
    assert "  before  denied: no offer is about `pg-a/reader` for `ann`" in said
    assert "longer: offer `readers` (changed)\n" in said
    assert "  now     allowed by `readers`: at most 8h" in said
    assert max(map(len, said.splitlines())) <= 80


def test_policies_that_answer_alike_are_equivalent(bare, files, tmp_path):
    (tmp_path / "alike.yaml").write_text(OLD + "limits:\n  - {name: loose, max_duration: 9h}\n")
    said = bare.run("policy", "diff", *files("old.yaml", "alike.yaml"), "--exit-code").out
    assert said.endswith("equivalent: proved that they answer every request alike\n")
    assert "no rule differs" in bare.run("policy", "diff", *files("old.yaml", "old.yaml")).out


def test_differences_are_an_error_only_if_asked_for(bare, files):
    bare.run("policy", "diff", *files("old.yaml", "new.yaml"))
    bare.run("policy", "diff", *files("old.yaml", "new.yaml"), "--exit-code", expect=1)


def test_differences_as_data(bare, files):
    found = json.loads(bare.run("policy", "diff", *files("old.yaml", "new.yaml"), "--json").out)
    assert found["equivalent"] is False
    assert [one["kind"] for one in found["differences"]] == ["newly permitted", "longer"]
    assert found["differences"][0]["new"]["terms"]["max_duration"] == "PT8H"
    assert found["unknown"] == []


def test_folders_and_several_files(bare, files, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "limits.yaml").write_text("version: 1\nlimits:\n  - {name: short, max_duration: 1h}\n")
    (tmp_path / "more" / "offers.yaml").write_text(OLD)
    said = bare.run("policy", "diff", *files("old.yaml", "more")).out
    assert "shorter: limit `short` (added)" in said
    same = bare.run("policy", "diff", *files("old.yaml", "more/limits.yaml"), "--to", *files("more")).out
    assert "no rule differs" in same


def test_the_policy_in_force_is_called_active(program, files):
    program.run("policy", "apply", *files("old.yaml"))
    assert "longer: " in program.run("policy", "diff", "active", *files("new.yaml")).out


def test_two_policies_are_needed_and_mistakes_are_named(bare, files, tmp_path):
    assert "takes two policies" in bare.run("policy", "diff", *files("old.yaml"), expect=2).err
    (tmp_path / "wrong.yaml").write_text(OLD.replace("4h", "soon"))
    assert "`soon` is not a duration" in bare.run("policy", "diff", *files("old.yaml", "wrong.yaml"), expect=2).err


def test_what_is_odd_about_the_example_policy(bare):
    said = bare.run("policy", "analyse", str(ROOT / "examples" / "policy")).out
    assert "limit without effect (proved): `agents-do-not-write`" in said
    assert "nobody decides: `tag:env=dev`\n  such access is given and nobody decides\n  e.g.  `ann`" in said
    assert max(map(len, said.splitlines())) <= 100


def test_approvers_are_counted_in_a_catalog(bare, files, program):
    assert bare.run("policy", "analyse", *files("old.yaml")).out == "nothing odd was found\n"
    named = bare.run(
        "policy", "analyse", *files("old.yaml"), "--catalog", *files("catalog.yaml"), "--exit-code", expect=1
    )
    assert "quorum out of reach (proved): `readers`" in named.out
    program.run("catalog", "apply", *files("catalog.yaml"), "--yes")
    found = program.data("policy", "analyse", *files("old.yaml"), "--directory")
    assert [(one["kind"], one["certainty"]) for one in found["findings"]] == [("quorum out of reach", "proved")]
