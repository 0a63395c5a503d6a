"""Pieces: what was kept of a session's wire, in the order it passed, each with its direction and time.

A recording's frame of kind `PIECES` holds any number of them. Each is one byte of direction (`c` from the client, `s`
from the server), four bytes of length and eight of time (microseconds since 1970), big-endian, then the bytes. The
bytes of one direction, joined, are a stream of whole messages; a piece may begin and end inside of one. Written by
`gateway.pump`, read wherever recordings are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from lapse.domain.errors import Corrupt

HEADER = struct.Struct(">cIQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Direction(StrEnum):
    """Who sent it."""

    CLIENT = "c"
    SERVER = "s"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that passed at `micros`, microseconds since 1970."""

    direction: Direction
    micros: int
    data: bytes

    @property
    def at(self) -> datetime:
        """When it passed."""
        return _EPOCH + timedelta(microseconds=self.micros)


def packed(direction: Direction, micros: int, data: bytes) -> bytes:
    """One piece as it is in a frame."""
    return HEADER.pack(direction.encode(), len(data), micros) + data


def unpacked(frame: bytes) -> Iterator[Piece]:
    """The pieces of one frame, in order.

    Raises:
        Corrupt: the frame does not hold whole pieces.
    """
    at, end = 0, len(frame)
    while at < end:
        if end - at < HEADER.size:
            raise Corrupt(f"a piece of a recording ends after {end - at} bytes of its header")
        direction, length, micros = HEADER.unpack_from(frame, at)
        at += HEADER.size
        if length > end - at or direction not in {b"c", b"s"}:
            raise Corrupt(f"a piece of a recording claims {length} bytes from `{direction.decode('latin-1')}`")
        yield Piece(Direction(direction.decode()), micros, frame[at : at + length])
        at += length
