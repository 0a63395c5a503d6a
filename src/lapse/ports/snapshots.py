"""Where frozen evidence is kept beyond the machine that computes on it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class SnapshotStore(Protocol):
    """Objects under names such as `a/b`, each there whole or not at all; to put one again is safe.

    `put` raises `Unavailable`, and then may have put it or not; `get` also raises `NotFound`. `size` is None where
    there is none. `place` says where an object is, for people.
    """

    def put(self, name: str, file: Path) -> None: ...
    def get(self, name: str, file: Path) -> None: ...
    def size(self, name: str) -> int | None: ...
    def place(self, name: str) -> str: ...
