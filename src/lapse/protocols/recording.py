"""Recordings as they are in files: segments of sealed chunks, each a run of frames. Bytes in, bytes out.

A segment is a line of magic, then chunks. A chunk is four bytes (big endian; the highest bit says that it is the
segment's last, the rest how long it is) and so many bytes of AES-256-GCM: the frames, and 16 bytes of tag. The nonce is
the number of the segment (four bytes) and that of the chunk (eight): both count from 0, so that none is used twice with
one key, which is one session's alone. The session's id, the last-bit and the nonce are authenticated with it: no chunk
can be left out, moved or cut off unseen. A frame is one byte of kind, eight of time (microseconds since 1970), four of
length, and its bytes.

Written by gateways, read wherever a recording is shown.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lapse.domain.errors import Corrupt

MAGIC = b"lapse recording 1\n"
KEY_SIZE = 32
TAG_SIZE = 16
LONGEST_CHUNK = 16 << 20
"""Bytes of frames in one chunk; a longer frame is continued in further ones."""

_LAST = 1 << 31
_LENGTH = struct.Struct(">I")
_NONCE = struct.Struct(">IQ")
_FRAME = struct.Struct(">BQI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ReadAt = Callable[[int, int], bytes]


class FrameKind(IntEnum):
    """What one frame of a recording holds; one byte in the file.

    `CLIENT_WIRE` and `SERVER_WIRE` are bytes as they were on the wire, in order, cut anywhere: a reader joins them.
    Of a PostgreSQL session they are all messages of the client but the data of COPY, and those of the server that
    say what became of a statement. `PIECES` holds many such pieces of both directions with their times, as
    `protocols.pieces` says.

    `OUTPUT`, `ERRORS` and `INPUT` are the bytes of one channel of an SSH session, after four bytes with its number (big
    endian). The others are JSON objects; those of SSH have `channel`, and of a session they are:
    `STARTED`: `kind` (`shell`, `exec`, `scp`, `rsync`, `sftp` or `subsystem`), `command`, `terminal` (`type`, `width`,
    `height`, or null), `upload` and `path` where a transfer says so; `RESIZE`: `width`, `height`; `FILE`: `op`, `path`,
    `to`, `mode`, `bytes_read`, `bytes_written`, `status` (`protocols.ssh.sftp.FileEvent`); `TUNNEL`: `kind` (`local`,
    `remote`, `agent`), `to`, `from`, `event` (`open`, `refused`, `close`), `bytes_in`, `bytes_out`; `EXIT`: `status` or
    `signal` (both null: the channel closed without saying), `bytes_in`, `bytes_out`, `bytes_err`.
    `VERDICT`, of a guard about a statement that was refused or waited: `outcome` (`refused`; or `held`, and then
    `allowed` or `refused`), `why`, `statement`; after a wait `hold` and `by`.
    """

    META = ord("m")
    CLIENT_WIRE = ord("c")
    SERVER_WIRE = ord("s")
    PIECES = ord("p")
    VERDICT = ord("v")
    COUNTED = ord("n")
    OUTPUT = ord("o")
    ERRORS = ord("e")
    INPUT = ord("i")
    RESIZE = ord("z")
    STARTED = ord("x")
    FILE = ord("f")
    TUNNEL = ord("t")
    EXIT = ord("q")
    END = ord("E")


@dataclass(frozen=True, slots=True)
class Frame:
    """Something that happened at `micros`; `kind` is a `FrameKind`."""

    kind: int
    micros: int
    data: bytes

    @property
    def at(self) -> datetime:
        """When it happened."""
        return _EPOCH + timedelta(microseconds=self.micros)


def frame(kind: int, micros: int, data: bytes | bytearray | memoryview) -> bytes:
    """One frame as it is in a chunk."""
    return _FRAME.pack(kind, micros, len(data)) + data


class Sealer:
    """Makes the chunks of one session's recording, segment by segment."""

    def __init__(self, key: bytes, session_id: str) -> None:
        self._cipher = AESGCM(key)
        self._session = session_id.encode()
        self._segment, self._chunk = 0, 0

    @property
    def segment(self) -> int:
        """The number of the segment that is being written."""
        return self._segment

    def chunk(self, frames: bytes, *, last: bool = False) -> tuple[bytes, bytes]:
        """Head and body of the next chunk.

        `frames` are at most `LONGEST_CHUNK` bytes and may begin and end inside of a frame.
        """
        nonce = _NONCE.pack(self._segment, self._chunk)
        head = _LENGTH.pack(len(frames) + TAG_SIZE | (_LAST if last else 0))
        sealed = self._cipher.encrypt(nonce, frames, head + self._session)
        self._chunk += 1
        if last:
            self._segment, self._chunk = self._segment + 1, 0
        return head, sealed


