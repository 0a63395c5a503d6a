"""OpenSSH's own clients through the gateway: each does what it does directly, and what it did is recorded."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from lapse.domain.sessions import SessionEnd
from lapse.gateway.recording import FrameKind


def events(front, kind):
    """Events of one kind in the only recording."""
    (recording,) = front.gateway.recorder.recordings.values()
    return [json.loads(data) for one, data in recording.frames if one is kind]


def output(front):
    (recording,) = front.gateway.recorder.recordings.values()
    return b"".join(data[4:] for one, data in recording.frames if one is FrameKind.OUTPUT)


async def test_a_command_runs_on_the_host_with_its_output_error_and_status(front):
    done = await front.ssh("web-1", "echo out; echo err >&2; cat; exit 7", stdin=b"in\n")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\nin\n", b"err\n", 7)
    (session,) = await front.over()
    assert (session.end_reason, session.account, session.recorded) == (SessionEnd.CLIENT, front.sshd.user, True)
    assert session.use.kinds == {"exec": 1}
    assert output(front) == b"out\nin\n"
    (started,), (ended,) = events(front, FrameKind.STARTED), events(front, FrameKind.EXIT)
    assert started["command"].startswith("echo out")
    assert (ended["status"], ended["bytes_in"], ended["bytes_out"], ended["bytes_err"]) == (7, 3, 7, 4)


async def test_a_terminal_has_its_size_and_type(front):
    done = await front.ssh("-tt", "web-1", "stty size; echo $TERM; tty", stdin=b"")
    assert b"/dev/pts" in done.stdout
    (started,) = events(front, FrameKind.STARTED)
    assert started["terminal"] is not None


async def test_a_command_that_dies_of_a_signal(front):
    done = await front.ssh("web-1", "kill -TERM $$")
    assert done.returncode in {143, 255}


@pytest.mark.parametrize("old", [True, False], ids=["scp's own protocol", "over sftp"])
async def test_scp_both_ways(front, tmp_path, old):
    content = os.urandom(3 << 20)
    (tmp_path / "up").write_bytes(content)
    flags = ["-O"] if old else []
    config = ["-F", str(front.folder / "config"), "-q", *flags]
    up = await front.run("scp", *config, str(tmp_path / "up"), f"web-1:{tmp_path}/there")
    assert up.returncode == 0, up.stderr
    down = await front.run("scp", *config, f"web-1:{tmp_path}/there", str(tmp_path / "back"))
    assert down.returncode == 0, down.stderr
    assert (tmp_path / "back").read_bytes() == content
    sessions = await front.over(2)
    assert {kind for one in sessions for kind in one.use.kinds} == {"scp"} if old else {"sftp"}


async def test_sftp_says_which_files(front, tmp_path):
    (tmp_path / "up").write_bytes(b"x" * 100_000)
    done = await front.run(
        "sftp", "-F", str(front.folder / "config"), "-q", "-b", "-", "web-1",
        stdin=f"put {tmp_path}/up {tmp_path}/there\nrename {tmp_path}/there {tmp_path}/else\n".encode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    await front.over()
    files = {(one["op"], one["path"]): one for one in events(front, FrameKind.FILE)}
    assert files["close", f"{tmp_path}/there"]["bytes_written"] == 100_000
    assert files["rename", f"{tmp_path}/there"]["to"] == f"{tmp_path}/else"


async def test_rsync(front, tmp_path):
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / "tree" / f"{number}").write_bytes(os.urandom(10_000))
    done = await front.run(
        "rsync", "-a", "-e", f"ssh -F {front.folder}/config", f"{tmp_path}/tree/", f"web-1:{tmp_path}/copy/"
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "copy").iterdir())) == 20
    (session,) = await front.over()
    assert session.use.kinds == {"rsync": 1}


async def test_git_over_ssh(front, tmp_path):
    made = await front.run("git", "init", "-q", "--bare", str(tmp_path / "there.git"))
    assert made.returncode == 0
    done = await front.run("git", "clone", "-q", f"web-1:{tmp_path}/there.git", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr


async def test_jumping_through_the_gateway_ends_in_the_gateway_and_is_recorded(front):
    done = await front.ssh(
        "-o", f"ProxyCommand=ssh -F {front.folder}/config -W web-1:22 gateway",
        "-o", "HostKeyAlias=inner", "-o", f"User={front.sshd.user}", "inner", "echo jumped",
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (b"jumped\n", 0), done.stderr
    (session,) = await front.over()
    assert session.use.kinds == {"exec": 1}
    assert output(front) == b"jumped\n"


async def test_several_channels_share_one_session(front, tmp_path):
    control = ["-o", "ControlMaster=auto", "-o", f"ControlPath={tmp_path}/c", "-o", "ControlPersist=yes"]
    for number in range(3):
        done = await front.ssh(*control, "web-1", f"echo {number}")
        assert done.stdout == f"{number}\n".encode()
    await front.ssh(*control, "-O", "exit", "web-1")
    (session,) = await front.over()
    assert session.use.kinds == {"exec": 3}


ANSIBLE = Path(sys.executable).with_name("ansible")


async def test_ansible_pings(front):
    done = await front.run(
        str(ANSIBLE), "web-1", "-i", "web-1,", "-m", "ping", "--ssh-common-args", f"-F {front.folder}/config",
        "-e", "ansible_python_interpreter=/usr/bin/python3", patience=90,
    )  # fmt: skip
    assert b'"ping": "pong"' in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_nothing_is_lost_however_slowly_it_is_read(front, tmp_path, direction):
    content = os.urandom(24 << 20)
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "data").write_bytes(content)
    if direction == "down":
        script = f"ssh -F {front.folder}/config web-1 cat {tmp_path}/data | (sleep 1.5; sha256sum)"
    else:
        script = f"ssh -F {front.folder}/config web-1 '(sleep 1.5; sha256sum)' < {tmp_path}/data"
    done = await front.run("sh", "-c", script)
    assert done.stdout.decode().split()[0] == digest, done.stderr
    (session,) = await front.over()
    moved = session.use.bytes_out if direction == "down" else session.use.bytes_in
    assert moved >= len(content)
