"""What a real sshd tells syslog, and writes itself, read as evidence."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lapse.review.collection.identities import Rules
from support.read_sources import read_as, short
from support.sshd import SSHD, Sshd

SOCKET = Path("/dev/log")
USER = pwd.getpwuid(os.geteuid()).pw_name
pytestmark = pytest.mark.skipif(
    not Path(SSHD).exists() or shutil.which("ssh") is None, reason="OpenSSH's server or client is not installed"
)


@contextlib.contextmanager
def syslog():
    """What programs of this machine say to syslog, as long as nobody else listens there: a list that grows."""
    if SOCKET.exists() or os.geteuid() != 0:
        pytest.skip("the machine has a syslog of its own, or it may not be listened to")
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        try:
            listener.bind(str(SOCKET))
        except OSError as error:
            pytest.skip(f"{SOCKET} cannot be listened to: {error}")
        listener.settimeout(0.1)
        over = threading.Event()
        thread = threading.Thread(target=listen, args=(listener, heard, over))
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()
            SOCKET.unlink()


def listen(listener, heard, over):
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            heard.append(listener.recv(1 << 16))


def as_written(heard, host):
    """The lines as a syslog daemon writes them: without priority, with the host."""
    lines = [data.decode().rstrip("\0\n").partition(">")[2] for data in heard]
    return "".join(f"{line[:16]}{host} {line[16:]}\n" for line in lines)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key, a CA and another key that carries its certificate, with the key id that lapse writes."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("plain", "ca", "granted"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    key_id = "lapse grant gra_42 of bob"
    command = ["ssh-keygen", "-q", "-s", folder / "ca", "-I", key_id, "-n", USER, "-z", "7", folder / "granted.pub"]
    subprocess.run(command, check=True)
    return folder


def use(port, keys):
    """Two logins, a file transfer, and a login that is refused."""
    options = [
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"),
        *("-o", "IdentitiesOnly=yes"),
    ]
    place = f"{USER}@127.0.0.1"
    for key in ("plain", "granted"):
        subprocess.run(
            ["ssh", "-p", str(port), *options, "-i", keys / key, place, "true"], check=True, capture_output=True
        )
    batch = keys / "batch"
    batch.write_text("pwd\n")
    subprocess.run(
        ["sftp", "-P", str(port), *options, "-i", keys / "plain", "-b", batch, place], check=True, capture_output=True
    )
    subprocess.run(
        ["ssh", "-p", str(port), *options, "-i", keys / "ca", place, "true"], check=False, capture_output=True
    )


@contextlib.contextmanager
def running(folder, keys, *arguments):
    """An sshd of `folder` that is ended by its process id; `arguments` say where it logs to."""
    server = Sshd.start(folder, ca=(keys / "ca.pub").read_text().strip())
    server.stop()
    (folder / "authorized_keys").write_text((keys / "plain.pub").read_text())
    process = subprocess.Popen([SSHD, "-D", "-f", folder / "config", *arguments])
    try:
        await_port(server.port)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def await_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(port)


def fingerprint(key):
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True)
    return shown.stdout.split()[1]


def test_syslog_of_a_real_sshd(tmp_path, keys):
    began = datetime.now(UTC).replace(microsecond=0)
    with syslog() as heard:
        with running(tmp_path / "sshd", keys) as server:
            use(server.port, keys)
            await_end(heard)
        log = tmp_path / "auth.log"
        log.write_text(as_written(heard, "web-1"))
    rules = Rules(keys={fingerprint(keys / "plain"): frozenset({"ann"})})
    result = read_as("sshd-log", log, tmp_path, rules, timezone="UTC", complete="yes", ca=fingerprint(keys / "ca"))
    assert short(result.sessions, "account", "principal", "grant_id", "end_reason") == [
        (USER, "ann", None, "disconnected by user"),
        (USER, "bob", "gra_42", "disconnected by user"),
        (USER, "ann", None, "disconnected by user"),
    ]
    assert short(result.usage, "action", "object", "grant_id") == [
        ("command", None, None), ("login", None, None),
        ("command", None, "gra_42"), ("login", None, "gra_42"),
        ("subsystem", "sftp", None), ("login", None, None),
    ]  # fmt: skip
    assert all(began <= row["started_at"] <= row["ended_at"] for row in result.sessions)
    assert short(result.coverage, "resource", "complete") == [("ssh-web-1", True)]
    assert result.report.rejected == 0
    assert result.report.skipped["a login that failed, or was not finished"] >= 1


def await_end(heard):
    """The last thing that sshd says of the refused login."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(b"[preauth]" in line and b"onnect" in line for line in list(heard)):
            return
        time.sleep(0.02)


@pytest.mark.parametrize("where", ["-e", "-E"])
def test_what_sshd_writes_itself_says_neither_when_nor_who(tmp_path, keys, where):
    log = tmp_path / "own.log"
    if where == "-E":
        with running(tmp_path / "sshd", keys, "-E", log) as server:
            use(server.port, keys)
    else:
        server = Sshd.start(tmp_path / "sshd", ca=(keys / "ca.pub").read_text().strip())
        (tmp_path / "sshd" / "authorized_keys").write_text((keys / "plain.pub").read_text())
        try:
            use(server.port, keys)
        finally:
            server.stop()
        log = server.log_file
    assert "Accepted publickey for" in log.read_text()
    result = read_as("sshd-log", log, tmp_path, timezone="UTC", year="2026", host="web-1")
    assert result.usage == []
    assert result.report.rejected == result.report.records > 5
    assert all("neither when nor who" in example for example in result.report.examples)
