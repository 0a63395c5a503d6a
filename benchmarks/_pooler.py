"""PgBouncer beside the gateway: session pooling, SCRAM on both sides, on 127.0.0.1, ended by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from support.ports import free_port

PATIENCE_SECONDS = 10.0


@contextmanager
def pgbouncer(target: str, user: str, password: str) -> Iterator[str]:
    """A pgbouncer in front of `target` (a connection string); the connection string through it."""
    with TemporaryDirectory(prefix="lapse-pgbouncer-") as name:
        port, folder = free_port(), Path(name)
        ini = _configure(folder, target, user, password, port)
        process = subprocess.Popen([shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", ini])
        try:
            dsn = psycopg.conninfo.make_conninfo(target, port=port, user=user, password=password, dbname="measured")
            _await(dsn)
            yield dsn
        finally:
            process.terminate()
            process.wait()


def _configure(folder: Path, target: str, user: str, password: str, port: int) -> Path:
    given = psycopg.conninfo.conninfo_to_dict(target)
    ini, users = folder / "pgbouncer.ini", folder / "users.txt"
    users.write_text(f'"{user}" "{password}"\n', encoding="utf-8")
    lines = [
        "[databases]",
        f"measured = host={given['host']} port={given['port']} dbname={given['dbname']}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = scram-sha-256",
        f"auth_file = {users}",
        "pool_mode = session",
        "default_pool_size = 100",
        "log_connections = 0",
        "log_disconnections = 0",
        "server_tls_sslmode = disable",
        f"logfile = {folder / 'log'}",
    ]
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        lines.append("user = postgres")
        for path in (folder, users):
            os.chown(path, account.pw_uid, account.pw_gid)
    ini.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ini


def _await(dsn: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
