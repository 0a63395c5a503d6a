"""Many patterns at once: which of them match a text, without trying each. Used by the index of rules.

What a pattern begins or ends with is written down in it; a text is looked up by its own beginnings and endings. Only
patterns that begin and end with a wildcard are gone through, and tried where their longest written part occurs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

from lapse.domain.wildcards import wildcard_match

T = TypeVar("T")
_WILDCARDS = re.compile(r"[*?]+")


class Globs(Generic[T]):
    """A value for each pattern; `find` gives those whose pattern matches (`wildcard_match` is the judge)."""

    def __init__(self, values: Mapping[str, T]) -> None:
        self._exact: dict[str, T] = {}
        self._starts: dict[int, dict[str, list[tuple[str, T]]]] = {}
        self._ends: dict[int, dict[str, list[tuple[str, T]]]] = {}
        self._inside: list[tuple[str, str, T]] = []
        for pattern, value in values.items():
            self._add(pattern, value)

    def find(self, text: str) -> list[T]:
        """The values of all patterns that match `text`."""
        found = [self._exact[text]] if text in self._exact else []
        for length, starts in self._starts.items():
            found += [value for pattern, value in starts.get(text[:length], ()) if wildcard_match(pattern, text)]
        for length, ends in self._ends.items():
            found += [value for pattern, value in ends.get(text[-length:], ()) if wildcard_match(pattern, text)]
        found += [v for part, pattern, v in self._inside if part in text and wildcard_match(pattern, text)]
        return found

    def _add(self, pattern: str, value: T) -> None:
        parts = _WILDCARDS.split(pattern)
        start, end = parts[0], parts[-1]
        if len(parts) == 1:
            self._exact[pattern] = value
        elif len(start) >= len(end) and (start or not any(parts)):
            self._starts.setdefault(len(start), {}).setdefault(start, []).append((pattern, value))
        elif end:
            self._ends.setdefault(len(end), {}).setdefault(end, []).append((pattern, value))
        else:
            self._inside.append((max(parts, key=len), pattern, value))
