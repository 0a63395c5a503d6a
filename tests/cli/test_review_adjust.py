"""`lapse review proposals`, `adjust --apply` and `roles`, and the figures of `show`: a review's proposal is filed."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest

POLICY = """\
version: 1
offers:
  # Reading is harmless.
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h # half a day
    approvals: [{from: [bob]}]
"""
CATALOG = """
principals: [{name: alice}, {name: bob}, {name: admin}, {name: second}]
resources:
  - name: pg-prod
    connector: postgresql
    tags: {tier: "0"}
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""
NOW = datetime.now(UTC)
FIRST = (NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)).replace(day=1)


def write(folder, table, rows):
    with (folder / f"{table}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def evidence(tmp_path):
    """Thirty grants of four hours, each in use for less than one."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    grants, usage, requests = [], [], []
    for number in range(30):
        begin = FIRST + timedelta(hours=12 * number)
        times = {"activated_at": begin.isoformat(), "ended_at": (begin + timedelta(hours=4)).isoformat()}
        grants.append(
            {
                "grant_id": f"old_{number}", "request_id": f"req_{number}", "beneficiary": "alice", "account": "alice",
                "entitlement": "pg-prod/reader", "resource": "pg-prod", "role": "reader", "state": "ended", **times,
            }
        )  # fmt: skip
        requests.append(
            {
                "request_id": f"req_{number}", "requester": "alice", "beneficiary": "alice", "offer": "readers",
                "entitlement": "pg-prod/reader", "resource": "pg-prod", "state": "approved",
                "created_at": begin.isoformat(),
            }
        )  # fmt: skip
        used = {"started_at": begin.isoformat(), "ended_at": (begin + timedelta(minutes=50)).isoformat()}
        usage.append({"resource": "pg-prod", "account": "alice", "grant_id": f"old_{number}", **used})
    write(folder, "grants", grants)
    write(folder, "requests", requests)
    write(folder, "usage", usage)
    window = {"from_at": (FIRST - timedelta(days=1)).isoformat(), "to_at": NOW.isoformat()}
    write(folder, "coverage", [{"resource": "pg-prod", "complete": "true", **window}])
    return folder


@pytest.fixture
def adjusted(program, evidence):
    """A review up to step 5."""
    program.furnish(CATALOG, POLICY)
    review = program.data("review", "start", "--period", f"{FIRST:%Y-%m}", "--threshold", "figures.weight:0=7")["id"]
    program.run("review", "collect", "--imports", str(evidence))
    for step in ("audit", "validate", "workflows"):
        program.run("review", step)
    said = program.run("review", "adjust").out
    assert f"review {review} is adjusted" in said
    assert "readers: at most 1h instead of 4h" in said
    program.environment["COLUMNS"] = "80"
    return review


def as_second(program):
    program.environment["LAPSE_TOKEN"] = program.run("token", "create", "second", "--scope", "admin").out.strip()


def test_a_proposal_of_a_review_is_filed_and_a_second_person_activates_it(program, adjusted):
    [proposal] = [one for one in program.data("review", "proposals")["proposals"] if one["kind"] == "shorter maximum"]
    shown = program.run("review", "proposals", "--show", proposal["id"]).out
    assert "-    max_duration: 4h # half a day\n+    max_duration: 1h # half a day\n+    max_total: 4h\n" in shown
    assert "what it would have done to the past:" in shown
    # The head of the patch names the policy file by its place, however long that is.
    said = [line for line in shown.splitlines() if not line.startswith(("--- ", "+++ "))]
    assert max(map(len, said)) <= 80

    filed = program.run("review", "adjust", "--apply", proposal["id"]).out
    assert " waits for another administrator\n" in filed
    [change] = program.data("policy", "proposals")
    assert change["reason"].startswith(f"review {adjusted}: readers: at most 1h instead of 4h; 1h would have been")
    assert "a second person decides" in program.run("policy", "activate", change["id"], "--yes", expect=3).err
    as_second(program)
    program.run("policy", "activate", change["id"], "--yes")
    assert "max_total: 4h" in next(iter(program.data("policy", "show")["files"].values()))


def test_once_the_policy_has_changed_a_proposal_is_refused_in_one_sentence(program, adjusted, tmp_path):
    [proposal, *_] = program.data("review", "proposals")["proposals"]
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("4h", "3h"))
    program.run("policy", "propose", str(other), "--reason", "less")
    [change] = program.data("policy", "proposals")
    token = program.environment.get("LAPSE_TOKEN")
    as_second(program)
    program.run("policy", "activate", change["id"], "--yes")
    program.environment.pop("LAPSE_TOKEN") if token is None else program.environment.update(LAPSE_TOKEN=token)
    ran = program.run("review", "adjust", "--apply", proposal["id"], "--reason", "now", expect=5)
    sentence, hint = ran.err.splitlines()
    assert sentence.startswith("lapse: the policy has changed since the review was made, so proposal ")
    assert hint.startswith("  hint: a new review proposes what fits today")


def test_what_cannot_be_filed_or_shown_is_said(program, adjusted):
    assert "has no proposal `adj_none`" in program.run("review", "adjust", "--apply", "adj_none", expect=4).err
    assert "has no proposal `adj_none`" in program.run("review", "proposals", "--show", "adj_none", expect=4).err
    assert "a reason is for a proposal" in program.run("review", "adjust", "--reason", "x", expect=2).err
    assert "knows no role `pg/x`" in program.run("review", "roles", "--role", "pg/x", expect=4).err


def test_figures_are_shown_as_far_as_the_review_is(program, adjusted):
    shown = program.run("review", "show").out
    assert "zero-standing score 1.00, weighted by tier 1.00" in shown
    assert "0     1.00   0 h       120 h    25 h" in shown
    assert re.search(r"^requests +30: 30 approved", shown, re.MULTILINE)
    assert re.search(r"^decided again +30 not derivable", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 80
    figures = program.data("review", "show")["figures"]
    assert figures["exposure"]["tiers"][0]["weight"] == 7
    assert figures["exposure"]["weighted"]["granted"] == 7 * 120
    fresh = program.data("review", "start", "--period", f"{FIRST:%Y-%m}")["id"]
    assert program.data("review", "show", fresh)["figures"] is None
    assert f"review {fresh} is only started" in program.run("review", "proposals", fresh, expect=4).err
    assert f"review {fresh} is only started" in program.run("review", "roles", fresh, expect=4).err


def test_roles_without_rights_on_record_are_said_to_be_unknown(program, adjusted):
    ran = program.run("review", "roles")
    assert "what roles allow is not on record" in ran.out
    assert "there is no evidence in `role_privileges`" in ran.err
