"""The program as its users run it, on a home folder, with or without a server.

`run` takes the arguments through the whole program inside the test's process, which is quick; `process` starts one.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from lapse.__main__ import demo, embedded, gateway, serve
from lapse.entrypoints.cli.main import run
from lapse.entrypoints.cli.session import Parts

PATIENCE = 30.0


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed with `--json`."""
        return json.loads(self.out)


@dataclass
class Program:
    """`lapse` on one home folder."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, expect: int | None = 0, stdin: str = "") -> Ran:
        """Run a command in this process; its exit code must be `expect`."""
        out, err = io.StringIO(), io.StringIO()
        parts = Parts(embedded=embedded, serve=serve, gateway=gateway, demo=demo)
        before, sys.stdin = sys.stdin, io.StringIO(stdin)
        try:
            with patch.dict(os.environ, self._environment(), clear=True), redirect_stdout(out), redirect_stderr(err):
                code = run(words, parts)
        finally:
            sys.stdin = before
        return _checked(words, Ran(code, out.getvalue(), err.getvalue()), expect)

    def process(self, *words: str, expect: int | None = 0, stdin: str = "") -> Ran:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "lapse", *words],
            env=self._environment(),
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            check=False,
        )
        return _checked(words, Ran(done.returncode, done.stdout, done.stderr), expect)

    def data(self, *words: str, expect: int = 0) -> Any:
        """What a command prints with `--json`."""
        return self.run("--json", *words, expect=expect).data

    def furnish(self, catalog: str, policy: str) -> None:
        """Apply both, as files beside the home."""
        for name, text, more in (("catalog", catalog, ["--yes"]), ("policy", policy, [])):
            file = self.home.parent / f"{name}.yaml"
            file.write_text(text)
            self.run(name, "apply", str(file), *more)

    def let_people_act_by_name(self) -> None:
        """Set up local users."""
        settings = self.home / "lapse.toml"
        settings.write_text(settings.read_text().replace("local_users = false", "local_users = true"))

    def serve(self, *words: str) -> Serving:
        """Start the server and wait until it answers."""
        process = subprocess.Popen(
            [sys.executable, "-m", "lapse", "serve", "--listen", "127.0.0.1:0", *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not (url := self._url_of(process.pid)):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"lapse serve: {process.communicate()}")
            time.sleep(0.02)
        return Serving(process, url)

    def _url_of(self, pid: int) -> str:
        try:
            found = json.loads((self.home / "server.json").read_text())
        except FileNotFoundError:
            return ""
        return found["url"] if found["pid"] == pid else ""

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LAPSE_", "PG"))}
        return {**clean, "LAPSE_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "120", **self.environment}


def _checked(words: Sequence[str], ran: Ran, expect: int | None) -> Ran:
    if expect is not None and ran.code != expect:
        raise AssertionError(f"lapse {' '.join(words)}: {ran.code}\n{ran.out}{ran.err}")
    return ran


@dataclass
class Serving:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str
    log: str = ""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            _, self.log = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_for(check: Any, *, seconds: float = PATIENCE) -> Any:
    """The first true answer of `check`, asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := check():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not come true in time")
