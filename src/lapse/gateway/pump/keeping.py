"""What a flow has kept and not yet given to its recording, and the pause that a slow recording asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from lapse.domain.errors import LapseError
from lapse.gateway.recording import FrameKind, Recording
from lapse.protocols.pieces import Direction, packed

FLUSH_AFTER = 0.1
"""Seconds that a piece waits at most before the recording has it."""
FLUSH_SIZE = 65_536


class Keeper:
    """Gathers the pieces of one flow into frames.

    `on_behind` is called when the flow should pause, and again when it may go on; `on_failed` ends it.
    """

    def __init__(self, recording: Recording, *, on_behind: Callable[[], None], on_failed: Callable[[], None]) -> None:
        self._recording = recording
        self._on_behind, self._on_failed = on_behind, on_failed
        self._frame = bytearray()
        self._catching_up: asyncio.Task[None] | None = None
        self._failed = False

    def keep(self, direction: Direction, data: Iterable[bytes]) -> bool:
        """Add what passed just now; whether the frame was empty before, so that `flush` must be called in a moment."""
        first = not self._frame
        self._frame += packed(direction, time.time_ns() // 1000, b"".join(data))
        if len(self._frame) >= FLUSH_SIZE:
            self.flush()
            return False
        return first

    def flush(self) -> None:
        """Give the frame to the recording."""
        if self._frame:
            frame, self._frame = bytes(self._frame), bytearray()
            self.write(frame)

    def write(self, frame: bytes, kind: FrameKind = FrameKind.PIECES) -> None:
        """Give a whole frame to the recording, and ask for a pause if it is behind."""
        if self._failed:
            return
        try:
            self._recording.write(kind, frame)
            behind = self._recording.behind
        except LapseError:
            self._fail()
            return
        if behind and self._catching_up is None:
            self._catching_up = asyncio.ensure_future(self._catch_up())
            self._on_behind()

    @property
    def behind(self) -> bool:
        """Whether the flow should wait."""
        return self._catching_up is not None

    async def _catch_up(self) -> None:
        try:
            await self._recording.caught_up()
        except LapseError:
            self._fail()
        finally:
            self._catching_up = None
        self._on_behind()

    def _fail(self) -> None:
        if not self._failed:
            self._failed = True
            self._on_failed()

    def close(self) -> None:
        """Give the rest; nothing is kept any more."""
        self.flush()
        if self._catching_up is not None:
            self._catching_up.cancel()
        # The flow has this, and this had the flow: a session should be free as soon as it is over.
        self._on_behind = self._on_failed = _nothing


def _nothing() -> None:
    """Nobody is to be told any more."""
