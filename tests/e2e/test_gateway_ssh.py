"""A host through the gateway from end to end: the program as its users run it, a real sshd, OpenSSH's client."""

from __future__ import annotations

import json
import subprocess

import httpx
import pytest

from support.program import Program, wait_for
from support.sshd import Sshd

CATALOG = """
principals:
  - name: alice
  - name: bob
groups:
  - name: ops
    members: [bob]
resources:
  - name: web-1
    connector: ssh
    owner: bob
    entitlements:
      - role: admin
        native: {{user: {user}, permit: "shell exec sftp"}}
"""

POLICY = """
version: 1
offers:
  - name: admins
    entitlements: [web-1/admin]
    to: [anyone]
    max_duration: 4h
    approvals:
      - from: [group:ops]
"""


@pytest.fixture
def program(tmp_path):
    program = Program(tmp_path / "home")
    program.run("init")
    settings = program.home / "lapse.toml"
    settings.write_text(settings.read_text().replace('\nssh = ""', '\nssh = "127.0.0.1:0"'))
    return program


@pytest.fixture
def host(tmp_path, program):
    ca = program.run("target", "ca").out.strip()
    made = Sshd.start(tmp_path / "sshd", ca=ca, principals="web-1/%u")
    yield made
    made.end_sessions()
    made.stop()


@pytest.fixture
def ready(program, host):
    program.furnish(CATALOG.format(user=host.user), POLICY)
    program.environment["WEB_DSN"] = host.dsn
    program.run("target", "add", "web-1", "--dsn-env", "WEB_DSN")
    for who, scope in (("alice", "request"), ("bob", "approve")):
        program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
    return program


def as_(program, who):
    return "--token", program.environment[f"TOKEN_{who}"]


def granted(program):
    asked = program.data(
        "request", "create", "web-1/admin", "--for", "1h", "--because", "a task", *as_(program, "alice")
    )
    (grant,) = program.data("approve", asked["id"], *as_(program, "bob"))["grants"]
    wait_for(lambda: program.data("grant", "show", grant)["state"] == "active")
    return grant


def over(program):
    return [one for one in program.data("session", "list") if one["ended_at"]]


def test_a_command_on_a_host_by_one_word_and_its_replay(ready):
    with ready.serve():
        granted(ready)
        done = ready.process("ssh", "web-1", *as_(ready, "alice"), "--", "echo hello; exit 3", expect=3)
        assert done.out == "hello\n"
        (session,) = wait_for(lambda: over(ready))
        assert (session["principal"], session["protocol"], session["end_reason"]) == ("alice", "ssh", "client")
        assert session["use"]["kinds"] == {"exec": 1}
        replay = ready.run("session", "replay", session["id"]).out
        assert "echo hello; exit 3" in replay
        assert "hello\n" in replay
    assert ready.data("ledger", "verify")["ok"]


def test_a_terminal_is_exported_for_players(ready, tmp_path):
    with ready.serve():
        granted(ready)
        ready.run("ssh", "web-1", "--write-config", str(tmp_path / "cfg"), *as_(ready, "alice"))
        line = ["ssh", "-F", str(tmp_path / "cfg" / "config"), "-tt", "web-1", "printf 'gr\\303\\274n\\n'"]
        subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, check=True)
        (session,) = wait_for(lambda: over(ready))
        ready.run("session", "export", session["id"], "--to", str(tmp_path / "shell.cast"))
    head, *lines = [json.loads(line) for line in (tmp_path / "shell.cast").read_text().splitlines()]
    assert (head["version"], head["command"][:6]) == (2, "printf")
    assert "".join(text for _, kind, text in lines if kind == "o").startswith("gr\u00fcn")
    assert all(0 <= seconds < 30 for seconds, _, _ in lines)


def test_other_clients_use_what_is_written_until_the_access_is_given_back(ready, tmp_path):
    with ready.serve():
        grant = granted(ready)
        ready.run("ssh", "web-1", "--write-config", str(tmp_path / "cfg"), *as_(ready, "alice"))
        line = ["ssh", "-F", str(tmp_path / "cfg" / "config"), "web-1"]
        assert (tmp_path / "cfg" / "id").stat().st_mode & 0o777 == 0o600
        with subprocess.Popen([*line, "echo begun; sleep 60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as open_:
            assert open_.stdout.readline() == b"begun\n"
            ready.run("grant", "release", grant, *as_(ready, "alice"))
            assert open_.wait(timeout=20) == 255
            assert b"your access was given back" in open_.stderr.read()
        again = subprocess.run([*line, "true"], capture_output=True, timeout=30, check=False)
        assert b"Permission denied" in again.stderr


def test_a_database_is_no_host_and_a_host_no_database(ready):
    with ready.serve():
        granted(ready)
        said = ready.run("connect", "web-1", *as_(ready, "alice"), expect=3)
        assert "`web-1` is not a database" in said.err


def test_past_the_gateway_the_host_itself_ends_the_access_and_reads_the_list(tmp_path, program):
    ca = program.run("target", "ca").out.strip()
    with program.serve() as server:
        host = Sshd.start(tmp_path / "sshd", ca=ca, principals="web-1/%u", krl=listed(server))
        try:
            direct = CATALOG.replace('permit: "shell exec sftp"', 'permit: "shell exec sftp", direct: "yes"')
            program.furnish(direct.format(user=host.user), POLICY)
            (tmp_path / "dsn").write_text(host.dsn)
            program.run("target", "add", "web-1", "--dsn-file", str(tmp_path / "dsn"))
            for who, scope in (("alice", "request"), ("bob", "approve")):
                program.environment[f"TOKEN_{who}"] = program.data("token", "create", who, "--scope", scope)["secret"]
            grant = granted(program)
            done = program.process("ssh", "web-1", "--direct", *as_(program, "alice"), "--", "echo straight")
            assert done.out == "straight\n"
            program.run("ssh", "web-1", "--direct", "--write-config", str(tmp_path / "cfg"), *as_(program, "alice"))
            line = ["ssh", "-F", str(tmp_path / "cfg" / "config"), "web-1", "true"]
            assert subprocess.run(line, capture_output=True, timeout=30, check=False).returncode == 0

            program.run("grant", "release", grant, *as_(program, "alice"))
            assert program.data("grant", "show", grant)["state"] != "ended"
            host.revoke(listed(server))
            wait_for(lambda: program.data("grant", "show", grant)["state"] == "ended", seconds=60)
            assert subprocess.run(line, capture_output=True, timeout=30, check=False).returncode == 255
        finally:
            host.end_sessions()
            host.stop()


def listed(server):
    return httpx.get(f"{server.url}/api/v1/ssh/krl").raise_for_status().content
