"""`lapse gateway` as its operators run it: beside the server, several at once, replaced, killed, drained."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from lapse.storage.lease import try_lock
from support.gateway_company import connected, dsn_of, furnished, granted, sessions, set_gateway
from support.ports import free_port
from support.program import PATIENCE, wait_for


@dataclass
class Gateways:
    """`lapse gateway` while the body runs, and its log."""

    program: object
    words: tuple[str, ...] = ()
    said: list[dict] = field(default_factory=list)

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lapse", "gateway", *self.words],
            env=self.program._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reading = threading.Thread(target=self._read)
        self.reading.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.reading.join()
            self.process.stderr.close()

    def heard(self, event, number=1):
        """The facts of an event, once it was logged so often."""
        try:
            return wait_for(lambda: (found := self._of(event))[number - 1 :] and found, seconds=90)
        except AssertionError:
            raise AssertionError(f"`{event}` was not said, but: {self.said}") from None

    def _of(self, event):
        return [one for one in list(self.said) if one.get("event") == event]

    def _read(self):
        for line in self.process.stderr:
            try:
                self.said.append(json.loads(line))
            except ValueError:
                self.said.append({"event": "raw", "text": line})


@pytest.fixture
def program(tmp_path, postgres_target):
    return furnished(tmp_path / "home", postgres_target, postgresql=f"127.0.0.1:{free_port()}", workers=2, drain="PT1S")


def test_several_processes_share_an_address_cancel_for_one_another_and_cut_when_told(program):
    set_gateway(program, metrics=f"127.0.0.1:{free_port(consecutive=3)}")
    with program.serve(), Gateways(program) as gateways:
        (started,) = gateways.heard("gateways")
        assert len(started["processes"]) == 2
        grant, dsn = granted(program), dsn_of(program)
        connections = [psycopg.connect(dsn, autocommit=True) for _ in range(12)]
        names = {one["gateway"] for one in sessions(program, "--live")}
        assert len(names) == 2, "12 connections, and the kernel gives all to one process: once in 2,000 runs"
        for connection in connections:
            threading.Timer(0.2, connection.cancel).start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(30)")
        figures = "".join(httpx.get(f"http://{one['address']}/metrics").text for one in gateways.heard("figures", 2))
        open_now = [line for line in figures.splitlines() if line.startswith("lapse_gateway_sessions_open{")]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in open_now) == 12
        program.run("grant", "revoke", grant, "--reason", "enough", "--yes")
        for connection in connections:
            # The server ends the login's sessions on the target too; either may be first.
            with pytest.raises(psycopg.OperationalError, match=r"your access was revoked|administrator command"):
                connection.execute("SELECT pg_sleep(30)")
        wait_for(lambda: not sessions(program, "--live"))
        assert {one["end_reason"] for one in sessions(program)} == {"revoked"}


def test_a_killed_process_is_started_again_and_without_who_looks_after_them_all_drain(program):
    with program.serve(), Gateways(program) as gateways:
        (started,) = gateways.heard("gateways")
        granted(program)
        connection = connected(program)
        (session,) = sessions(program, "--live")
        place = int(str(session["gateway"]).rpartition("/")[2])
        for pid in started["processes"]:
            if _has(pid, program.home / "gateways" / f"{place}.lock"):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        gateways.heard("gateway died")
        found = wait_for(lambda: [one for one in sessions(program) if one["end_reason"] == "lost"])
        assert found[0]["id"] == session["id"]
        gateways.heard("gateway", 3)
        again = connected(program)
        gateways.process.kill()
        with pytest.raises(psycopg.OperationalError, match="the gateway is shutting down"):
            again.execute("SELECT pg_sleep(30)")
        wait_for(lambda: not _serving(program.home / "gateways"))


@dataclass
class Coming:
    """A client that connects again and again, in a thread."""

    dsn: str
    worked: list = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __enter__(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(PATIENCE)

    def _run(self):
        while not self.stop.wait(0.05):
            try:
                with psycopg.connect(self.dsn, autocommit=True) as connection:
                    self.worked.append(connection.execute("SELECT 1").fetchone())
            except psycopg.Error as error:
                self.failed.append(str(error))


def test_processes_are_replaced_one_by_one_and_nobody_is_turned_away(program):
    with program.serve(), Gateways(program) as gateways:
        (started,) = gateways.heard("gateways")
        granted(program)
        with Coming(dsn_of(program)) as client:
            staying = psycopg.connect(client.dsn, autocommit=True)
            gateways.process.send_signal(signal.SIGUSR2)
            (replaced,) = gateways.heard("gateways replaced")
            with pytest.raises(psycopg.OperationalError, match="the gateway is shutting down"):
                staying.execute("SELECT pg_sleep(30)")
            gateways.heard("ended", 2)
        assert not set(replaced["processes"]) & set(started["processes"])
        turned_away = [one for one in client.failed if "shutting down" not in one]
        assert len(turned_away) <= 1, "a handshake in the very instant may be reset: docs/gateway.md"
        assert len(client.worked) > len(client.failed)


def test_one_process_goes_on_while_the_server_is_away_and_its_sessions_end_on_time(program):
    with Gateways(program, ("--workers", "1")) as gateways:
        with program.serve():
            gateways.heard("lapse is reached")
            granted(program, "8s")
            connection = connected(program)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="your access has reached its end"):
            connection.execute("SELECT pg_sleep(30)")


def test_without_an_address_or_workers_it_says_what_to_do(program):
    set_gateway(program, workers=0)
    assert "the gateway is a part of `lapse serve` here" in program.process("gateway", expect=2).err
    set_gateway(program, workers=2, postgresql="")
    assert "set `postgresql` in [gateway]" in program.process("gateway", expect=2).err


def test_an_address_that_is_taken_ends_it(program):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        set_gateway(program, postgresql=f"127.0.0.1:{taken.getsockname()[1]}")
        assert "address already in use" in program.process("gateway", "--workers", "1", expect=6).err
        assert program.process("gateway", expect=1).err


def _has(pid, file):
    """Whether the process has this file open."""
    return any(one.exists() and one.samefile(file) for one in Path(f"/proc/{pid}/fd").iterdir())


def _serving(places):
    """Places that a process has."""
    taken = []
    for file in places.glob("*.lock"):
        descriptor = try_lock(file)
        if descriptor is None:
            taken.append(file)
        else:
            os.close(descriptor)
    return taken
