"""`Recorder` on files: an encrypted recording for each session, sealed piece by piece, whole again after a crash.

Each session has a folder `RESOURCE/SESSION` with its segments `0`, `1`, … A mark says that a session's recording is not
over; whoever takes the marks over after a crash cuts off a chunk that was left half, and seals the rest as torn. Used
by the gateway process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lapse.domain.errors import LapseError, Unavailable
from lapse.domain.recordings import Segment
from lapse.gateway.context import Log
from lapse.gateway.recording.writer import Track, Writer
from lapse.ports import Admission, ControlPlane
from lapse.protocols.recording import MAGIC, FrameKind, Sealer, frame, whole_length

BEHIND = 4 << 20
"""Bytes that may wait for one session before it must pause."""
BEHIND_ALL = 64 << 20
"""And for all sessions together."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
OPEN = "open"


@dataclass(eq=False)
class FileRecording:
    """One session's recording; see `Recording`. Lives in the event loop."""

    track: Track
    recorder: FileRecorder
    _waiting: int = 0
    _problem: str = ""
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _caught_up: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, kind: FrameKind, data: bytes | bytearray | memoryview, at: datetime | None = None) -> None:
        """See `Recording`."""
        self._check()
        micros = time.time_ns() // 1_000 if at is None else round(at.timestamp() * 1e6)
        added = frame(kind, micros, data)
        self.track.add(added)
        self._waiting += len(added)
        self.recorder.waiting += len(added)
        if self.behind:
            self._caught_up.clear()
            self.recorder.writer.hurry()

    @property
    def behind(self) -> bool:
        """See `Recording`."""
        return self._waiting > BEHIND or (self.recorder.waiting > BEHIND_ALL and self._waiting > 0)

    async def caught_up(self) -> None:
        """See `Recording`."""
        while self.behind:
            self._check()
            self._caught_up.clear()
            await self._caught_up.wait()
        self._check()

    async def close(self) -> bool:
        """See `Recording`."""
        self.track.end()
        self.recorder.writer.hurry()
        await self._over.wait()
        return not self._problem

    def durable(self, size: int, *, over: bool) -> None:
        """So many bytes are on the disk."""
        self._waiting -= size
        self.recorder.waiting -= size
        if not self.behind:
            self._caught_up.set()
        if over:
            self.recorder.waiting -= self._waiting
            self._waiting = 0
            self._over.set()
            self._caught_up.set()

    def failed(self, problem: str) -> None:
        """It can be written no more."""
        self._problem = problem
        self._caught_up.set()
        self.recorder.log.error("recording failed", session=self.track.session_id, reason=problem)

    def _check(self) -> None:
        if self._problem:
            raise Unavailable(f"the session can no longer be recorded: {self._problem}", hint="look at the disk")


