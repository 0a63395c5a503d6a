"""JSON objects out of files as they lie around: one a line, one after the other, or in arrays of any length.

Guarantee: memory is bounded by the longest value allowed; every object is given once with its place, and what is none
is rejected through `Reading`: broken and cut off values, texts and numbers where objects should be, arrays without an
end. A broken line, or a broken element of an array, costs only itself. Called by kinds of sources whose records are
JSON.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from lapse.review.sources.files import LONGEST_LINE, bounded, byte_lines, opened
from lapse.review.sources.reading import Reading

T = TypeVar("T")
_PEEKED = 1 << 20
_LINES_TRIED = 50
_BROKEN = (OSError, EOFError, zlib.error)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SPACE = b" \t\r\n"
# Up to the next bracket that is in no text. Possessive, so that no text is gone through twice.
_PLAIN = rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+'
_BRACKET = re.compile(_PLAIN + rb"([{}\[\]])", re.DOTALL)
_NO_BRACKET = re.compile(_PLAIN, re.DOTALL)


def json_objects(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, bytes]]:
    """(place, its text) of each object in the file, which is registered with `reading` as `name`.

    The text is of one object as far as its brackets go; whether it is sound shows when it is decoded.
    """
    try:
        by_line = _is_by_line(_head(file))
    except _BROKEN:
        by_line = True
    try:
        yield from _lines(file, name, reading) if by_line else _split(file, name, reading)
    except OSError as error:
        reading.reject(name, f"the file cannot be read: {error}")


def decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> tuple[T, bool]:
    """The value in `data`, and whether it is not UTF-8: then it is read as Windows-1252.

    Raises:
        ValueError: it is no such value; the message says why.
    """
    try:
        return decoder.decode(data), False
    except UnicodeDecodeError:
        pass
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    return decoded(decoder, data.decode("cp1252", errors="replace").encode())[0], True


def _head(file: Path) -> bytes:
    with opened(file) as stream:
        return next(bounded(stream, file), b"")[:_PEEKED]


def _is_by_line(head: bytes) -> bool:
    """Whether values end with their lines; else they may go over many."""
    text = head.removeprefix(codecs.BOM_UTF8).lstrip(_SPACE)
    if head.startswith(_UTF16) or text.startswith(b"["):
        return False
    lines = [line.strip(_SPACE) for line in text.split(b"\n", _LINES_TRIED)[:_LINES_TRIED]]
    if any(_is_object(line) for line in lines):
        return True
    return len(lines) < 2 or lines[1].startswith(b"{") or not text.startswith(b"{")  # noqa: PLR2004  a second line


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{") or not line.endswith(b"}"):
        return False
    try:
        return bool(decoded(_ANY, line)[0])
    except ValueError:
        return False


def _lines(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, bytes]]:
    for number, line in byte_lines(file, name, reading):
        text = line.removeprefix(codecs.BOM_UTF8).strip(_SPACE) if number == 1 else line.strip(_SPACE)
        if text.startswith(b"{"):
            yield f"{name}:{number}", text
        elif text.startswith(b"["):
            yield from _elements(text, f"{name}:{number}", reading)
        elif text:
            reading.reject(f"{name}:{number}", "it is no JSON object")


def _elements(text: bytes, place: str, reading: Reading) -> Iterator[tuple[str, bytes]]:
    splitter = _Splitter(place, reading)
    yield from splitter.feed(text)
    splitter.finish()


def _split(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, bytes]]:
    reading.file(name, file)
    splitter = _Splitter(name, reading)
    try:
        with opened(file) as stream:
            for piece in _as_utf8(bounded(stream, file), reading):
                yield from splitter.feed(piece)
                if splitter.lost:
                    return
    except _BROKEN as error:
        reading.reject(name, f"the file cannot be read further: {error}")
        return
    splitter.finish()


def _as_utf8(pieces: Iterator[bytes], reading: Reading) -> Iterator[bytes]:
    first = next(pieces, b"")
    decoder = codecs.getincrementaldecoder("utf-16")("replace") if first.startswith(_UTF16) else None
    piece: bytes | None = first.removeprefix(codecs.BOM_UTF8)
    while piece is not None:
        reading.tell(len(piece))
        yield decoder.decode(piece).encode("utf-8", "replace") if decoder else piece
        piece = next(pieces, None)


class _Splitter:
    """Cuts a stream at the brackets of its objects. Arrays around objects are only gone through."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.lost = False
        self._name, self._reading = name, reading
        self._buffer = b""
        self._at = self._depth = self._arrays = self._number = 0
        self._start = -1
        self._too_long = False

    def feed(self, piece: bytes) -> Iterator[tuple[str, bytes]]:
        """The objects that end in `piece`."""
        self._buffer += piece
        while found := _BRACKET.match(self._buffer, self._at):
            bracket = found.start(1)
            if self._depth == 0:
                self._between(self._buffer[self._at : bracket])
            self._at = found.end()
            if self._step(self._buffer[bracket], bracket):
                yield self._place(), self._buffer[self._start : self._at]
                self._start = -1
        if self._depth and (passed := _NO_BRACKET.match(self._buffer, self._at)):
            self._at = passed.end()
        self._compact()

    def finish(self) -> None:
        """There is no more: report what has no end."""
        if self._depth:
            self._number += not self._too_long
            self._reading.reject(self._place(), "the file ends inside of it")
        else:
            self._between(self._buffer[self._at :])
            if self._arrays:
                self._reading.reject(self._name, "the file ends inside of an array")

    def _step(self, bracket: int, place: int) -> bool:
        """Whether an object has ended with this bracket."""
        if self._depth == 0:
            return self._outside(bracket, place)
        self._depth += 1 if bracket in b"{[" else -1
        if self._depth or self._too_long:
            self._too_long = self._too_long and self._depth > 0
            return False
        self._number += 1
        return True

    def _outside(self, bracket: int, place: int) -> bool:
        if bracket in b"{":
            self._depth, self._start = 1, place
        elif bracket in b"[":
            self._arrays += 1
        elif bracket in b"]" and self._arrays:
            self._arrays -= 1
        else:
            self._reading.reject(self._name, "a bracket is closed that was never opened")
        return False

    def _between(self, text: bytes) -> None:
        if text.strip(b" \t\r\n,"):
            self._number += 1
            self._reading.reject(self._place(), "it is no JSON object")

    def _compact(self) -> None:
        """Keep only what is needed of the buffer, and no more than is allowed."""
        if self._start >= 0 and len(self._buffer) - self._start > LONGEST_LINE:
            self._number += 1
            self._reading.reject(self._place(), f"it is longer than {LONGEST_LINE} bytes")
            self._start, self._too_long = -1, True
        if len(self._buffer) - self._at > LONGEST_LINE:
            why = f"a text in it is longer than {LONGEST_LINE} bytes; nothing after it could be read"
            self._reading.reject(self._name, why)
            self.lost = True
        kept = self._start if self._start >= 0 else self._at
        self._buffer = self._buffer[kept:]
        self._at -= kept
        self._start = 0 if self._start >= 0 else -1

    def _place(self) -> str:
        return f"{self._name}: record {max(self._number, 1)}"


_ANY = msgspec.json.Decoder()
