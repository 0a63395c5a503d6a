"""What commands print and ask, for people and for programs."""

from __future__ import annotations

import pytest

from support.program import Program
from support.tools import ROOT

POLICY = """
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
    approvals: [{from: [bob]}]
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grant", "list"], "there are no such grants"),
        (["request", "list"], "there are no such requests"),
        (["lock", "list"], "nothing is locked"),
        (["target", "list"], "there are no targets"),
        (["principal", "list"], "there are no principals"),
        (["resource", "list"], "there are no resources"),
        (["drift", "list"], "no drift is known"),
        (["review", "list"], "there are no reviews yet"),
    ],
)
def test_an_empty_list_says_so_and_is_an_empty_list_for_programs(program, words, said):
    assert program.run(*words).out.startswith(said)
    assert program.data(*words) == []


def test_a_catalog_is_applied_only_after_a_yes(program, catalog):
    asked = program.run("catalog", "apply", str(catalog), expect=2)
    assert asked.out == "+ principal alice\n+ principal bob\n+ resource pg-prod\n"
    sentence, hint = asked.err.splitlines()
    assert sentence == "lapse: this needs a confirmation, and nobody can be asked here"
    assert hint.startswith("  hint: pass --yes, if it is yes: ")
    assert program.data("principal", "list") == []

    assert "applied 3 changes" in program.run("catalog", "apply", str(catalog), "--yes").out
    assert program.run("catalog", "apply", str(catalog)).out == "nothing to change: the catalog is what the files say\n"
    assert program.data("catalog", "apply", str(catalog))["changes"] == []


def test_a_plan_alone_changes_nothing(program, catalog):
    plan = program.data("catalog", "apply", str(catalog), "--dry-run")

    assert (plan["applied"], len(plan["changes"])) == (False, 3)
    assert program.data("principal", "list") == []


def test_each_problem_of_a_catalog_is_a_line_with_its_place(program, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("principals:\n  - {name: Alice}\n  - {name: bob, manager: carl}\n")

    ran = program.run("catalog", "apply", str(file), expect=2)

    assert [line.partition(": ")[0] for line in ran.err.splitlines()] == [f"{file}:2:12", f"{file}:3:26"]


def test_a_policy_is_checked_without_a_home(tmp_path):
    program = Program(tmp_path / "nothing")
    (tmp_path / "good.yaml").write_text(POLICY)
    (tmp_path / "bad.yaml").write_text(POLICY.replace("max_duration", "max_durration"))

    assert program.run("policy", "check", str(tmp_path / "good.yaml")).out.startswith("ok: 1 offer, 0 limits\n")
    bad = program.run("policy", "check", str(tmp_path / "bad.yaml"), expect=2)
    assert f"{tmp_path / 'bad.yaml'}:7:5: there is no key `max_durration` in an offer" in bad.out
    assert program.run("--json", "policy", "check", str(tmp_path / "bad.yaml"), expect=2).data["ok"] is False


def test_the_examples_are_a_policy(tmp_path):
    assert Program(tmp_path).run("policy", "check", str(ROOT / "examples" / "policy")).out.startswith("ok: ")


def test_a_lock_is_confirmed_and_listed(program, catalog):
    program.run("catalog", "apply", str(catalog), "--yes")

    assert program.run("lock", "add", "principal", "alice", "--reason", "laptop gone", expect=2).out == ""
    said = program.run("lock", "add", "principal", "alice", "--reason", "laptop gone", "--yes").out
    assert " is in force on principal alice; 0 grants now ending, 0 waiting\n" in said
    (lock,) = program.data("lock", "list")
    assert (lock["kind"], lock["target"], lock["reason"]) == ("principal", "alice", "laptop gone")
    own = program.run("lock", "remove", lock["id"], expect=3)
    assert own.err.startswith(f"lapse: `admin` set lock {lock['id']}\n  hint: another administrator")


def test_a_token_goes_to_standard_output_alone(program):
    ran = program.run("token", "create", "alice", "--scope", "request", "--scope", "approve", "--for", "30d")

    assert ran.out.startswith("lapse_")
    assert len(ran.out.splitlines()) == 1
    assert "it is shown only now" in ran.err


def test_a_dsn_may_come_from_standard_input(program, catalog):
    program.run("catalog", "apply", str(catalog), "--yes")

    said = program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@127.0.0.1:1/app\n").out

    assert "DSN encrypted in the store" in said
    assert "hunter2" not in said + str(program.data("target", "list"))
    assert program.run("target", "add", "pg-prod", expect=2).err.startswith("lapse: no DSN was given")


def test_a_dsn_that_could_never_connect_is_refused_and_not_repeated(program, catalog):
    program.run("catalog", "apply", str(catalog), "--yes")

    ran = program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@[nowhere/app\n", expect=2)

    assert "hunter2" not in ran.err
    assert program.data("target", "list") == []


def test_a_target_that_is_not_there_is_unavailable(program, catalog):
    program.run("catalog", "apply", str(catalog), "--yes")
    program.run("target", "add", "pg-prod", stdin="postgresql://lapse:hunter2@127.0.0.1:1/app\n")

    ran = program.run("target", "check", "pg-prod", expect=6)

    assert ran.err.startswith("lapse: ")
    assert "hunter2" not in ran.err


def test_a_checkpoint_that_was_kept_is_verified_later(program, tmp_path):
    kept = tmp_path / "checkpoint"
    kept.write_text(program.run("ledger", "checkpoint").out)
    program.run("token", "create", "alice", "--scope", "request")

    said = program.run("ledger", "verify", "--checkpoint", str(kept)).out

    assert said.startswith("ok: 2 entries are in order, unchanged and signed, and continue 1 kept checkpoint\n")


def test_tables_fit_a_narrow_terminal_and_ids_stay_whole(program):
    program.environment["COLUMNS"] = "80"
    program.run(
        "token", "create", "a-rather-long-principal-name", "--scope", "request", "--note", "for a long time " * 5
    )

    lines = program.run("token", "list").out.splitlines()

    assert max(map(len, lines)) <= 80
    assert any(one["id"] in line for one in program.data("token", "list") for line in lines)


def test_what_came_from_outside_cannot_move_the_cursor(program, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY)
    program.run("policy", "apply", str(tmp_path / "p.yaml"))

    from lapse.entrypoints.cli.output import safe

    assert safe("evil\x1b[2Jname\n") == "evil\\x1b[2Jname "
    assert safe(None) == safe("") == "-"


def test_an_error_about_a_hostile_name_cannot_move_the_cursor(program):
    said = program.run("review", "verify", "nope\x1b[2J.zip", expect=4).err
    assert said.startswith("lapse: there is no `nope\\x1b[2J.zip`\n")


def test_a_policy_is_shown_and_explained(program, catalog, tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY)
    program.run("catalog", "apply", str(catalog), "--yes")
    assert "is in force\n" in program.run("policy", "apply", str(tmp_path / "p.yaml")).out
    assert "already; nothing was changed" in program.run("policy", "apply", str(tmp_path / "p.yaml")).out
    assert POLICY in program.run("policy", "show", "--text").out

    without_target = program.run("policy", "explain", "--as", "alice", "pg-prod/reader", "--for", "2h", expect=3)
    assert "has no target yet" in without_target.err


def test_names_that_the_catalog_does_not_have_are_warnings(tmp_path, catalog):
    program = Program(tmp_path / "nothing")
    (tmp_path / "p.yaml").write_text(POLICY.replace("[bob]", "[bop]"))
    words = ["policy", "check", str(tmp_path / "p.yaml"), "--catalog", str(catalog)]

    ran = program.run(*words)
    assert "p.yaml:8:25: `readers`: there is no principal `bop` in the catalog (did you mean `bob`?)" in ran.out
    assert program.run(*words, "--strict", expect=1).err == "lapse: 2 warnings\n"
    assert len(program.data(*words)["warnings"]) == 2
    assert program.run("policy", "check", str(tmp_path / "p.yaml")).err == ""
