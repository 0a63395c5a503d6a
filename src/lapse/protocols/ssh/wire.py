"""The data types and messages of SSH's connection protocol (RFC 4251, 5; RFC 4254): read with bounds, and written.

Used by the gateway's relay and by the reader of SFTP. What does not fit raises `Malformed`.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from lapse.domain.errors import InvalidInput

_UINT32 = Struct(">I")
_UINT64 = Struct(">Q")


class Malformed(InvalidInput):
    """The peer sent what the protocol does not allow."""


class Message(IntEnum):
    """Message numbers of the connection protocol."""

    GLOBAL_REQUEST = 80
    REQUEST_SUCCESS = 81
    REQUEST_FAILURE = 82
    OPEN = 90
    OPEN_CONFIRMATION = 91
    OPEN_FAILURE = 92
    WINDOW_ADJUST = 93
    DATA = 94
    EXTENDED_DATA = 95
    EOF = 96
    CLOSE = 97
    REQUEST = 98
    SUCCESS = 99
    FAILURE = 100


class OpenFailure(IntEnum):
    """Why a channel is not opened."""

    PROHIBITED = 1
    CONNECT_FAILED = 2
    UNKNOWN_TYPE = 3
    SHORTAGE = 4


class Reader:
    """Reads fields of one message, in order."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes | memoryview, at: int = 0) -> None:
        self._data = memoryview(data)
        self._at = at

    def uint32(self) -> int:
        """An unsigned number of four bytes."""
        return int(_UINT32.unpack(self._take(4))[0])

    def uint64(self) -> int:
        """An unsigned number of eight bytes."""
        return int(_UINT64.unpack(self._take(8))[0])

    def boolean(self) -> bool:
        """Any byte but 0 is true."""
        return self._take(1)[0] != 0

    def view(self) -> memoryview:
        """A string's bytes, not copied."""
        return self._take(self.uint32())

    def string(self) -> bytes:
        """A string's bytes."""
        return bytes(self.view())

    def text(self) -> str:
        """A string's text; bytes that are not UTF-8 become U+FFFD."""
        return self.string().decode("utf-8", "replace")

    def rest(self) -> bytes:
        """All that is left."""
        return bytes(self._take(len(self._data) - self._at))

    def _take(self, size: int) -> memoryview:
        end = self._at + size
        if end > len(self._data):
            raise Malformed("a message of SSH is shorter than its fields")
        taken = self._data[self._at : end]
        self._at = end
        return taken


def uint32(number: int) -> bytes:
    """Four bytes."""
    return _UINT32.pack(number)


def string(value: bytes | str) -> bytes:
    """A string with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return _UINT32.pack(len(data)) + data


def open_failure(recipient: int, code: OpenFailure, reason: str) -> bytes:
    """A channel is not opened, and why (RFC 4254, 5.1)."""
    return bytes([Message.OPEN_FAILURE]) + uint32(recipient) + uint32(code) + string(reason) + string("")


def to_channel(message: Message, recipient: int, rest: bytes = b"") -> bytes:
    """A message to one channel."""
    return bytes([message]) + uint32(recipient) + rest


def request(recipient: int, name: str, rest: bytes = b"", *, want_reply: bool = False) -> bytes:
    """A request on a channel (RFC 4254, 5.4)."""
    return to_channel(Message.REQUEST, recipient, string(name) + bytes([want_reply]) + rest)
