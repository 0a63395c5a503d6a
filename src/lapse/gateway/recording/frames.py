"""The two interfaces that protocols know of recordings."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from lapse.ports import Admission
from lapse.protocols.recording import FrameKind


class Recording(Protocol):
    """One session's recording. Writing never blocks; who writes much waits for `caught_up` before reading on."""

    def write(self, kind: FrameKind, data: bytes | bytearray | memoryview, at: datetime | None = None) -> None:
        """Append a frame; `at` is now by default.

        Raises:
            Unavailable: nothing can be recorded any more (no space, say): the session must end.
        """
        ...

    @property
    def behind(self) -> bool:
        """Whether so much waits to be written that the session must pause."""
        ...

    async def caught_up(self) -> None:
        """Return when no longer `behind`; `Unavailable` as for `write`."""
        ...

    async def close(self) -> bool:
        """Seal the last segment; whether everything that was written is in it, durably."""
        ...


class Recorder(Protocol):
    """Makes recordings. One a process."""

    def begin(self, admission: Admission) -> Recording:
        """The recording of a session that was just admitted."""
        ...
