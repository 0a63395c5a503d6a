"""Ends of sessions on their way to lapse: told as soon as it can be reached, kept on disk meanwhile, never lost.

The door puts each end in and does not wait. Delivery goes on by itself, and is tried again with growing pauses while
lapse is away. What could not be told at once is in a file before it is tried again, and the next start reads it. No
bound is needed: while lapse is away nothing new is opened, so there are at most as many ends as there were sessions.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from lapse.domain.errors import LapseError
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.ports import ControlPlane

AT_ONCE = 32
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
CALL_SECONDS = 15.0

OnTrouble = Callable[[str, Exception], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What `ControlPlane.finish` is to be told."""

    session_id: str
    reason: SessionEnd
    at: datetime
    use: SessionUse = field(default_factory=SessionUse)
    recorded: bool = False
    by: str = ""


class Endings:
    """Delivers ends to `plane`. `file` keeps those that wait; without one they are in memory only."""

    def __init__(
        self, plane: ControlPlane, file: Path | None = None, *, on_trouble: OnTrouble = lambda _what, _error: None
    ) -> None:
        self._plane = plane
        self._file = file
        self._on_trouble = on_trouble
        self._waiting: deque[Ended] = deque()
        self._kept: set[str] = set()
        self._delivering: asyncio.Task[None] | None = None
        self._again = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def load(self) -> int:
        """Take up what an earlier process left in the file, and deliver it; how many there are."""
        found = _read(self._file) if self._file else []
        self._kept |= {one.session_id for one in found}
        self._waiting.extend(found)
        self._deliver()
        return len(found)

    def take_over(self, left_behind: Path) -> int:
        """Move the ends in a file that no process uses any more to the own one, and deliver them; how many there are.

        Raises:
            OSError: they could not be moved, and are where they were.
        """
        found = _read(left_behind)
        if self._file is not None and found:
            _append(self._file, found)
            self._kept |= {one.session_id for one in found}
            left_behind.unlink()
        self._waiting.extend(found)
        self._deliver()
        return len(found)

    def put(self, ended: Ended) -> None:
        """Tell lapse, now or later. Never fails, never waits."""
        self._waiting.append(ended)
        self._deliver()

    def hurry(self) -> None:
        """Lapse is back: do not wait out the pause."""
        self._again.set()

    async def close(self, patience: float = 5.0) -> int:
        """Deliver for `patience` seconds, then keep the rest on disk; how many are left."""
        if self._delivering is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._delivering), patience)
            self._delivering.cancel()
            with suppress(asyncio.CancelledError):
                await self._delivering
        await self._keep(self._waiting)
        return len(self._waiting)

    async def settled(self) -> None:
        """Return when everything is told."""
        while self._delivering is not None and not self._delivering.done():
            await asyncio.shield(self._delivering)

    def _deliver(self) -> None:
        if self._waiting and (self._delivering is None or self._delivering.done()):
            self._delivering = asyncio.get_running_loop().create_task(self._run(), name="ends of sessions")

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while self._waiting:
            if await self._batch():
                pause = FIRST_PAUSE
                if not self._waiting:
                    await self._forget()
                continue
            await self._keep(self._waiting)
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _batch(self) -> bool:
        """Tell some; whether all of these are told. The others go to the end, so that one bad one holds up nobody."""
        batch = [self._waiting[n] for n in range(min(AT_ONCE, len(self._waiting)))]
        told = await asyncio.gather(*map(self._tell, batch))
        for well in told:
            ended = self._waiting.popleft()
            if not well:
                self._waiting.append(ended)
        return all(told)

    async def _tell(self, ended: Ended) -> bool:
        """Whether there is nothing more to be told of it."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._plane.finish(
                    ended.session_id, ended.reason, ended.at, ended.use, recorded=ended.recorded, by=ended.by
                )
        except LapseError as error:
            if error.retry:
                return False
            self._on_trouble(ended.session_id, error)
        except Exception as error:  # noqa: BLE001  an end must not be lost for a defect elsewhere
            self._on_trouble(ended.session_id, error)
            return False
        return True

    async def _rest(self, seconds: float) -> None:
        self._again.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._again.wait(), seconds)

    async def _keep(self, waiting: Sequence[Ended]) -> None:
        """Append what is not in the file yet, durably."""
        fresh = [ended for ended in waiting if ended.session_id not in self._kept]
        if self._file is None or not fresh:
            return
        try:
            await asyncio.to_thread(_append, self._file, fresh)
        except OSError as error:
            self._on_trouble("endings", error)
        else:
            self._kept |= {ended.session_id for ended in fresh}

    async def _forget(self) -> None:
        if self._file is None or not self._kept:
            return
        with suppress(FileNotFoundError):
            await asyncio.to_thread(self._file.unlink)
        self._kept.clear()


def _append(file: Path, endings: Sequence[Ended]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as out:
        # A line that a crash cut short must not spoil the next one.
        out.write(b"\n" + b"".join(msgspec.json.encode(ended) + b"\n" for ended in endings))
        out.flush()
        os.fsync(out.fileno())


def _read(file: Path) -> list[Ended]:
    """What the file holds, each session once; a line that a crash cut short counts for nothing."""
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found: dict[str, Ended] = {}
    for line in lines:
        with suppress(msgspec.DecodeError):
            ended = msgspec.json.decode(line, type=Ended)
            found[ended.session_id] = ended
    return list(found.values())
