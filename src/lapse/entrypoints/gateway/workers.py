"""Looks after several gateway processes that share their addresses: one is started again when it dies.

SIGTERM and SIGINT drain all (a second one cuts what is left), SIGHUP renews their certificates, SIGUSR2 replaces them
one by one: a new one listens before the old one drains. This process does nothing else, so nothing of it can fail much;
when it is gone all the same, the others notice and drain.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from lapse.bootstrap.home import Home
from lapse.bootstrap.logs import Logger

READY_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LONG_ENOUGH = 60.0
"""A process that lived so long did well; the next one is started without a pause."""

_LOOK = 0.1


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    began: float

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> bool:
        """Wait until it serves; False if it ended instead, or takes too long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout.fileno(), selectors.EVENT_READ)  # type: ignore[union-attr]
            if not selector.select(READY_SECONDS):
                self.process.kill()
        return bool(os.read(self.process.stdout.fileno(), 100))  # type: ignore[union-attr]

    def tell(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(eq=False)
class Workers:
    """`number` processes on one home."""

    home: Home
    number: int
    log: Logger
    _there: list[_Worker] = field(default_factory=list)
    _leaving: list[_Worker] = field(default_factory=list)
    _heard: list[int] = field(default_factory=list)
    _pause: float = FIRST_PAUSE
    _not_before: float = 0.0
    _ending: bool = False

    def run(self) -> int:
        """Look after them until told to end; the exit code."""
        with self._signals():
            for _ in range(self.number):
                if not self._start():
                    # What ends the first of them at once would end each: that is for a person to see.
                    self._end()
                    self._wait()
                    return 1
            self.log.info("gateways", processes=[worker.pid for worker in self._there])
            while not self._ending:
                self._step()
            self._wait()
        return 0

    def _step(self) -> None:
        self._hear()
        self._bury()
        missing = self.number - len(self._there)
        if missing > 0 and not self._ending and time.monotonic() >= self._not_before:
            self._start()
        time.sleep(_LOOK)

    def _start(self) -> bool:
        process = subprocess.Popen(  # noqa: S603  this program itself
            [sys.executable, "-m", "lapse", "gateway", "--home", str(self.home.path), "--supervised"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        worker = _Worker(process, time.monotonic())
        if worker.ready():
            self._there.append(worker)
            return True
        process.wait()
        worker.close()
        self._later()
        self.log.error("gateway did not start", process=worker.pid, code=process.returncode, again_in=self._pause)
        return False

    def _bury(self) -> None:
        for worker in [one for one in (*self._there, *self._leaving) if one.process.poll() is not None]:
            worker.close()
            if worker in self._leaving:
                self._leaving.remove(worker)
                continue
            self._there.remove(worker)
            if time.monotonic() - worker.began > LONG_ENOUGH:
                self._pause = FIRST_PAUSE
            self.log.error("gateway died", process=worker.pid, code=worker.process.returncode)
            self._later()

    def _later(self) -> None:
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _hear(self) -> None:
        while self._heard:
            match self._heard.pop(0):
                case signal.SIGHUP:
                    for worker in self._there:
                        worker.tell(signal.SIGHUP)
                case signal.SIGUSR2:
                    self._replace()
                case _:
                    self._end()

    def _replace(self) -> None:
        """A new one for each, then its end; if one does not start, the old ones stay."""
        for old in list(self._there):
            if self._ending or not self._start():
                return
            self._there.remove(old)
            self._leaving.append(old)
            old.tell(signal.SIGTERM)
        self.log.info("gateways replaced", processes=[worker.pid for worker in self._there])

    def _end(self) -> None:
        self._ending = True
        for worker in (*self._there, *self._leaving):
            worker.tell(signal.SIGTERM)

    def _wait(self) -> None:
        while self._there or self._leaving:
            self._hear()
            for worker in [one for one in (*self._there, *self._leaving) if one.process.poll() is not None]:
                worker.close()
                (self._there if worker in self._there else self._leaving).remove(worker)
            time.sleep(_LOOK)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def hear(number: int, _frame: FrameType | None) -> None:
            self._heard.append(number)

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
        before = {number: signal.signal(number, hear) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
