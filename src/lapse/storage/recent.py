"""Ledger entries that this process has just committed, so that the sequencer need not read them back.

Guarantee: what `behind` gives was committed under these ids. It may know less than there is: who needs all reads the
store. That holds where an id once committed is never used again, as on SQLite, whose triggers let no entry be deleted.
Filled by `store` after each commit; asked by `ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_BYTES = 16 * 1024 * 1024


class RecentEntries:
    """Bodies that stand one after the other, by the id of the first; beyond `most_bytes` nothing more is kept."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._runs: dict[int, Sequence[bytes]] = {}

    def keep(self, first_id: int, bodies: Sequence[bytes]) -> None:
        """These were committed, under the ids from `first_id` on."""
        size = _size(bodies)
        if bodies and self._bytes + size <= self._most_bytes:
            self._drop(first_id)
            self._runs[first_id] = bodies
            self._bytes += size

    def behind(self, known: int, last: int, limit: int) -> list[tuple[int, bytes]]:
        """The entries from id `known + 1` on, up to `last` and the first that is not known, at most `limit`.

        Those up to `known` are forgotten.
        """
        for first in [first for first in self._runs if first <= known]:
            self.keep(known + 1, self._drop(first)[known + 1 - first :])
        found: list[bytes] = []
        while len(found) < limit and (run := self._runs.get(known + 1 + len(found))):
            found += run
        return list(enumerate(found[: max(0, min(limit, last - known))], known + 1))

    def _drop(self, first_id: int) -> Sequence[bytes]:
        bodies = self._runs.pop(first_id, ())
        self._bytes -= _size(bodies)
        return bodies


def _size(bodies: Sequence[bytes]) -> int:
    return sum(map(len, bodies))
