"""How late are cuts? Live PostgreSQL sessions with one deadline, then a revoke through the API; and their memory.

`lapse serve` as its users run it, with its gateway, a store on disk and a real PostgreSQL; clients are libpq in this
process, which does nothing meanwhile but look at their sockets. `SESSIONS` says how many (1,000).
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
from _bench import AtLeast, AtMost, Row, percentile, report, row

from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from support.gateway_company import dsn_of, furnished, granted
from support.postgres import protected_target
from support.program import Program, Serving

SESSIONS = int(os.environ.get("SESSIONS", "1000"))
PATIENCE = 120.0
NOTICE = b"N"
OPENING = 0.04
"""Seconds that opening one session may take on a slow machine: the deadline lies behind all of them."""


def main() -> None:
    """Run it and report the distribution."""
    settings = {"max_connections": str(SESSIONS + 100), "shared_buffers": "32MB"}
    with PrivatePostgres(settings=settings) as server, protected_target(server) as target, TemporaryDirectory() as home:
        rules = f"{{sessions_per_principal: {SESSIONS}, sessions: {SESSIONS}}}"
        program = furnished(Path(home) / "home", target, gateway=rules, postgresql="127.0.0.1:0", drain="PT1S")
        with program.serve() as serving:
            rows = [*_deadline(program, serving), *_revoke(program, serving)]
    report("gateway_cut", rows)


def _deadline(program: Program, serving: Serving) -> list[Row]:
    grant = granted(program, f"{round(20 + SESSIONS * OPENING)}s")
    before = _resident(serving.process.pid)
    clients = _opened(dsn_of(program))
    kilobytes = (_resident(serving.process.pid) - before) / 1_024 / SESSIONS
    ends_at = datetime.fromisoformat(program.data("grant", "show", grant)["ends_at"]).timestamp()
    if time.time() > ends_at:
        raise SystemExit("opening took longer than the access: raise OPENING")
    late = [1000 * (at - ends_at) for at in _ends(clients, ends_at)]
    return [
        row(f"memory of a session, {SESSIONS} idle ones", [kilobytes], "KB", goal=AtMost(60)),
        *_distribution(f"{SESSIONS} sessions, one deadline", late, 100),
        row("earliest (none before the deadline)", [min(late)], "ms", goal=AtLeast(0)),
    ]


def _revoke(program: Program, serving: Serving) -> list[Row]:
    grant = granted(program, "1h")
    clients = _opened(dsn_of(program))
    token = (program.home / "token").read_text().strip()
    asked = time.time()
    answer = httpx.post(
        f"{serving.url}/api/v1/grants/{grant}/revoke",
        json={"reason": "benchmark"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE,
    )
    answer.raise_for_status()
    answered = time.time()
    late = [1000 * (at - asked) for at in _ends(clients, asked)]
    return [
        row("revoke through the API: its answer", [1000 * (answered - asked)], "ms"),
        *_distribution(f"{SESSIONS} sessions, revoke asked to cut", late, 250),
    ]


def _distribution(what: str, late: Sequence[float], goal: float) -> list[Row]:
    return [
        row(f"{what}: p50", [percentile(late, 0.5)], "ms"),
        row(f"{what}: p99", [percentile(late, 0.99)], "ms", goal=AtMost(goal)),
        row(f"{what}: max", [max(late)], "ms"),
    ]


def _opened(dsn: str) -> list[psycopg.Connection]:
    return [psycopg.connect(dsn, autocommit=True) for _ in range(SESSIONS)]


def _ends(clients: Sequence[psycopg.Connection], due: float) -> list[float]:
    """When each client could see its end, which is due at `due`.

    Nothing else is done meanwhile: this process must not be what is late.
    """
    poll, by_fd = select.epoll(), {client.fileno(): client for client in clients}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN | select.EPOLLRDHUP)
    found: list[float] = []
    while len(found) < len(clients) and time.time() < due + PATIENCE:
        ready, at = poll.poll(1.0), time.time()
        for fd, _ in ready:
            if _begins(fd) == NOTICE:
                by_fd[fd].pgconn.consume_input()
            else:
                found.append(at)
                poll.unregister(fd)
    if len(found) < len(clients):
        raise SystemExit(f"{len(clients) - len(found)} sessions were not cut")
    for client in clients:
        client.close()
    return found


def _begins(fd: int) -> bytes:
    """The first byte of what came; nothing where the connection is closed."""
    with socket.socket(fileno=os.dup(fd)) as sock, suppress(OSError):
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""


def _resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
