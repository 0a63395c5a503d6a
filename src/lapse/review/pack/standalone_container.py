"""The pack's two shapes, a folder and a zip, read strictly: whatever is not as it was written is a defect.

For given files there is exactly one zip: stored (never compressed, so it cannot expand), no times, no flags,
no comments, names in order. The reader rebuilds every byte between the files' contents and compares, so
a changed byte anywhere in the container shows. This source is also part of the `verify.py` inside a pack:
Python 3.8 and its standard library only.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
END_RECORD = struct.Struct("<4s4H2IH")
ZIP_VERSION = 20
ZIP_DATE = (1 << 5) | 1  # 1 January 1980, the earliest date a zip can name
LARGEST_ZIP = 0xFFFF_FFFE
MOST_FILES = 10_000
CHUNK = 1 << 20
LONGEST_SHOWN = 80
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._+@=-]{0,118}[A-Za-z0-9_+@=-])?"
SAFE_PATH = re.compile(rf"{_PART}(?:/{_PART}){{0,5}}", re.ASCII)


class PackDefect(Exception):  # noqa: N818  reads as the sentence an auditor sees
    """Something about a pack is not as it was sealed: `file` names what, `problem` says it in a sentence."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file + ": " + problem)
        self.file = file
        self.problem = problem


class Pack(Protocol):
    """What the verifier needs of a pack; `names` are relative paths, `name` is the pack's own if it is known."""

    label: str
    name: str
    names: list[str]

    def chunks(self, name: str) -> Iterator[bytes]: ...  # noqa: D102  see the implementations
    def size(self, name: str) -> int: ...  # noqa: D102  see the implementations
    def close(self) -> None: ...  # noqa: D102  see the implementations


class Member(NamedTuple):
    """One file of a container: where its bytes are and what the container says about them."""

    name: str
    offset: int
    size: int
    crc: int


def printable(text: object) -> str:
    """`text` safe to print: ASCII, escaped, cut at 80 characters."""
    escaped = str(text)[: LONGEST_SHOWN + 1].encode("unicode_escape").decode("ascii")
    return escaped[:LONGEST_SHOWN] + ("..." if len(escaped) > LONGEST_SHOWN else "")


def check_path(name: str, container: str) -> str:
    """Return `name` if it is a plain relative path that stays inside the pack on every system."""
    if not SAFE_PATH.fullmatch(name):
        raise PackDefect(container, "holds the name `" + printable(name) + "`, which no pack holds; refused")
    return name


def check_names(names: Iterable[str], container: str) -> list[str]:
    """The names, sorted; each safe, and no two equal on a system that ignores case."""
    seen: dict[str, str] = {}
    for name in names:
        if check_path(name, container).lower() in seen:
            raise PackDefect(container, "holds the name `" + printable(name) + "` more than once; refused")
        seen[name.lower()] = name
        if len(seen) > MOST_FILES:
            raise PackDefect(container, f"holds more than {MOST_FILES:,} files; refused")
    return sorted(seen.values())


def local_header(name: str, size: int, crc: int) -> bytes:
    """The bytes before a file's contents (APPNOTE 4.3.7)."""
    raw = name.encode("ascii")
    fixed = LOCAL_HEADER.pack(b"PK\3\4", ZIP_VERSION, 0, 0, 0, ZIP_DATE, crc, size, size, len(raw), 0)
    return fixed + raw


def directory(members: Iterable[Member]) -> bytes:
    """Central directory and end record (APPNOTE 4.3.12 and 4.3.16) of members whose `offset` is their header's."""
    records, count, start = [], 0, 0
    for name, offset, size, crc in members:
        raw = name.encode("ascii")
        fields = (b"PK\1\2", ZIP_VERSION, ZIP_VERSION, 0, 0, 0, ZIP_DATE, crc, size, size, len(raw), 0, 0, 0, 0, 0)
        records.append(CENTRAL_HEADER.pack(*fields, offset) + raw)
        count, start = count + 1, offset + LOCAL_HEADER.size + len(raw) + size
    central = b"".join(records)
    return central + END_RECORD.pack(b"PK\5\6", 0, 0, count, count, len(central), start, 0)


def opened(path: str) -> BinaryIO:
    """A pack's file; a pipe or a device, which could keep one waiting, is none."""
    if Path(path).exists() and not Path(path).is_file():
        raise PackDefect(Path(path).name, "is neither a file nor a folder")
    return Path(path).open("rb")


