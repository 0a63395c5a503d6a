"""Log files as they lie around: alone or in nested folders, plain or compressed, of any size and encoding.

Guarantee: memory is bounded by the longest line allowed, whatever a file says it is; a file that ends early, a line
that is too long, bytes that are no UTF-8 and a file that unpacks to far more than it should are reported through
`Reading`, and reading goes on with the next file. Called by the kinds of sources.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from lapse.review.sources.reading import Reading

LONGEST_LINE = 16 << 20
"""Bytes of one line (or record); what is longer is rejected."""
MOST_EXPANSION = 200
"""A compressed file may unpack to so many times its size, and at least `FREE_EXPANSION` bytes: logs reach about 50."""
FREE_EXPANSION = 64 << 20
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"


def files_below(path: Path, *suffixes: str) -> list[Path]:
    """`path` itself, or all files below it that end with one of `suffixes` (all, if none is given), in order of name.

    Hidden files are left out. Links that lead out of `path` are not followed.
    """
    if path.is_file():
        return [path]
    root = path.resolve()
    found = (file for file in path.rglob("*") if file.is_file() and root in file.resolve().parents)
    shown = (file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))
    return sorted(file for file in shown if not suffixes or file.name.endswith(suffixes))


def name_below(path: Path, file: Path) -> str:
    """How a file of a source is called in reports: its path below the source's."""
    return file.name if path == file else file.relative_to(path).as_posix()


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """`file` for reading bytes, unpacked if it is gzip, whatever its name is."""
    with file.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked  # type: ignore[misc]  # has all of BinaryIO that is used
        else:
            yield raw


def lines(file: Path, name: str, reading: Reading) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its end) of each line that is not empty.

    Bytes that are not UTF-8 are read as Windows-1252 and counted as a problem: a log may have lived on many machines.
    """
    odd = 0
    for number, line in byte_lines(file, name, reading):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            text = line.decode("cp1252", errors="replace")
            odd += 1
        if text.strip():
            yield number, text
    if odd:
        what = "lines that are not UTF-8 were read as Windows-1252"
        reading.problem("", what, rows=odd, examples=[name])


def byte_lines(file: Path, name: str, reading: Reading) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes without the end of line) of each line; registers the file with `reading`."""
    number = 0
    reading.file(name, file)
    try:
        with opened(file) as stream:
            for number, line in enumerate(_pieces(bounded(stream, file), reading, name), start=1):
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        reading.reject(f"{name}:{number + 1}", f"the file cannot be read further: {error}")


def bounded(stream: IO[bytes], file: Path) -> Iterator[bytes]:
    """The bytes of `stream`, piece by piece.

    Raises:
        OSError: it unpacks to more than any log would.
    """
    most = max(FREE_EXPANSION, MOST_EXPANSION * file.stat().st_size)
    size = 0
    # One read at a time, where there is such: of a file that is cut off, what comes before the cut is not lost with it.
    read = getattr(stream, "read1", stream.read)
    while piece := read(_PIECE):
        size += len(piece)
        if size > most:
            raise OSError(f"it unpacks to more than {most} bytes, which no log does")
        yield piece


def _pieces(pieces: Iterator[bytes], reading: Reading, name: str) -> Iterator[bytes]:
    """Lines out of pieces; one that is too long comes as an empty line, and is rejected."""
    rest, dropping, number = b"", False, 0
    for piece in pieces:
        reading.tell(len(piece))
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield b"" if dropping else line.removesuffix(b"\r")
            dropping = False
        if len(rest) > LONGEST_LINE:
            if not dropping:
                reading.reject(f"{name}:{number + 1}", f"the line is longer than {LONGEST_LINE} bytes")
            rest, dropping = b"", True
    if rest or dropping:
        yield b"" if dropping else rest.removesuffix(b"\r")
