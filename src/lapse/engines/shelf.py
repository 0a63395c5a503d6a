"""The folder in which computed rows are kept between reviews. Only its owner can read it; deleting it is always safe.

A file counts only together with its note, which has the SHA-256 of the rows and says what they were made of. Both are
written beside their place and moved into it, so that an interruption leaves nothing that looks whole. Used by `kept`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lapse import __version__
from lapse.engines.row_groups import RowGroup, identity
from lapse.review.detection.shared import SharedTable

_FORMAT = 1
_MOST_SHARED = 4
"""Of each shared table, so many are kept: reviews of different scope take turns."""
_MOST_BYTES = 2_000_000_000
"""All answers together; the ones that were not used for longest go first."""


class Shelf:
    """What is kept in `folder`, which is made at once. Where that cannot be written, nothing is kept, and no error."""

    def __init__(self, folder: Path) -> None:
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def rows(self, key: str) -> Any | None:
        """The rows of an answer, as an Arrow table; None if they are not there or not what was put there."""
        note, file = self._note(f"answer-{key}")
        if file is None or note.get("key") != key:
            return None
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowException):
            return None
        with suppress(OSError):
            file.touch()
        return table

    def put_rows(self, key: str, file: Path) -> None:
        """Keep the rows in `file` as an answer."""
        self._put(f"answer-{key}", file, {"key": key})
        self._shrink("answer-*.parquet", _MOST_BYTES, most=None)

    def shared(self, table: SharedTable) -> Iterator[tuple[tuple[RowGroup, ...], Path]]:
        """Every kept version of a shared table: the row groups that it was made of, and its file."""
        for found in sorted(self._folder.glob(f"{table.name}-*.json")):
            note, file = self._note(found.stem)
            groups = _groups(note.get("groups"))
            if file is not None and groups is not None and note.get("made_by") == _made_by(table):
                yield groups, file

    def put_shared(self, table: SharedTable, groups: Sequence[RowGroup], file: Path) -> None:
        """Keep the rows in `file` as those of a shared table made of `groups`."""
        note = {"made_by": _made_by(table), "groups": [asdict(group) for group in groups]}
        self._put(f"{table.name}-{identity(groups)}", file, note)
        self._shrink(f"{table.name}-*.parquet", None, most=_MOST_SHARED)

    def _note(self, name: str) -> tuple[Mapping[str, Any], Path | None]:
        """What is noted about a file, and the file if it is the one that was noted."""
        file = self._folder / f"{name}.parquet"
        try:
            note = json.loads((self._folder / f"{name}.json").read_text("utf-8"))
            with file.open("rb") as opened:
                whole = hashlib.file_digest(opened, "sha256").hexdigest() == note["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}, None
        good = whole and note.get("format") == _FORMAT and note.get("tool") == __version__
        return (note, file) if good else ({}, None)

    def _put(self, name: str, file: Path, note: Mapping[str, Any]) -> None:
        """Keep `file` with its note, unless there is no room for it."""
        text, rows = self._folder / f".{name}.{os.getpid()}.json", self._folder / f".{name}.{os.getpid()}.parquet"
        try:
            with file.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            shutil.copyfile(file, rows)
            text.write_text(json.dumps({"format": _FORMAT, "tool": __version__, "sha256": sha256, **note}), "utf-8")
            for written in (rows, text):
                written.chmod(0o600)
            rows.replace(self._folder / f"{name}.parquet")
            text.replace(self._folder / f"{name}.json")
        except OSError:
            for written in (rows, text):
                with suppress(OSError):
                    written.unlink(missing_ok=True)

    def _shrink(self, pattern: str, most_bytes: int | None, *, most: int | None) -> None:
        """Remove what was not used for longest, beyond `most_bytes` and `most` files."""
        found = sorted(filter(None, map(_aged, self._folder.glob(pattern))), reverse=True)
        size = 0
        for number, (_, bytes_, file) in enumerate(found, start=1):
            size += bytes_
            if (most_bytes is not None and size > most_bytes) or (most is not None and number > most):
                with suppress(OSError):
                    file.with_suffix(".json").unlink(missing_ok=True)
                    file.unlink(missing_ok=True)


def _aged(file: Path) -> tuple[float, int, Path] | None:
    """When a file was used last, and its size; None if somebody else has just removed it."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime, state.st_size, file


def digest_of(*parts: object) -> str:
    """SHA-256 (hex) over values, each by its spelling."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _made_by(table: SharedTable) -> str:
    return digest_of(table.name, table.rows, table.merge)


def _groups(data: object) -> tuple[RowGroup, ...] | None:
    try:
        return tuple(RowGroup(**one) for one in data)  # type: ignore[attr-defined]
    except TypeError:
        return None
