"""A recorder in memory: frames as they were written. `full` makes writing fail, `unsafe` makes closing say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.errors import LapseError, Unavailable
from lapse.gateway.recording import FrameKind
from lapse.ports import Admission


@dataclass(eq=False)
class FakeRecording:
    """Implements `gateway.recording.Recording`."""

    recorder: FakeRecorder
    admission: Admission
    frames: list[tuple[FrameKind, bytes]] = field(default_factory=list)
    closed: bool = False
    behind: bool = False

    def write(self, kind: FrameKind, data: bytes | bytearray | memoryview, at: datetime | None = None) -> None:
        if self.recorder.full:
            raise Unavailable("no space is left for recordings")
        self.frames.append((kind, bytes(data)))

    async def caught_up(self) -> None:
        if self.recorder.full:
            raise Unavailable("no space is left for recordings")

    async def close(self) -> bool:
        self.closed = True
        if self.recorder.failing is not None:
            raise self.recorder.failing
        return not self.recorder.unsafe

    def data(self, *kinds: FrameKind) -> bytes:
        """What frames of these kinds hold, joined."""
        return b"".join(data for kind, data in self.frames if kind in kinds)


@dataclass
class FakeRecorder:
    """Implements `gateway.recording.Recorder`; `recordings` by session."""

    recordings: dict[str, FakeRecording] = field(default_factory=dict)
    full: bool = False
    unsafe: bool = False
    refusing: LapseError | None = None
    failing: Exception | None = None

    def begin(self, admission: Admission) -> FakeRecording:
        if self.refusing is not None:
            raise self.refusing
        recording = self.recordings[admission.session.id] = FakeRecording(self, admission)
        return recording
