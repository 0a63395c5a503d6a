"""Messages: one byte of kind, a length that counts itself, a body. All after startup packets have this form.

Guarantees: a message longer than the reader's limit is refused when its header is there, before its body is kept;
what is fed in any pieces comes out the same. `Fields` never reads past a body's end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lapse.domain.errors import Fault, LapseError

HEADER = struct.Struct("!ci")
LENGTH_SIZE = 4
LONGEST_LOGIN_MESSAGE = 65_536
"""As PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH, with room for its header and long error texts of a server."""
LONGEST_MESSAGE = 0x3FFFFFFF
"""As PostgreSQL's MaxAllocSize: no server takes a longer message."""

CLIENT_KINDS = frozenset(b"BCDEFHPQSXcdfp"[at : at + 1] for at in range(14))
SERVER_KINDS = frozenset(b"123ACDEGHIKNRSTVWZcdnstv"[at : at + 1] for at in range(24))


class ProtocolViolation(LapseError):  # noqa: N818  as its siblings
    """The other side does not speak the protocol; the connection is of no more use."""

    code: ClassVar[str] = "protocol-violation"
    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message. `kind` is its first byte."""

    kind: bytes
    body: bytes

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(self.kind, self.body)


def message(kind: bytes, *parts: bytes) -> bytes:
    """The bytes of a message whose body is `parts` joined."""
    body = b"".join(parts)
    return HEADER.pack(kind, len(body) + LENGTH_SIZE) + body


class MessageReader:
    """Whole messages out of pieces of a stream. `longest` bounds the length field, `kinds` what may come."""

    def __init__(self, longest: int, kinds: frozenset[bytes]) -> None:
        self._longest, self._kinds = longest, kinds
        self._waiting = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """More of the stream."""
        self._waiting += data

    def read(self) -> Message | None:
        """The next message, or None until more is fed.

        Raises:
            ProtocolViolation: what comes is no message, or too long.
        """
        if len(self._waiting) < HEADER.size:
            self._refuse_kind(bytes(self._waiting[:1]))
            return None
        kind, length = HEADER.unpack_from(self._waiting)
        self._refuse_kind(kind)
        if not LENGTH_SIZE <= length <= self._longest:
            raise ProtocolViolation(f"a message `{shown_kind(kind)}` of {length} bytes is not allowed here")
        if len(self._waiting) <= length:
            return None
        body = bytes(self._waiting[HEADER.size : length + 1])
        del self._waiting[: length + 1]
        return Message(kind, body)

    def __iter__(self) -> Iterator[Message]:
        """The messages that are whole by now."""
        while (found := self.read()) is not None:
            yield found

    def _refuse_kind(self, kind: bytes) -> None:
        if kind and kind not in self._kinds:
            raise ProtocolViolation(f"no message begins with `{shown_kind(kind)}`")

    def leftover(self) -> bytes:
        """What was fed and belongs to no message that was read. The reader is empty afterwards."""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return rest


def shown_kind(kind: bytes) -> str:
    """A kind for a sentence: a letter, or a number."""
    return kind.decode("ascii") if kind.isalnum() else f"0x{kind.hex()}"


class Fields:
    """Reads a body from its beginning to its end.

    Every method raises `ProtocolViolation` where the body is too short for what is asked.
    """

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        if size < 0 or end > len(self._body):
            raise ProtocolViolation("a message ends in the middle of a field")
        taken = self._body[self._at : end]
        self._at = end
        return taken

    def int16(self) -> int:
        """A signed number of two bytes."""
        return int.from_bytes(self.take(2), "big", signed=True)

    def int32(self) -> int:
        """A signed number of four bytes."""
        return int.from_bytes(self.take(4), "big", signed=True)

    def uint32(self) -> int:
        """An unsigned number of four bytes, e.g. an object identifier."""
        return int.from_bytes(self.take(4), "big")

    def text(self) -> bytes:
        """Bytes up to a zero, which is taken too."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolViolation("a text in a message does not end")
        taken = self._body[self._at : end]
        self._at = end + 1
        return taken

    def value(self) -> bytes | None:
        """A length and so many bytes; None (the value NULL) for the length -1."""
        size = self.int32()
        return None if size == -1 else self.take(size)

    def count(self, smallest: int) -> int:
        """How many items follow, each of at least `smallest` bytes; so none are promised that cannot be there.

        Clients count up to 65,535 in a field of two bytes.
        """
        number = int.from_bytes(self.take(2), "big")
        if number * smallest > len(self._body) - self._at:
            raise ProtocolViolation("a message promises more items than it has")
        return number

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._body) - self._at)

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._body)

    def end(self) -> None:
        """Refuse a body that goes on."""
        if not self.ended:
            raise ProtocolViolation("a message has bytes after its last field")
