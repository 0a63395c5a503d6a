"""`lapse policy fmt`: files in one layout, whole or not at all, with no home and no server."""

from __future__ import annotations

import pytest

from support.program import Program

UGLY = "version:   1 # one\nlimits:\n- max_total: 2h\n  name: a\n"
NEAT = "version: 1  # one\n\nlimits:\n  - name: a\n    max_total: 2h\n"


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path / "nothing")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(UGLY)
    path.chmod(0o640)
    return path


def test_a_file_is_formatted_once_and_keeps_its_mode(program, file):
    assert program.run("policy", "fmt", str(file)).out == f"formatted: {file}\n"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (NEAT, 0o640)
    assert program.run("policy", "fmt", str(file)).out == "1 file formatted already\n"
    assert [path.name for path in file.parent.iterdir()] == ["p.yaml"]


def test_a_check_changes_nothing_and_fails(program, file):
    assert program.run("policy", "fmt", "--check", str(file), expect=1).out == f"would change: {file}\n"
    assert "+    max_total: 2h" in program.run("policy", "fmt", "--diff", str(file)).out
    assert program.data("policy", "fmt", "--diff", str(file))["changed"] == [str(file)]
    assert file.read_text() == UGLY
    file.write_text(NEAT)
    assert program.run("policy", "fmt", "--check", str(file)).out == "1 file formatted already\n"


def test_mistakes_in_one_file_leave_all_alone(program, file):
    other = file.with_name("q.yaml")
    other.write_text("version: 1\nlimits: [{name: b}]\n")
    assert "q.yaml:2:10: the limit has no effect" in program.run("policy", "fmt", str(file.parent), expect=2).err
    assert file.read_text() == UGLY


def test_tests_that_lie_beside_are_no_policy(program, file):
    file.with_name("p.test.yaml").write_text("cases: []\n")
    assert program.run("policy", "fmt", str(file.parent)).out == f"formatted: {file}\n"
    assert "these are test cases" in program.run("policy", "fmt", str(file.with_name("p.test.yaml")), expect=2).err


def test_a_link_stays_a_link_and_line_ends_become_one(program, file):
    link = file.with_name("link.yaml")
    link.symlink_to(file)
    file.write_bytes(NEAT.replace("\n", "\r\n").encode())
    assert program.run("policy", "fmt", str(link)).out == f"formatted: {link}\n"
    assert link.is_symlink()
    assert file.read_bytes() == NEAT.encode()


def test_a_file_that_cannot_be_written_is_as_it_was(program, file, monkeypatch):
    from lapse.entrypoints.cli import policy_format

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policy_format.os, "fsync", full)
    assert f"`{file}` cannot be written: no space left" in program.run("policy", "fmt", str(file), expect=6).err
    assert file.read_text() == UGLY
    assert [path.name for path in file.parent.iterdir()] == ["p.yaml"]
