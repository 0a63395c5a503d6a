"""The demo's stage: a private PostgreSQL, a lapse server in a process of its own, and hands to work both.

Everything listens on 127.0.0.1 and ends with the demo, unless it is to be kept.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.setup import set_up
from lapse.domain.errors import Unavailable
from lapse.entrypoints.demo import company
from lapse.entrypoints.demo.narrator import Narrator
from lapse.entrypoints.demo.private_postgres import PrivatePostgres

PATIENCE = 30.0


def _free_port() -> int:
    """A port on 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Stage:
    """Where the demo plays. `out` is its folder, with lapse's home in it."""

    out: Path
    narrator: Narrator
    server: PrivatePostgres
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Home:
        """Lapse's home folder."""
        return Home(self.out / "home")

    @property
    def url(self) -> str:
        """Where lapse answers."""
        return f"http://127.0.0.1:{self.port}"

    async def prepare(self) -> None:
        """A database worth protecting, and a lapse that nobody has told anything yet."""
        self.server.start()
        with psycopg.connect(self.server.dsn(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {company.DATABASE}")
        with self.superuser() as admin:
            admin.execute(company.SCHEMA)
            admin.execute(company.PREPARATION)
        (self.out / "catalog.yaml").write_text(company.CATALOG, encoding="utf-8")
        (self.out / "policy.yaml").write_text(company.POLICY, encoding="utf-8")
        settings = Settings(listen=f"127.0.0.1:{self.port}", origin="demo.lapse.example/ledger", local_users=True)
        await set_up(self.home, settings, admin="admin")

    def start_lapse(self) -> float:
        """Start `lapse serve` and wait until it answers; returns the seconds that took."""
        began = time.monotonic()
        with (self.out / "lapse.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  this very program
                [sys.executable, "-m", "lapse", "--home", str(self.home.path), "serve"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                start_new_session=True,
            )
        while time.monotonic() - began < PATIENCE:
            if self.process.poll() is not None:
                raise Unavailable(f"`lapse serve` ended at its start: see {self.out / 'lapse.log'}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=1).status_code == httpx.codes.OK:
                    return time.monotonic() - began
            except httpx.TransportError:
                time.sleep(0.02)
        raise Unavailable(f"`lapse serve` did not answer within {PATIENCE:.0f} s: see {self.out / 'lapse.log'}")

    def kill_lapse(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)

    def close(self) -> None:
        """End everything that was started."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self.server.close()

    def superuser(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection to the protected database."""
        return psycopg.connect(self.server.dsn(company.DATABASE), autocommit=True)

    def lapse_dsn(self) -> str:
        """How lapse reaches the target."""
        return self.server.dsn(company.DATABASE, "lapse", company.PASSWORD)

    def environment(self) -> dict[str, str]:
        """For this program's own processes: where the target is, and plain output."""
        return {**os.environ, "PG_SHOP_DSN": self.lapse_dsn(), "NO_COLOR": "1", "COLUMNS": "100"}

    def cli(self, *words: str, who: str = "", expect: int | None = 0) -> str:
        """Run a `lapse` command as a user would, show it with its output, and return what it printed."""
        acting = ["--as", who] if who else []
        answer = subprocess.run(  # noqa: S603  this very program
            [sys.executable, "-m", "lapse", "--home", str(self.home.path), *acting, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=self.environment(),
        )
        printed = answer.stdout + answer.stderr
        self.narrator.command(["lapse", *acting, *words], printed)
        if expect is not None and answer.returncode != expect:
            raise Unavailable(f"`lapse {' '.join(words)}` exited with {answer.returncode}, not {expect}")
        return printed

    def api(self, method: str, path: str, body: dict[str, Any] | None = None, who: str = "") -> dict[str, Any]:
        """Call the API, as a local user or as the administrator; for values that the story needs."""
        headers = {"Lapse-As": who} if who else {"Authorization": f"Bearer {self.home.token()}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=60)
        data: dict[str, Any] = answer.json()
        if answer.is_error:
            raise Unavailable(f"{method} {path}: {data.get('detail', answer.text)}")
        return data

    def grant_in_state(self, request_id: str, *states: str) -> dict[str, Any]:
        """The grant of a request, as soon as it is in one of `states`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.api("GET", f"/grants?request_id={request_id}")["items"]
            if found and found[0]["state"] in states:
                grant: dict[str, Any] = found[0]
                return grant
            time.sleep(0.05)
        raise Unavailable(f"the grant of {request_id} did not become {' or '.join(states)}")
