"""A file as a whole, unpacked if it is gzip, in memory that is bounded whatever the file says it is.

A file that is cut off, damaged or too large gives what there is of it, and why there is no more. Called by the readers
of `aws`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from lapse.review.sources.files import FREE_EXPANSION, MOST_EXPANSION

_zlib: Any = zlib
with suppress(ImportError):
    # Twice as fast as the standard library's, where it is installed.
    _zlib = import_module("isal.isal_zlib")

MOST_WHOLE = 256 << 20
"""Bytes of one file that is read as a whole; CloudTrail's own are 50 MB at most."""
_PIECE = 256 << 10
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What there is of a file, in UTF-8 as far as it can be; `fault` says why there is no more of it."""

    data: bytes
    fault: str = ""
    too_large: bool = False


def unpacked(file: Path, most: int = MOST_WHOLE) -> Unpacked:
    """The bytes of `file`, at most `most`."""
    pieces: list[bytes] = []
    size, fault = 0, ""
    try:
        for piece in _pieces(file, most):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                return Unpacked(b"".join(pieces), f"it is larger than {most} bytes", too_large=True)
    except (OSError, EOFError, zlib.error, _zlib.error) as error:
        fault = f"the file cannot be read further: {error}"
    return Unpacked(_as_utf8(b"".join(pieces)), fault)


def _pieces(file: Path, most: int) -> Iterator[bytes]:
    with file.open("rb") as raw:
        first = raw.read(_PIECE)
        if not first.startswith(_GZIP):
            while first:
                yield first
                first = raw.read(_PIECE)
            return
        allowed = min(most, max(FREE_EXPANSION, MOST_EXPANSION * file.stat().st_size))
        yield from _bounded(_members(first, raw), allowed, most)


def _bounded(pieces: Iterator[bytes], allowed: int, most: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        yield piece
        if size > allowed < most:
            raise OSError(f"it unpacks to more than {allowed} bytes, which no log does")


def _members(packed: bytes, raw: Any) -> Iterator[bytes]:
    """Unpack one gzip member after the other, a little at a time."""
    while packed:
        member = _zlib.decompressobj(wbits=_GZIP_WINDOW)
        while not member.eof:
            if piece := member.decompress(packed, _PIECE):
                yield piece
            packed = member.unconsumed_tail
            if not packed and not member.eof:
                packed = raw.read(_PIECE)
                if not packed and not piece:
                    raise EOFError("it ends early")
        packed = _next_member(member.unused_data, raw)


def _next_member(packed: bytes, raw: Any) -> bytes:
    """What follows a member; zeros between members fill up blocks."""
    while not (packed := packed.lstrip(b"\0")):
        packed = raw.read(_PIECE)
        if not packed:
            return b""
    return packed


def _as_utf8(data: bytes) -> bytes:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").encode()
    return data