class FileRecorder:
    """Makes recordings under `folder`, and tells `plane` of each sealed piece. Belongs to one event loop.

    `marks` is a folder of this process alone; other processes may write recordings to the same `folder`.
    """

    def __init__(self, folder: Path, plane: ControlPlane, log: Log, *, marks: Path | None = None) -> None:
        self.writer = Writer()
        self.waiting = 0
        self.log = log
        self._folder, self._plane = folder, plane
        self._marks = marks or folder / OPEN
        self._telling: set[asyncio.Task[None]] = set()
        self._again = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._marks.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _no_folder(folder, error) from None
        self.writer.start()

    def begin(self, admission: Admission) -> FileRecording:
        """See `Recorder`.

        Raises:
            Unavailable: nothing can be written, so there must be no session.
        """
        session = admission.session
        place = f"{session.resource}/{session.id}"
        mark = self._marks / session.id
        try:
            mark.write_text(json.dumps({"resource": session.resource, "place": place}), encoding="utf-8")
        except OSError as error:
            raise _no_folder(self._folder, error) from None
        recording: FileRecording | None = None

        def later(what: str, *given: object) -> None:
            if recording is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._happened, recording, what, *given)

        track = Track(
            session_id=session.id,
            resource=session.resource,
            folder=self._folder / place,
            place=place,
            sealer=Sealer(admission.recording_key, session.id),
            on_durable=lambda size: later("durable", size),
            on_sealed=lambda segment: later("sealed", segment),
            on_failed=lambda problem: later("failed", problem),
        )
        recording = FileRecording(track, self)
        recording.write(FrameKind.META, _about(admission))
        self.writer.take(track)
        return recording

    async def recover(self, left_behind: Path | None = None) -> int:
        """Seal what an earlier process left open; how many recordings that were. Call it before any session.

        `left_behind` is a folder of marks that no process uses any more; by default it is the own one.
        """
        folder = left_behind or self._marks
        marks = sorted(folder.iterdir()) if folder.is_dir() else []
        for mark in marks:
            for segment in await asyncio.to_thread(_left_by, self._folder, mark):
                self._tell(segment, mark if segment.last else None)
        return len(marks)

    def hurry(self) -> None:
        """Lapse is back: tell what waits."""
        self._again.set()

    async def close(self, patience: float = 5.0) -> None:
        """Bring everything to disk. What lapse has not been told of then is found by the next start."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=patience)
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await asyncio.to_thread(self.writer.close)

    def _happened(self, recording: FileRecording, what: str, *given: object) -> None:
        match what, given:
            case "durable", (int(size),):
                recording.durable(size, over=recording.track.over)
            case "sealed", (Segment() as segment,):
                self._tell(segment, self._marks / segment.session_id if segment.last else None)
            case "failed", (str(problem),):
                recording.failed(problem)

    def _tell(self, segment: Segment, mark: Path | None) -> None:
        task = self._loop.create_task(self._told(segment, mark), name=f"seal of {segment.id}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, segment: Segment, mark: Path | None) -> None:
        """Tell lapse, for as long as it takes; then the recording needs no mark any more."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._plane.sealed(segment)
                break
            except Unavailable:
                self._again.clear()
                try:
                    await asyncio.wait_for(self._again.wait(), pause)
                except TimeoutError:
                    pause = min(2 * pause, _LONGEST_PAUSE)
            except LapseError as error:
                self.log.warning("piece of a recording not taken", segment=segment.id, reason=error.message)
                return
        if mark is not None:
            await asyncio.to_thread(mark.unlink, missing_ok=True)


def _about(admission: Admission) -> bytes:
    """The first frame: whose session it is, so that a recording explains itself."""
    session = admission.session
    names = ("id", "grant_id", "principal", "resource", "entitlement", "account", "protocol", "gateway", "client")
    more = {"program": session.program, "place": session.place, "started_at": session.started_at.isoformat()}
    about = {name: getattr(session, name) for name in names} | more | {"deadline": session.deadline.isoformat()}
    return json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()


def _left_by(folder: Path, mark: Path) -> list[Segment]:
    """The pieces of a recording that was not over when its process died; the last one is cut to whole chunks."""
    try:
        about = json.loads(mark.read_text(encoding="utf-8"))
        place, resource = str(about["place"]), str(about["resource"])
    except (OSError, ValueError, KeyError, TypeError):
        mark.unlink(missing_ok=True)
        return []
    files = sorted((folder / place).glob("*"), key=lambda path: int(path.name)) if (folder / place).is_dir() else []
    if not files:
        mark.unlink(missing_ok=True)
        return []
    return [_torn(path, resource, place, mark.name, last=path is files[-1]) for path in files]


def _torn(path: Path, resource: str, place: str, session_id: str, *, last: bool) -> Segment:
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size

        def read(at: int, count: int) -> bytes:
            file.seek(at)
            return file.read(count)

        kept, ended = whole_length(read(0, len(MAGIC)), size, read)
        if kept < size:
            file.truncate(kept)
            os.fsync(file.fileno())
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    return Segment(
        id=f"{session_id}.{path.name}",
        session_id=session_id,
        resource=resource,
        number=int(path.name),
        sha256=digest,
        bytes=kept,
        frames=0,
        first_at=at,
        last_at=at,
        sealed_at=at,
        place=f"{place}/{path.name}",
        keep_until=at,
        last=last,
        torn=not ended,
    )


def _no_folder(folder: Path, error: OSError) -> Unavailable:
    reason = (error.strerror or str(error)).lower()
    return Unavailable(f"recordings cannot be kept in `{folder}`: {reason}", hint="make room, or let this user write")
