"""State of as many things as a log has, in bounded memory: what was not asked for lately goes to a temporary file.

Guarantee: whatever was put in is found again; at most `most` values are in memory, and the file is gone when the map is
closed. Called by sources that follow sessions through logs of any size.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec

MOST = 50_000
"""Values in memory; a session of a log takes about a kilobyte."""

T = TypeVar("T")


class Spill(Generic[T]):
    """A map from text to values of type `kind`, a `msgspec.Struct`. As a context manager it is closed at the end."""

    def __init__(self, kind: type[T], most: int = MOST) -> None:
        self._most, self._spilled = max(2, most), False
        self._recent: OrderedDict[str, T] = OrderedDict()
        self._read = msgspec.msgpack.Decoder(kind)
        # An empty name is a file of SQLite's own in the temporary folder, which nobody else sees.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE spilled (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def get(self, name: str) -> T | None:
        """The value of `name`, which may be changed in place until the next call; None if there is none."""
        if name in self._recent:
            self._recent.move_to_end(name)
            return self._recent[name]
        if not self._spilled:
            return None
        row = self._file.execute("SELECT value FROM spilled WHERE name = ?", (_key(name),)).fetchone()
        if row is None:
            return None
        # It stays in the file until it is written there again, which costs less than to delete it.
        return self.put(name, self._read.decode(row[0]))

    def put(self, name: str, value: T) -> T:
        """Keep `value` under a `name` that has none in the file; returns it."""
        self._recent[name] = value
        if len(self._recent) > self._most:
            self._evict()
        return value

    def values(self) -> Iterator[T]:
        """Every value, in no order. The map must not be used meanwhile."""
        yield from self._recent.values()
        for name, value in self._file.execute("SELECT name, value FROM spilled"):
            if name.decode("utf-8", "surrogatepass") not in self._recent:
                yield self._read.decode(value)

    def close(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _evict(self) -> None:
        old = [self._recent.popitem(last=False) for _ in range(len(self._recent) // 2)]
        rows = [(_key(name), msgspec.msgpack.encode(value)) for name, value in old]
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO spilled VALUES (?, ?)", rows)
        self._file.execute("COMMIT")
        self._spilled = True


def _key(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
