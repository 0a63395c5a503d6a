"""The lines of PostgreSQL's csvlog and jsonlog files, in the order in which the files were begun.

Guarantee: each record comes as a line, or is rejected with its place; nothing else is taken from the files. Called by
the kind `postgresql-log`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias
from zlib import error as ZlibError  # noqa: N812  it is a class

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.clocks import Clock
from lapse.review.sources.files import byte_lines, files_below, name_below, opened
from lapse.review.sources.postgresql.csvlog import read_record, records
from lapse.review.sources.postgresql.fields import CutOff
from lapse.review.sources.postgresql.jsonlog import read_object
from lapse.review.sources.postgresql.lines import LogLine
from lapse.review.sources.reading import Reading

Read: TypeAlias = Callable[[str, Clock], LogLine]

_NAMES = re.compile(r".+\.(?:csv|json)(?:[.-].*)?", re.IGNORECASE)
_FIRST_TIME = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
_PEEKED = 1 << 16
ODD = "lines that are not UTF-8 were read as Windows-1252"


def log_files(path: Path, reading: Reading) -> list[Path]:
    """The files of `path` that are logs, those begun first being first. Others of a folder are reported by name.

    Raises:
        InvalidInput: there is none in the folder.
    """
    if path.is_file():
        return [path]
    found = files_below(path)
    logs = [file for file in found if _NAMES.fullmatch(file.name)]
    if not logs:
        raise InvalidInput(
            f"`{shown(str(path), 200)}` has no file of csvlog or jsonlog in it",
            hint="their names have `.csv` or `.json` in them; the format `stderr` says too little",
        )
    others = [name_below(path, file) for file in found if file not in set(logs)]
    if others:
        what = "files beside the logs that are neither csvlog nor jsonlog by their names; they were not read"
        reading.problem("", what, rows=len(others), examples=others[:5])
    return sorted(logs, key=lambda file: (_begun(file), file.as_posix()))


def lines_of(file: Path, name: str, clock: Clock, reading: Reading) -> Iterator[LogLine]:
    """The lines of one file; what is none is rejected."""
    numbered = byte_lines(file, name, reading)
    head = list(islice(numbered, 1))
    is_json = bool(head) and head[0][1].lstrip(b"\xef\xbb\xbf \t").startswith(b"{")
    found = (one for part in (head, numbered) for one in part)
    odd = 0
    read: Read = read_object if is_json else read_record
    for number, data in found if is_json else records(found):
        text, is_odd = text_of(data)
        odd += is_odd
        if isinstance(data, CutOff):
            reading.reject(f"{name}:{number}", "the record is cut off: its quotes are never closed")
        elif text.strip():
            try:
                yield read(text, clock)
            except (ValueError, OverflowError) as error:
                reading.reject(f"{name}:{number}", str(error))
    if odd:
        reading.problem("", ODD, rows=odd, examples=[name])


def text_of(data: bytes) -> tuple[str, bool]:
    """`data` as text, and whether it is not UTF-8: then it is read as Windows-1252."""
    try:
        return data.decode().removeprefix("\ufeff"), False
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), True


def _begun(file: Path) -> bytes:
    """The first time in the file as text, which sorts as time does; what cannot be read is last, and said later."""
    try:
        with opened(file) as stream:
            found = _FIRST_TIME.search(stream.read(_PEEKED))
    except (OSError, EOFError, ZlibError):
        found = None
    return found[0] if found else b"~"
