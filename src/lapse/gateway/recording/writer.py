"""The one thread of a process that brings recordings to disk: a few times a second, all that waits, then one sync.

What a session wrote is on the disk at most `DURABLE_WITHIN` later, unless the disk itself is slower; then the sessions
wait. Called by the recorder. Everything here runs in the thread, but `Waiting`, which both sides use.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lapse.domain.recordings import Segment
from lapse.protocols.recording import LONGEST_CHUNK, MAGIC, Sealer

DURABLE_WITHIN = timedelta(seconds=1)
EVERY = 0.2
"""Seconds between two rounds."""
SEGMENT_SIZE = 32 << 20
SEGMENT_SECONDS = 600.0
CHUNK_SIZE = 96 << 10
"""Bytes of a chunk, if no frame is longer. More would be new memory each time, which the system must clear."""
_FEW = 8
"""More files than this are brought to disk with one call for all of their file system."""


@dataclass(eq=False)
class Track:
    """One recording in the thread: its open segment, and what the session has added since the last round."""

    session_id: str
    resource: str
    folder: Path
    place: str
    sealer: Sealer
    on_durable: Callable[[int], None]
    on_sealed: Callable[[Segment], None]
    on_failed: Callable[[str], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[bytes] = field(default_factory=list)
    waiting_size: int = 0
    ending: bool = False
    handle: int = -1
    size: int = 0
    kept_frames: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    first_at: datetime | None = None
    last_at: datetime | None = None
    begun_at: float = 0.0
    failed: bool = False
    over: bool = False

    def add(self, frame: bytes) -> int:
        """Append a frame; how many bytes wait now. Called by the session."""
        with self.lock:
            self.waiting.append(frame)
            self.waiting_size += len(frame)
            return self.waiting_size

    def end(self) -> None:
        """Nothing more will be added. Called by the session."""
        with self.lock:
            self.ending = True


class Writer:
    """The thread. `start` it once, `close` it when every track is over."""

    def __init__(self) -> None:
        self._tracks: set[Track] = set()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, seal nothing, and end."""
        self._stopping = True
        self._woken.set()
        self._thread.join()

    def take(self, track: Track) -> None:
        """Write this one from now on."""
        with self._lock:
            self._tracks.add(track)

    def hurry(self) -> None:
        """Do not wait for the next round."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait(EVERY)
            self._woken.clear()
            self._round()
        self._round()
        for track in self._all():
            _close(track)

    def _all(self) -> list[Track]:
        with self._lock:
            return list(self._tracks)

    def _round(self) -> None:
        sizes = [(track, self._guarded(track, _write)) for track in self._all() if not track.failed]
        written = [(track, size) for track, size in sizes if size]
        self._sync([track for track, _ in written])
        for track, size in written:
            track.on_durable(size)
        for track in self._all():
            if track.failed or (track.ending and not track.over):
                self._finish(track)

    def _guarded(self, track: Track, step: Callable[[Track], int]) -> int:
        try:
            return step(track)
        except OSError as error:
            _fail(track, error)
            return 0

    def _sync(self, tracks: list[Track]) -> None:
        """To the disk, all of them; a file that cannot be is a recording that failed."""
        try:
            if len(tracks) > _FEW and _syncfs(tracks[0].handle):
                return
        except OSError as error:
            for track in tracks:
                _fail(track, error)
            return
        for track in tracks:
            self._guarded(track, _fsync)

    def _finish(self, track: Track) -> None:
        with track.lock:
            left = bool(track.waiting) and not track.failed
        if left:
            return
        if not track.failed:
            self._guarded(track, lambda one: _seal(one, last=True))
        _close(track)
        track.over = True
        with self._lock:
            self._tracks.discard(track)
        track.on_durable(0)


def _write(track: Track) -> int:
    """Write what waits as chunks; how many bytes that were."""
    with track.lock:
        frames, track.waiting = track.waiting, []
        size, track.waiting_size = track.waiting_size, 0
    if not frames:
        if track.handle >= 0 and time.monotonic() - track.begun_at >= SEGMENT_SECONDS:
            _seal(track, last=False)
        return 0
    now = datetime.now(UTC)
    for plain in _chunks(frames):
        _append(track, track.sealer.chunk(plain), now)
    track.kept_frames += len(frames)
    track.last_at = now
    if track.size >= SEGMENT_SIZE:
        _seal(track, last=False)
    return size


def _chunks(frames: list[bytes]) -> Iterator[bytes]:
    """`frames` in pieces of about `CHUNK_SIZE`."""
    begin, size = 0, 0
    for at, frame in enumerate(frames):
        if size + len(frame) > CHUNK_SIZE:
            yield from _pieces(b"".join(frames[begin:at]))
            begin, size = at, 0
        size += len(frame)
    yield from _pieces(b"".join(frames[begin:]))


def _pieces(frames: bytes) -> Iterator[bytes]:
    return (frames[at : at + LONGEST_CHUNK] for at in range(0, len(frames), LONGEST_CHUNK))


def _append(track: Track, chunk: tuple[bytes, bytes], now: datetime) -> None:
    if track.handle < 0:
        _open(track, now)
    whole = sum(map(len, chunk))
    written = os.writev(track.handle, chunk)
    if written < whole:
        rest = memoryview(b"".join(chunk))[written:]
        while rest:
            rest = rest[os.write(track.handle, rest) :]
    for part in chunk:
        track.hash.update(part)
    track.size += whole


def _open(track: Track, now: datetime) -> None:
    track.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = track.folder / f"{track.sealer.segment}"
    track.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    track.hash, track.size, track.kept_frames = hashlib.sha256(MAGIC), len(MAGIC), 0
    track.first_at, track.begun_at = now, time.monotonic()
    os.write(track.handle, MAGIC)
    sync_folder(track.folder)


def _seal(track: Track, *, last: bool) -> int:
    """End the open segment; one that was never begun is begun, so that every recording has an end."""
    now = datetime.now(UTC)
    number = track.sealer.segment
    if track.handle < 0:
        if not last:
            return 0
        _open(track, now)
    _append(track, track.sealer.chunk(b"", last=True), now)
    os.fsync(track.handle)
    _close(track)
    first_at = track.first_at or now
    track.on_sealed(
        Segment(
            id=f"{track.session_id}.{number}",
            session_id=track.session_id,
            resource=track.resource,
            number=number,
            sha256=track.hash.hexdigest(),
            bytes=track.size,
            frames=track.kept_frames,
            first_at=first_at,
            last_at=max(track.last_at or now, first_at),
            sealed_at=max(now, first_at),
            place=f"{track.place}/{number}",
            keep_until=now,
            last=last,
        )
    )
    return 0


def _fsync(track: Track) -> int:
    if track.handle >= 0:
        os.fsync(track.handle)
    return 0


def _close(track: Track) -> None:
    if track.handle >= 0:
        with suppress(OSError):
            os.close(track.handle)
        track.handle = -1


def _fail(track: Track, error: OSError) -> None:
    track.failed = True
    track.on_failed((error.strerror or str(error)).lower())


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _syncfs(handle: int) -> bool:
    """Bring a whole file system to disk; whether this machine can."""
    if handle < 0 or _LIBC is None:
        return False
    if _LIBC.syncfs(handle):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def _libc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
    except OSError:
        return None
    return libc if hasattr(libc, "syncfs") else None


_LIBC = _libc()
