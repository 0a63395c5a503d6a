"""`lapse review schedule` and what looks know, as people read it: aligned, in 80 columns, with what to do next."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

NOW = datetime.now(UTC)
UNTIL = f"{NOW + timedelta(days=30):%Y-%m-%d}"
HEAD = "resource,account,role,holding,depth,observed_at\n"
CATALOG = """
principals: [{name: admin}, {name: olga}]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""


@pytest.fixture
def evidence(tmp_path):
    """A folder of evidence, in which accounts hold a role without an end."""
    folder = tmp_path / "evidence"
    folder.mkdir()

    def write(*accounts):
        rows = (f"pg-prod,{account},reader,direct,0,{NOW.isoformat()}\n" for account in accounts)
        (folder / "access_observed.csv").write_text(HEAD + "".join(rows))
        return str(folder)

    return write


@pytest.fixture
def program(program, tmp_path):
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(CATALOG)
    program.run("catalog", "apply", str(catalog), "--yes")
    program.environment["COLUMNS"] = "80"
    return program


def test_what_looks_know_is_listed_shown_and_accepted(program, evidence):
    added = program.run("review", "schedule", "add", "prod", "--imports", evidence("ann", "ben"), "--every", "1")
    assert "`prod` is reviewed every 1 month, next on" in added.out
    assert "never" in program.run("review", "schedule", "show", "prod").out
    changed = program.run("review", "schedule", "change", "prod", "--continuous")
    assert "every day" in changed.out

    first = program.run("review", "schedule", "look", "prod")
    assert first.out.startswith("looked at `prod`: ")
    (name,) = re.findall(r"^([0-9a-f]{12}) +\w+ +L1 +new .*`ann`", first.out, re.MULTILINE)
    shown = program.run("review", "finding", name).out
    assert "open at `prod`, since" in shown or "new at `prod`, since" in shown

    accept = ("exception", "add", "--owner", "olga", "--until", UNTIL, "--reason", "x", "--finding", name)
    assert f"finding {name} is accepted" in program.run(*accept).out
    evidence("ann")
    second = program.run("review", "schedule", "look", "prod").out
    assert ", 1 accepted, 1 fixed" in second
    states = dict(re.findall(r"^([0-9a-f]{12}) +\w+ +L1 +(\w+)", second, re.MULTILINE))
    assert sorted(states.values()) == ["accepted", "fixed"]
    assert states[name] == "accepted"

    listed = program.run("review", "findings", "--now")
    assert max(map(len, listed.out.splitlines())) <= 80
    assert "`ben`" not in listed.out
    assert "`ben`" in program.run("review", "findings", "--schedule", "prod", "--fixed").out
    assert "next: `lapse review finding FINDING`" in listed.out
    row = program.run("review", "schedule", "list").out.splitlines()[1].split()
    (found,) = program.data("review", "schedule", "list")
    assert (row[0], row[1], int(row[-1])) == ("prod", "all", found["look"]["counts"]["open"])


def test_without_any_schedule_it_is_said_how_to_make_one(program):
    assert "lapse review schedule add NAME --continuous" in program.run("review", "findings", "--now").out
    assert "lapse review schedule add NAME --every 3" in program.run("review", "schedule", "list").out
    assert "no review schedule `x`" in program.run("review", "schedule", "look", "x", expect=4).err
