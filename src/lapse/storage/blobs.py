"""`ports.Blobs` in a folder: one file a blob, appended durably, readable by this user alone.

An append is on the disk before it returns, and repeating one changes nothing, so that a caller who did not hear the
answer says it again. Names are `a/b/c` of plain characters; nothing outside the folder is ever reached.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path

from lapse.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from lapse.domain.names import shown

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_MOST_PARTS = 8


class FolderBlobs:
    """Blobs under `folder`, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def append(self, name: str, offset: int, data: bytes) -> None:
        """See `ports.Blobs`."""
        await asyncio.to_thread(self._append, self._path(name), offset, data)

    async def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        """See `ports.Blobs`."""
        return await asyncio.to_thread(self._read, self._path(name), offset, size)

    async def remove(self, name: str) -> None:
        """See `ports.Blobs`."""
        await asyncio.to_thread(self._remove, self._path(name))

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if len(parts) > _MOST_PARTS or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidInput(f"`{shown(name)}` is not the name of a blob")
        return self._folder.joinpath(*parts)

    def _append(self, path: Path, offset: int, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = not path.exists()
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _append_to(handle, offset, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            if fresh:
                _sync_folder(path.parent)
        except OSError as error:
            raise Unavailable(f"a recording cannot be kept: {(error.strerror or str(error)).lower()}") from None

    def _read(self, path: Path, offset: int, size: int) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            raise NotFound(f"there is no blob `{path.name}`") from None
        except OSError as error:
            raise Unavailable(f"a recording cannot be read: {(error.strerror or str(error)).lower()}") from None

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)
                self._leave_no_empty_folder(path.parent)
        except OSError as error:
            raise Unavailable(f"a recording cannot be removed: {(error.strerror or str(error)).lower()}") from None

    def _leave_no_empty_folder(self, folder: Path) -> None:
        """A session's folder goes with its last piece; one that is not empty stays."""
        if folder != self._folder:
            with suppress(OSError):
                folder.rmdir()


def _append_to(handle: int, offset: int, data: bytes) -> None:
    """What is there from `offset` on must be the beginning of `data`; the rest is written."""
    there = os.fstat(handle).st_size
    if there < offset:
        raise Conflict(f"the blob has {there} bytes, so nothing can follow at {offset}")
    known = os.pread(handle, len(data), offset)
    if known != data[: len(known)]:
        raise Conflict(f"the blob holds something else at {offset}")
    at, rest = offset + len(known), memoryview(data)[len(known) :]
    while rest:
        written = os.pwrite(handle, rest, at)
        at, rest = at + written, rest[written:]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
