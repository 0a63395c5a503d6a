"""What every kind of rota gives: who is on call at an instant, as principals or as names that must be found out.

A source raises `Unavailable` when it cannot say. Called by `book`, which remembers and maps.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lapse.domain.errors import Unavailable
from lapse.domain.names import shown
from lapse.policy.problems import PolicyErrors
from lapse.rotas.language import parse_rota
from lapse.rotas.shifts import Plan

LARGEST_FILE = 1 << 20
MOST_SAID = 3
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody on call from `begins` to `ends`: each of `names` may be a principal, an address or a full name."""

    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def covers(self, at: datetime) -> bool:
        """Whether it is on at `at`."""
        return self.begins <= at < self.ends


class Source(Protocol):
    """One rota, wherever it is kept."""

    async def on_call(self, at: datetime) -> list[tuple[str, ...]]:
        """For each who is on call at `at`, the names they may be known by; raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...


def read_text(path: Path, what: str) -> str:
    """The text of a file, bounded; `Unavailable` if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
    except UnicodeDecodeError:
        raise Unavailable(f"the {what} `{path.name}` is not UTF-8 text") from None
    except OSError as error:
        raise Unavailable(f"the {what} `{path.name}` cannot be read: {error.strerror}") from None
    if len(text) > LARGEST_FILE:
        raise Unavailable(f"the {what} `{path.name}` is larger than {LARGEST_FILE >> 20} MiB")
    return text


def stamp_of(path: Path, what: str) -> Stamp:
    """Which version of a file is there."""
    try:
        status = path.stat()
    except OSError as error:
        raise Unavailable(f"the {what} `{path.name}` cannot be read: {error.strerror}") from None
    return status.st_mtime_ns, status.st_size, status.st_ino


class ShiftFile:
    """A file of shifts, read again when it changes; one with a mistake in it says nothing, not what it said before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._plan = Plan()

    async def on_call(self, at: datetime) -> list[tuple[str, ...]]:
        """By the plan as it is now."""
        return [(name,) for name in sorted((await self._current()).on_call(at.astimezone(UTC)))]

    async def close(self) -> None:
        """Nothing is held open."""

    async def _current(self) -> Plan:
        stamp = await asyncio.to_thread(stamp_of, self._path, "rota")
        if stamp != self._stamp:
            self._stamp = None
            self._plan = await asyncio.to_thread(self._read)
            self._stamp = stamp
        return self._plan

    def _read(self) -> Plan:
        text = read_text(self._path, "rota")
        try:
            return parse_rota(self._path.name, text)
        except PolicyErrors as error:
            said = "; ".join(str(problem) for problem in error.problems[:MOST_SAID])
            raise Unavailable(shown(said, 600)) from None
