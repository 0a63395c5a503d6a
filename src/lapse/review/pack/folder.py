"""Writes a pack's files so that they survive a power cut, hashing what is really written, and their one zip.

Called by `seal` alone. Nothing here decides what a pack holds.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lapse.domain.errors import InvalidInput
from lapse.review.pack.standalone_container import (
    CHUNK,
    LARGEST_ZIP,
    Member,
    check_path,
    directory,
    local_header,
)
from lapse.review.pack.standalone_manifest import FileEntry

_PRIVATE = 0o600


class PackFolder:
    """A new folder that is being filled. `files` and `checksums` describe what was written so far."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700)
        self.root = root
        self.files: dict[str, FileEntry] = {}
        self._checksums: dict[str, int] = {}

    def add(self, path: str, contents: bytes) -> FileEntry:
        """Write `contents` to `path`."""
        return self._write(path, (contents,))

    def stream(self, path: str, chunks: Iterable[bytes]) -> FileEntry:
        """Write `chunks` one after the other to `path`."""
        return self._write(path, chunks)

    def copy(self, path: str, source: Path) -> FileEntry:
        """Copy the file `source` to `path`."""
        with source.open("rb") as file:
            return self._write(path, iter(lambda: file.read(CHUNK), b""))

    def _write(self, path: str, chunks: Iterable[bytes]) -> FileEntry:
        place = self.root.joinpath(*check_path(path, self.root.name).split("/"))
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size, checksum = hashlib.sha256(), 0, 0
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:  # noqa: PTH123
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
            file.flush()
            os.fsync(file.fileno())
        self.files[path] = FileEntry(path, size, digest.hexdigest())
        self._checksums[path] = checksum
        return self.files[path]

    def finish(self) -> None:
        """Make the folder's own entries durable."""
        for place, _, _ in os.walk(self.root):
            sync_folder(Path(place))

    def write_zip(self, target: Path) -> None:
        """The zip of all files: the only byte sequence that the reader accepts for them.

        Raises:
            InvalidInput: together they are too large for a plain zip (4 GiB).
        """
        members = self._members()
        total = sum(member.size for member in members) + 1024 * (len(members) + 1)
        if total > LARGEST_ZIP:
            raise InvalidInput(
                f"the evidence has {total:,} bytes, a pack can hold {LARGEST_ZIP:,}",
                hint="review fewer resources or a shorter period at once",
            )
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:  # noqa: PTH123
            for member in members:
                file.write(local_header(member.name, member.size, member.crc))
                file.writelines(self._contents(member.name))
            file.write(directory(members))
            file.flush()
            os.fsync(file.fileno())

    def _members(self) -> list[Member]:
        members, offset = [], 0
        for path in sorted(self.files):
            name, size = f"{self.root.name}/{path}", self.files[path].size
            members.append(Member(name, offset, size, self._checksums[path]))
            offset += len(local_header(name, size, 0)) + size
        return members

    def _contents(self, name: str) -> Iterator[bytes]:
        with (self.root.parent / name).open("rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
