"""SFTP as it passes by (draft-ietf-secsh-filexfer-02, version 3, OpenSSH's extensions): which files, how many bytes.

`SftpWatch` is fed the bytes of both directions, cut anywhere, and says what was done to files. It keeps the beginning
of one packet, what waits for an answer, and the open handles: all bounded. Data passes without being kept. Handles are
looked up when the answer comes, so that a client that guesses one before it is told hides nothing. Used by the
gateway's recordings; what it cannot follow raises `Malformed`, and such a channel is closed: nothing goes unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from lapse.protocols.ssh.wire import Malformed, Reader

LONGEST_PACKET = 1024 * 1024
_HEAD = 16 * 1024
_MOST_WAITING = 16_384
_MOST_HANDLES = 4_096
_OK = 0
_LENGTH = 4


class Packet(IntEnum):
    """Packet types."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class FileOp(StrEnum):
    """What was done. `close` tells how much was read and written since `open`."""

    OPEN = "open"
    CLOSE = "close"
    LIST = "list"
    REMOVE = "remove"
    RENAME = "rename"
    MKDIR = "mkdir"
    RMDIR = "rmdir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    SETSTAT = "setstat"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvent:
    """`status` is the server's answer: 0 is success. `mode` of an open file is `r`, `w` or `rw`."""

    op: FileOp
    path: str
    to: str = ""
    mode: str = ""
    bytes_read: int = 0
    bytes_written: int = 0
    status: int = _OK


@dataclass(slots=True)
class _File:
    path: str
    mode: str
    read: int = 0
    written: int = 0


@dataclass(slots=True)
class _Asked:
    """A request without its answer: what to tell, or of which handle it moves bytes, or which one it closes."""

    event: FileEvent | None = None
    handle: bytes | None = None
    target: bytes | None = None
    closes: bytes | None = None
    size: int = 0


class _Packets:
    """Cuts one direction into packets; of a long one only the beginning is kept."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._skip = 0

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The head of every packet of which enough has come, without its length field."""
        view = memoryview(data)
        while view:
            if self._skip:
                passed = min(self._skip, len(view))
                self._skip -= passed
                view = view[passed:]
                continue
            taken = view[: self._missing()]
            self._head += taken
            view = view[len(taken) :]
            if not self._missing():
                head = bytes(self._head[_LENGTH:])
                self._skip = self._size() - len(head)
                self._head.clear()
                yield head

    def _size(self) -> int:
        size = int.from_bytes(self._head[:_LENGTH], "big")
        if not 0 < size <= LONGEST_PACKET:
            raise Malformed(f"a packet of SFTP claims {size:,} bytes")
        return size

    def _missing(self) -> int:
        have = len(self._head)
        return _LENGTH - have if have < _LENGTH else _LENGTH + min(self._size(), _HEAD) - have


