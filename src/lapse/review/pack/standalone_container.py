"""The pack's two shapes, a folder and a zip, read strictly: whatever is not as it was written is a defect.

For given files there is exactly one zip: stored (never compressed, so it cannot expand), no times, no flags,
no comments, names in order. The reader rebuilds every byte between the files' contents and compares, so
a changed byte anywhere in the container shows. This source is also part of the `verify.py` inside a pack:
Python 3.8 and its standard library only.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")
END_RECORD = struct.Struct("<4s4H2IH")
ZIP_VERSION = 20
ZIP_DATE = (1 << 5) | 1  # 1 January 1980, the earliest date a zip can name
LARGEST_ZIP = 0xFFFF_FFFE
MOST_FILES = 10_000
CHUNK = 1 << 20
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._+@=-]{0,118}[A-Za-z0-9_+@=-])?"
SAFE_PATH = re.compile(r"{0}(?:/{0}){{0,5}}".format(_PART), re.ASCII)


class PackDefect(Exception):
    """Something about a pack is not as it was sealed: `file` names what, `problem` says it in a sentence."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file + ": " + problem)
        self.file = file
        self.problem = problem


class Member(NamedTuple):
    """One file of a container: where its bytes are and what the container says about them."""

    name: str
    offset: int
    size: int
    crc: int


def printable(text: object) -> str:
    """`text` safe to print: ASCII, escaped, cut at 80 characters."""
    escaped = str(text)[:81].encode("unicode_escape").decode("ascii")
    return escaped[:80] + ("..." if len(escaped) > 80 else "")


def check_path(name: str, container: str) -> str:
    """Return `name` if it is a plain relative path that stays inside the pack on every system."""
    if not SAFE_PATH.fullmatch(name):
        raise PackDefect(container, "holds the name `" + printable(name) + "`, which no pack holds; refused")
    return name


def check_names(names: Iterable[str], container: str) -> List[str]:
    """The names, sorted; each safe, and no two equal on a system that ignores case."""
    seen = {}  # type: Dict[str, str]
    for name in names:
        if check_path(name, container).lower() in seen:
            raise PackDefect(container, "holds the name `" + printable(name) + "` more than once; refused")
        seen[name.lower()] = name
        if len(seen) > MOST_FILES:
            raise PackDefect(container, "holds more than {:,} files; refused".format(MOST_FILES))
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


class ZipPack:
    """A pack as one zip. Members share one top folder, `name`; `names` are below it."""

    def __init__(self, path: str) -> None:
        self.label = os.path.basename(path)
        self._file = open(path, "rb")  # noqa: SIM115  kept for the life of the object, closed by `close`
        try:
            self._members = self._indexed(_walk(self._file, self.label))
        except BaseException:
            self._file.close()
            raise

    def _indexed(self, found: List[Member]) -> Dict[str, Member]:
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


def _walk(file: BinaryIO, label: str) -> List[Member]:
    """Every member, from the first byte on; then the rest of the file must be exactly their directory."""
    total = file.seek(0, os.SEEK_END)
    if total > LARGEST_ZIP:
        raise PackDefect(label, "is larger than any pack")
    offset, members = 0, []  # type: int, List[Member]
    while _peek(file, offset) == b"PK\3\4":
        members.append(_member(file, offset, total, label))
        offset += LOCAL_HEADER.size + len(members[-1].name) + members[-1].size
        if len(members) > MOST_FILES:
            raise PackDefect(label, "holds more than {:,} files; refused".format(MOST_FILES))
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
        raise PackDefect(label, "is cut short: `" + name + "` should have {:,} bytes".format(size))
    return Member(name, offset, size, crc)


def _check_directory(file: BinaryIO, offset: int, members: List[Member], label: str) -> None:
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


def _directory_problem(found: bytes, members: List[Member]) -> str:
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
        self.label = os.path.basename(os.path.abspath(path))
        self.name = ""  # a folder may be renamed
        self._root = path
        self.names = check_names(self._walk(path, ""), self.label)

    def _walk(self, path: str, prefix: str) -> Iterator[str]:
        for entry in os.scandir(path):
            name = prefix + entry.name
            if entry.is_symlink():
                raise PackDefect(printable(name), "is a symbolic link; refused")
            if entry.is_dir():
                check_path(name, self.label)
                for inner in self._walk(entry.path, name + "/"):
                    yield inner
            elif entry.is_file():
                yield name
            else:
                raise PackDefect(printable(name), "is not a plain file; refused")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The contents of a file, piece by piece."""
        with open(os.path.join(self._root, *name.split("/")), "rb") as file:
            for chunk in iter(lambda: file.read(CHUNK), b""):
                yield chunk

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return os.path.getsize(os.path.join(self._root, *name.split("/")))

    def close(self) -> None:
        """Nothing is held open."""


def lines_of(chunks: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Lines without their newline; every line must end with one and be at most `longest` bytes."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > longest:
            raise ValueError("a line is longer than any that a pack holds")
    if rest:
        raise ValueError("the last line has no end")
