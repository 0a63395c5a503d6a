"""`lapse policy replay`, `propose`, `proposals`, `proposal show`, `activate`, `reject`, `withdraw`."""

from __future__ import annotations

import pytest

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals: [{from: [bob]}]
"""
CATALOG = """
principals: [{name: alice}, {name: bob}, {name: admin}, {name: second}]
resources:
  - name: pg-prod
    connector: postgresql
    entitlements: [{role: reader, native: {role: reader, mode: membership}}]
"""


@pytest.fixture
def change(program, tmp_path):
    """A policy in force, and the file of another one."""
    program.furnish(CATALOG, POLICY)
    (tmp_path / "new").mkdir()
    path = tmp_path / "new" / "policy.yaml"
    path.write_text(POLICY.replace("4h", "1h") + "claims: [{name: short, never: {longer_than: 2h}}]\n")
    return str(path)


def proposed(program, change):
    return program.data("policy", "propose", change, "--reason", "an hour is enough")["proposal"]["id"]


def as_second(program):
    program.environment["LAPSE_TOKEN"] = program.run(
        "token", "create", "second", "--scope", "admin", "--scope", "audit"
    ).out.strip()


def test_a_second_policy_is_proposed_and_not_applied(program, change):
    ran = program.run("policy", "apply", change, expect=3)
    assert "a change of it takes two persons\n  hint: `lapse policy propose`" in ran.err


def test_a_change_takes_two_persons(program, change):
    program.environment["COLUMNS"] = "80"
    said = program.run("policy", "propose", change, "--reason", "an hour is enough").out
    (one,) = program.data("policy", "proposals")
    assert said.startswith(f"proposal {one['id']} waits for another administrator\n")
    assert "claim short: " in said
    assert "there is nothing to compare" in said
    assert max(map(len, said.splitlines())) <= 80

    own = program.run("policy", "activate", one["id"], "--yes", "--accept-unknown", "seen", expect=3)
    assert "a second person decides on it" in own.err
    as_second(program)
    assert "this needs a confirmation" in program.run("policy", "activate", one["id"], expect=2).err
    done = program.run("policy", "activate", one["id"], "--yes", "--accept-unknown", "seen by hand").out
    assert done.startswith(f"policy {one['policy_version'][:19]} is in force\n")
    assert "activated" in program.run("policy", "proposals").out
    shown = program.run("policy", "proposal", "show", one["id"]).out
    assert "by second" in shown


def test_how_the_files_differ_is_shown_by_their_names(program, change):
    shown = program.run("policy", "proposal", "show", proposed(program, change), "--text").out
    assert "-    max_duration: 4h\n+    max_duration: 1h\n" in shown


def test_no_and_taking_back(program, change):
    first = proposed(program, change)
    assert " is withdrawn; " in program.run("policy", "withdraw", first).out
    second = proposed(program, change)
    as_second(program)
    assert " is rejected; " in program.run("policy", "reject", second, "--reason", "restores take longer").out
    assert program.data("policy", "proposals", "--open") == []
    assert program.run("policy", "proposals", "--open").out.startswith("no change is proposed; `lapse policy propose")


def test_a_replay_of_nothing_says_so(program, change):
    assert "so there is nothing to compare" in program.run("policy", "replay", change, "--since", "30d").out
    assert program.data("policy", "replay", change)["requests"] == 0
    assert "says no time" in program.run("policy", "replay", change, "--since", "soon", expect=2).err


def test_a_report_fits_a_terminal(capsys, monkeypatch):
    from lapse.entrypoints.cli.policy_replay import print_report

    monkeypatch.setenv("COLUMNS", "80")
    example = {
        "subject": "req_01K0Z3V9Q5X8J2M4N6P7R8S9T0",
        "requester": "alice",
        "beneficiary": "support-agent",
        "entitlement": "pg-prod/reader",
        "duration": "PT2H",
        "asked_at": "2026-03-02T09:00:00.000000Z",
        "detail": "at most 1h: no offer fits: `readers` allows at most 1h (asked 2h); `writers` allows at most 30m",
    }
    groups = [
        {"effect": effect, "requests": 12_345, "persons": 17, "saved": saved, "examples": [example]}
        for effect, saved in (("unchanged", "PT0S"), ("cannot be said", "PT0S"), ("denied", "P349DT6H"))
    ]
    print_report(
        {
            "since": "2026-01-01T00:00:00.000000Z",
            "until": "2026-04-01T00:00:00.000000Z",
            "requests": 37_035,
            "refused": 12,
            "persons_affected": 17,
            "held": "P400DT1H",
            "saved": "P349DT6H",
            "open": 2,
            "unreadable": 1,
            "groups": groups,
        }
    )
    said = capsys.readouterr().out
    assert said.startswith("37,035 requests from 2026-01-01 to 2026-04-01, of which 12 were refused\n")
    assert max(map(len, said.splitlines())) <= 80
    lines = [line.strip() for line in said.splitlines()]
    assert "17 persons affected; 8,382 h of 9,601 h would not have been held" in lines
    order = [line.split("  ")[0] for line in lines if "12,345" in line]
    assert order == ["would be denied", "cannot be said: facts are missing", "would be the same"]
    assert "alice for support-agent, pg-prod/reader for 2h, 2026-03-02" in lines
