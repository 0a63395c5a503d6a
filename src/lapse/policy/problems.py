"""What is wrong with policy files: all of it at once, each with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from lapse.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing wrong at `file:line:column` (both counted from 1), and what to do about it."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class PolicyErrors(InvalidInput):
    """The policy cannot be used; `problems` has everything that was found, in order of file and line."""

    code = "invalid-policy"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        more = f"; {count - 1} more" if count > 1 else ""
        first = self.problems[0]
        super().__init__(f"{first.file}:{first.line}:{first.column}: {first.message}{more}", hint=first.hint)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to `name`, or all of them when none is close and they are few."""
    words = sorted(known)
    close = get_close_matches(name[:80], words, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return "known here: " + ", ".join(f"`{word}`" for word in words) if words else ""