class SftpWatch:
    """Follows one SFTP channel. Bytes of one direction are given in their order."""

    def __init__(self) -> None:
        self._requests, self._answers = _Packets(), _Packets()
        self._asked: dict[int, _Asked] = {}
        self._files: dict[bytes, _File] = {}

    def from_client(self, data: bytes | memoryview) -> None:
        """What the client sent; it is told of when the server has answered."""
        for head in self._requests.feed(data):
            kind = head[0]
            if kind == Packet.INIT:
                continue
            reader = Reader(head, 1)
            number = reader.uint32()
            if len(self._asked) >= _MOST_WAITING:
                raise Malformed("too many requests of SFTP wait for their answer")
            self._asked[number] = self._read(kind, reader)

    def from_server(self, data: bytes | memoryview) -> Iterator[FileEvent]:
        """What the server sent: the events that its answers complete."""
        for head in self._answers.feed(data):
            if head[0] == Packet.VERSION:
                continue
            reader = Reader(head, 1)
            asked = self._asked.pop(reader.uint32(), None)
            if asked is None:
                raise Malformed("an answer of SFTP belongs to no request")
            yield from self._answered(asked, head[0], reader)

    def finish(self) -> Iterator[FileEvent]:
        """The channel is over: the files that nobody closed."""
        for file in self._files.values():
            yield _closed(file, _OK)
        self._files.clear()

    def _read(self, kind: int, reader: Reader) -> _Asked:  # noqa: PLR0911  one return a type of packet
        match kind:
            case Packet.OPEN:
                path, flags = reader.text(), reader.uint32()
                return _Asked(FileEvent(op=FileOp.OPEN, path=path, mode=_mode(flags)))
            case Packet.CLOSE:
                return _Asked(closes=reader.string())
            case Packet.READ:
                return _Asked(handle=reader.string())
            case Packet.WRITE:
                handle, _at = reader.string(), reader.uint64()
                return _Asked(handle=handle, size=reader.uint32())
            case Packet.FSETSTAT:
                return _Asked(FileEvent(op=FileOp.SETSTAT, path=""), handle=reader.string())
            case Packet.EXTENDED:
                return _extended(reader)
            case _:
                return _changed(kind, reader)

    def _answered(self, asked: _Asked, kind: int, reader: Reader) -> Iterator[FileEvent]:
        if kind == Packet.DATA:
            file = self._file(asked.handle)
            if file:
                file.read += reader.uint32()
        elif kind == Packet.HANDLE and asked.event:
            yield asked.event
            self._opened(reader.string(), asked.event)
        elif kind == Packet.STATUS:
            yield from self._status(asked, reader.uint32())

    def _file(self, handle: bytes | None) -> _File | None:
        return None if handle is None else self._files.get(handle)

    def _opened(self, handle: bytes, event: FileEvent) -> None:
        if event.op is FileOp.OPEN:
            if len(self._files) >= _MOST_HANDLES:
                raise Malformed("too many files are open over SFTP")
            self._files[handle] = _File(event.path, event.mode)

    def _status(self, asked: _Asked, status: int) -> Iterator[FileEvent]:
        if asked.closes is not None:
            file = self._files.pop(asked.closes, None)
            if file is not None:
                yield _closed(file, status)
            return
        file, target = self._file(asked.handle), self._file(asked.target)
        if asked.event is not None:
            path, to = file.path if file else asked.event.path, target.path if target else asked.event.to
            yield replace(asked.event, path=path, to=to, status=status)
        elif file is not None and status == _OK:
            file.written += asked.size


def _changed(kind: int, reader: Reader) -> _Asked:
    if kind in _ONE_PATH:
        return _Asked(FileEvent(op=_ONE_PATH[kind], path=reader.text()))
    if kind in _TWO_PATHS:
        return _Asked(FileEvent(op=_TWO_PATHS[kind], path=reader.text(), to=reader.text()))
    return _Asked()


def _extended(reader: Reader) -> _Asked:
    name = reader.text()
    if name in _EXTENDED:
        return _Asked(FileEvent(op=_EXTENDED[name], path=reader.text(), to=reader.text()))
    if name == "lsetstat@openssh.com":
        return _Asked(FileEvent(op=FileOp.SETSTAT, path=reader.text()))
    if name == "copy-data":
        source, _at, _size = reader.string(), reader.uint64(), reader.uint64()
        return _Asked(FileEvent(op=FileOp.COPY, path=""), handle=source, target=reader.string())
    return _Asked()


def _closed(file: _File, status: int) -> FileEvent:
    return FileEvent(
        op=FileOp.CLOSE,
        path=file.path,
        mode=file.mode,
        bytes_read=file.read,
        bytes_written=file.written,
        status=status,
    )


def _mode(flags: int) -> str:
    return ("r" if flags & 1 else "") + ("w" if flags & ~1 else "")


_ONE_PATH: dict[int, FileOp] = {
    Packet.SETSTAT: FileOp.SETSTAT,
    Packet.OPENDIR: FileOp.LIST,
    Packet.REMOVE: FileOp.REMOVE,
    Packet.MKDIR: FileOp.MKDIR,
    Packet.RMDIR: FileOp.RMDIR,
}
_TWO_PATHS: dict[int, FileOp] = {Packet.RENAME: FileOp.RENAME, Packet.SYMLINK: FileOp.SYMLINK}
_EXTENDED = {"posix-rename@openssh.com": FileOp.RENAME, "hardlink@openssh.com": FileOp.HARDLINK}