def whole_length(head: bytes, size: int, read: ReadAt) -> tuple[int, bool]:
    """How many bytes of a segment of `size` bytes are whole chunks, and whether it was ended; needs no key.

    `read(offset, count)` gives bytes of the segment, `head` its first ones. 0 if it does not begin as a segment.
    """
    if not head.startswith(MAGIC):
        return 0, False
    at = len(MAGIC)
    while at + _LENGTH.size <= size:
        (word,) = _LENGTH.unpack(read(at, _LENGTH.size))
        after = at + _LENGTH.size + (word & ~_LAST)
        if not TAG_SIZE <= word & ~_LAST <= LONGEST_CHUNK + TAG_SIZE or after > size:
            return at, False
        if word & _LAST:
            return after, True
        at = after
    return at, False


class Opener:
    """Reads one session's recording, segment by segment in order, whatever pieces its bytes come in."""

    def __init__(self, key: bytes, session_id: str) -> None:
        self._cipher = AESGCM(key)
        self._session = session_id.encode()
        self._frames = bytearray()
        self._rest = bytearray()
        self._begun = False
        self._number, self._chunk = 0, 0
        self.ended = False
        """Whether the segment that was read last was ended by who wrote it."""

    def segment(self, number: int) -> None:
        """Segment `number` follows. What is left of the one before that was cut off is forgotten."""
        if not self.ended or number != self._number + 1:
            self._frames.clear()
        self._rest.clear()
        self._begun, self.ended = False, False
        self._number, self._chunk = number, 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with `data`.

        Raises:
            Corrupt: the bytes are none that were written with this key for this session at this place.
        """
        self._rest += data
        for plain in self._opened():
            self._frames += plain
        yield from self._taken()

    @property
    def unread(self) -> int:
        """Bytes of a chunk that is not whole."""
        return len(self._rest)

    def _opened(self) -> Iterator[bytes]:
        at = 0
        try:
            if not self._begun:
                if len(self._rest) < len(MAGIC):
                    return
                if not self._rest.startswith(MAGIC):
                    raise Corrupt("a piece of a recording does not begin as one")
                at, self._begun = len(MAGIC), True
            while len(self._rest) - at >= _LENGTH.size and not self.ended:
                head = bytes(self._rest[at : at + _LENGTH.size])
                (word,) = _LENGTH.unpack(head)
                length = word & ~_LAST
                if not TAG_SIZE <= length <= LONGEST_CHUNK + TAG_SIZE:
                    raise Corrupt(f"a chunk of a recording claims {length} bytes")
                begin, after = at + _LENGTH.size, at + _LENGTH.size + length
                if after > len(self._rest):
                    return
                yield self._decrypted(head, bytes(self._rest[begin:after]))
                self.ended = bool(word & _LAST)
                self._chunk += 1
                at = after
        finally:
            del self._rest[:at]

    def _decrypted(self, head: bytes, sealed: bytes) -> bytes:
        nonce = _NONCE.pack(self._number, self._chunk)
        try:
            return self._cipher.decrypt(nonce, sealed, head + self._session)
        except InvalidTag:
            raise Corrupt(
                f"chunk {self._chunk} of piece {self._number} of the recording was not written so",
                hint="it was changed, or belongs elsewhere",
            ) from None

    def _taken(self) -> Iterator[Frame]:
        at = 0
        try:
            while len(self._frames) - at >= _FRAME.size:
                kind, micros, length = _FRAME.unpack_from(self._frames, at)
                begin, after = at + _FRAME.size, at + _FRAME.size + length
                if after > len(self._frames):
                    break
                at = after
                yield Frame(kind, micros, bytes(self._frames[begin:after]))
        finally:
            del self._frames[:at]
