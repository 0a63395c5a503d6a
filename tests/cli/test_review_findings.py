"""`lapse review findings`, `finding`, `seal` and `lapse exception add`: what was found, and what is not decided yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.reviews import DAY

CATALOG = """
principals: [{name: admin}, {name: olga}]
resources:
  - name: pg-prod
    connector: postgresql
    owner: olga
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""
POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals: [{from: [olga]}]
"""
NOW = datetime.now(UTC)
ACCESS = "resource,account,role,holding,depth,observed_at,can_login\n" + "".join(
    f"pg-prod,{account},reader,direct,0,{NOW.isoformat()},true\n" for account in ("ann", "=cmd()")
)
UNTIL = f"{NOW + 30 * DAY:%Y-%m-%d}"


@pytest.fixture
def adjusted(program, tmp_path):
    """A review up to step 5, with two items that nobody decided."""
    program.furnish(CATALOG, POLICY)
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "access_observed.csv").write_text(ACCESS)
    yesterday = NOW - timedelta(days=1)
    review = program.data("review", "start", "--period", f"{yesterday:%Y-%m-%d}..{yesterday:%Y-%m-%d}")["id"]
    program.run("review", "collect", "--imports", str(folder))
    for step in ("audit", "validate", "workflows", "adjust"):
        program.run("review", step)
    program.environment["COLUMNS"] = "80"
    return review


def test_a_finding_is_shown_by_its_name_and_accepted_until_a_day(program, adjusted):
    listed = program.run("review", "findings").out
    (line,) = [line for line in listed.splitlines() if "`ann` holds `reader` with no end" in line]
    name, said = line.split()[0], program.run("review", "finding", line.split()[0]).out
    assert "Standing privilege (fact)" in said
    assert f"`lapse exception add --finding {name}` accepts it" in said
    assert program.data("review", "finding", name)["fingerprint"].startswith(name)

    accept = ("exception", "add", "--owner", "olga", "--until", UNTIL, "--reason", "x", "--finding")
    assert f"finding {name} is accepted until {UNTIL}, olga answers" in program.run(*accept, name).out
    assert "the review found nothing that is called `0000`" in program.run(*accept, "0000", expect=4).err


def test_a_name_without_room_is_broken_after_a_slash(program, adjusted):
    listed = program.run("review", "items").out
    assert max(map(len, listed.splitlines())) <= 80
    program.environment["COLUMNS"] = "74"
    narrow = [line.split() for line in program.run("review", "items").out.splitlines()]
    assert ["reader"] in narrow


def test_a_review_with_undecided_items_is_sealed_only_after_a_yes(program, adjusted):
    shown = program.run("review", "show").out
    assert f"next: `lapse review items {adjusted} --undecided` shows what 2 decisions wait for\n" in shown
    assert shown.endswith(f"then: `lapse review seal {adjusted}`\n")
    assert "needs a confirmation" in program.run("review", "seal", expect=2).err
    assert program.data("review", "show")["state"] == "adjusted"
    assert f"next: `lapse review pack {adjusted}` saves the pack" in program.run("review", "seal", "--yes").out
    assert program.data("review", "show")["undecided"] == 2
    again = program.run("review", "seal", "--yes", expect=3).err
    assert f"review {adjusted} is sealed: nothing in it changes" in again


def test_a_run_that_ends_early_says_what_is_left_of_it(program):
    program.furnish(CATALOG, POLICY)
    said = program.run("review", "run", "--imports", "/nowhere", expect=4).err
    [review] = program.data("review", "list")
    assert f"review {review['id']} stays as far as it is; `lapse review show {review['id']}` says how" in said
    assert "lapse: there is no folder `/nowhere`" in said