class ZipPack:
    """A pack as one zip. Members share one top folder, `name`; `names` are below it."""

    def __init__(self, path: str) -> None:
        self.label = Path(path).name
        self._file = opened(path)
        try:
            self._members = self._indexed(_walk(self._file, self.label))
        except BaseException:
            self._file.close()
            raise

    def _indexed(self, found: list[Member]) -> dict[str, Member]:
        check_names((member.name for member in found), self.label)
        tops = {member.name.partition("/")[0] for member in found}
        if len(tops) != 1 or any("/" not in member.name for member in found):
            raise PackDefect(self.label, "does not hold exactly one folder")
        self.name = tops.pop()
        self.names = [member.name.partition("/")[2] for member in found]
        return dict(zip(self.names, found))  # noqa: B905  `strict` needs Python 3.10

    def chunks(self, name: str) -> Iterator[bytes]:
        """The contents of a file, piece by piece; a wrong checksum at the end is a defect."""
        member = self._members[name]
        start = member.offset + LOCAL_HEADER.size + len(member.name)
        left, crc = member.size, 0
        while left:
            self._file.seek(start + member.size - left)
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                raise PackDefect(name, "ends before its size says")
            left, crc = left - len(chunk), zlib.crc32(chunk, crc)
            yield chunk
        if crc != member.crc:
            raise PackDefect(name, "does not have the checksum that the zip gives for it")

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._members[name].size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _walk(file: BinaryIO, label: str) -> list[Member]:
    """Every member, from the first byte on; then the rest of the file must be exactly their directory."""
    total = file.seek(0, os.SEEK_END)
    if total > LARGEST_ZIP:
        raise PackDefect(label, "is larger than any pack")
    offset = 0
    members: list[Member] = []
    while _peek(file, offset) == b"PK\3\4":
        members.append(_member(file, offset, total, label))
        offset += LOCAL_HEADER.size + len(members[-1].name) + members[-1].size
        if len(members) > MOST_FILES:
            raise PackDefect(label, f"holds more than {MOST_FILES:,} files; refused")
    if not members:
        raise PackDefect(label, "is not a pack: it does not begin as a zip does")
    _check_directory(file, offset, members, label)
    return members


def _peek(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    return file.read(4)


def _member(file: BinaryIO, offset: int, total: int, label: str) -> Member:
    file.seek(offset)
    fixed = file.read(LOCAL_HEADER.size)
    if len(fixed) < LOCAL_HEADER.size:
        raise PackDefect(label, "is cut short in the middle of a file's header")
    fields = LOCAL_HEADER.unpack(fixed)
    flags, method, crc, size = fields[2], fields[3], fields[6], fields[8]
    raw = file.read(fields[9])
    name = check_path(raw.decode("latin-1"), label)
    if method or flags:
        raise PackDefect(label, "compresses or encrypts `" + name + "`, as no pack does; refused")
    if local_header(name, size, crc) != fixed + raw:
        raise PackDefect(label, "has a changed header before `" + name + "`")
    if offset + LOCAL_HEADER.size + len(raw) + size > total:
        raise PackDefect(label, "is cut short: `" + name + f"` should have {size:,} bytes")
    return Member(name, offset, size, crc)


def _check_directory(file: BinaryIO, offset: int, members: list[Member], label: str) -> None:
    expected = directory(members)
    file.seek(offset)
    found = file.read(len(expected) + 1)
    if found == expected:
        return
    if len(found) < len(expected) and expected.startswith(found):
        raise PackDefect(label, "is cut short in its directory")
    if found.startswith(expected):
        raise PackDefect(label, "has bytes after its end")
    raise PackDefect(label, _directory_problem(found, members))


def _directory_problem(found: bytes, members: list[Member]) -> str:
    """What differs: the first file whose record is not as it was written, or the end record."""
    position = 0
    for member in members:
        record = directory([member])[: CENTRAL_HEADER.size + len(member.name)]
        there = found[position : position + len(record)]
        if there != record:
            symlink = len(there) >= CENTRAL_HEADER.size and stat.S_ISLNK(CENTRAL_HEADER.unpack_from(there)[15] >> 16)
            kind = "a symbolic link" if symlink else "a changed record"
            return "has " + kind + " for `" + member.name + "` in its directory"
        position += len(record)
    return "has a changed end record"


class FolderPack:
    """A pack as a folder of plain files."""

    def __init__(self, path: str) -> None:
        self.label = Path(path).resolve().name
        self.name = ""  # a folder may be renamed
        self._root = Path(path)
        self.names = check_names(self._walk(path, ""), self.label)

    def _walk(self, path: str, prefix: str) -> Iterator[str]:
        with os.scandir(path) as found:
            entries = list(found)
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                raise PackDefect(printable(name), "is a symbolic link; refused")
            if entry.is_dir():
                check_path(name, self.label)
                yield from self._walk(entry.path, name + "/")
            elif entry.is_file():
                yield name
            else:
                raise PackDefect(printable(name), "is not a plain file; refused")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The contents of a file, piece by piece."""
        with self._root.joinpath(*name.split("/")).open("rb") as file:
            yield from iter(lambda: file.read(CHUNK), b"")

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._root.joinpath(*name.split("/")).stat().st_size

    def close(self) -> None:
        """Nothing is held open."""
