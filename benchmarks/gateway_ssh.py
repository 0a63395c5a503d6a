"""What the SSH gateway costs, beside OpenSSH's own ProxyJump: connect and run, bulk down and up; and how late it cuts.

Both ways end at the same sshd on loopback. The gateway permits and records; the jump host, another sshd, sees nothing.
"""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from _bench import AtLeast, AtMost, Goal, Row, alternate, percentile, report, row

from fakes.authority import FakeAuthority
from lapse.gateway.recording.recorder import FileRecorder
from support.live_gateway import KeptLog
from support.ssh_front import SshFront, ssh_front
from support.sshd import Sshd

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CONNECTIONS = 10
MEGABYTES = 256
SESSIONS = 200
LIFE = 150
"""Seconds until their one deadline; logging all of them in takes most of it."""


def main() -> None:
    """Run it and report the ratios."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        authority = FakeAuthority()
        host = Sshd.start(folder / "host", ca=authority.ssh_public_key, principals="web-1/%u")
        jump = Sshd.start(folder / "jump", lines=["PermitTTY no"])
        try:
            with _gateway(folder, host, authority) as front:
                _jump_config(folder, host, jump)
                rows = _measured(folder, front)
        finally:
            for one in (host, jump):
                one.end_sessions()
                one.stop()
    report("gateway_ssh", rows)


def _measured(folder: Path, front: SshFront) -> list[Row]:
    ours, theirs = ["ssh", "-F", f"{front.folder}/config", "web-1"], ["ssh", "-F", f"{folder}/jump.config", "target"]
    data = folder / "data"
    data.write_bytes(os.urandom(1 << 20) * MEGABYTES)
    sides: dict[str, Callable[[list[str]], float]] = {
        "connect and run": lambda line: _timed([*line, "true"], times=CONNECTIONS),
        "bulk down": lambda line: MEGABYTES / _timed([*line, f"cat {data}"]),
        "bulk up": lambda line: MEGABYTES / _timed([*line, "cat > /dev/null"], given=data),
    }
    goals: dict[str, Goal] = {"connect and run": AtMost(0.8), "bulk down": AtLeast(1.0), "bulk up": AtLeast(0.9)}
    rows = []
    for what, measure in sides.items():
        rounds = alternate(ROUNDS, gateway=lambda run=measure: run(ours), proxyjump=lambda run=measure: run(theirs))
        unit = "s" if what == "connect and run" else "MB/s"
        rows.append(rounds.row(what, "gateway", "proxyjump", unit=unit, goal=goals[what]))
    return [*rows, *_cuts(front)]


def _timed(line: list[str], *, times: int = 1, given: Path | None = None) -> float:
    began = time.perf_counter()
    for _ in range(times):
        with Path(given or os.devnull).open("rb") as file:
            done = subprocess.run(line, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(line)} failed: {done.stderr.decode()}")
    return (time.perf_counter() - began) / times


def _cuts(front: SshFront) -> list[Row]:
    """Sessions that share one deadline: how much later than it each client sees the end."""
    allowed = front.allow(life=timedelta(seconds=LIFE))
    deadline = allowed.credential.expires_at.timestamp()
    line = ["ssh", "-F", f"{front.folder}/config", "web-1", "sleep 600"]
    clients = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(SESSIONS)]
    ended = _ends(clients)
    late = [1_000 * (at - deadline) for at in ended]
    print(f"{sum(one >= 0 for one in late)} of {SESSIONS} sessions lived to the deadline")
    return [
        row("cut late, p50", [percentile(late, 0.5)], "ms"),
        row("cut late, p99", [percentile(late, 0.99)], "ms", goal=AtMost(100)),
        row("cut late, least", [min(late)], "ms", goal=AtLeast(0)),
    ]


def _ends(clients: list[subprocess.Popen[bytes]]) -> list[float]:
    """When each client ended. Nothing else is done meanwhile: the gateway shares this process."""
    poll, ended = select.epoll(), []
    for client in clients:
        poll.register(os.pidfd_open(client.pid), select.EPOLLIN)
    while len(ended) < len(clients):
        ready, at = poll.poll(), time.time()
        for descriptor, _ in ready:
            ended.append(at)
            os.close(descriptor)
    for client in clients:
        client.wait()
    return ended


@contextmanager
def _gateway(folder: Path, host: Sshd, authority: FakeAuthority) -> Iterator[SshFront]:
    """The gateway in a thread of its own; this one only waits for clients meanwhile."""
    ready, stop, found = threading.Event(), asyncio.Event(), []
    client = folder / "client"
    client.mkdir()

    async def serve() -> None:
        recorder: list[FileRecorder] = []

        def recorder_for(plane: object) -> FileRecorder:
            recorder.append(FileRecorder(folder / "recordings", plane, KeptLog()))  # type: ignore[arg-type]
            return recorder[0]

        async with ssh_front(client, host, authority, recorder_for=recorder_for) as front:
            front.allow()
            found.append((front, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()
        await recorder[0].close()

    thread = threading.Thread(target=uvloop.run, args=[serve()])
    thread.start()
    ready.wait()
    front, loop = found[0]
    try:
        yield front
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _jump_config(folder: Path, host: Sshd, jump: Sshd) -> None:
    """The same client by OpenSSH's own way: a key that both sshds know."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for one in (host, jump):
        (one.folder / "authorized_keys").write_text(Path(f"{key}.pub").read_text())
    common = f"""
        IdentityFile {key}
        IdentitiesOnly yes
        IdentityAgent none
        UserKnownHostsFile {folder}/jump.known
        StrictHostKeyChecking accept-new
        BatchMode yes
        LogLevel ERROR
    """
    (folder / "jump.config").write_text(
        f"Host jump\n HostName 127.0.0.1\n Port {jump.port}\n User {jump.user}\n{common}\n"
        f"Host target\n HostName 127.0.0.1\n Port {host.port}\n User {host.user}\n ProxyJump jump\n{common}\n"
    )


if __name__ == "__main__":
    main()
