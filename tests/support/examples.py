"""Finds the `lapse …` commands that docs and messages show to people, so that tests can hold them against the CLI."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```console( run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(lapse [^`\n]+)`")
COMMAND_WORD = re.compile(r"[a-z]+(-[a-z]+)*")


@dataclass(frozen=True)
class Example:
    """One command as it is shown: where, its words, and the output shown below it (None: none is promised)."""

    where: str
    command: str
    output: str | None = None

    @property
    def words(self) -> list[str]:
        """The words of the command, without `lapse` and without a comment."""
        return shlex.split(self.command, comments=True)[1:]

    @property
    def leading(self) -> list[str]:
        """The words before the first one that cannot be a command's name."""
        words = self.words
        stop = next((i for i, word in enumerate(words) if not COMMAND_WORD.fullmatch(word)), len(words))
        return words[:stop]

    @property
    def options(self) -> set[str]:
        """The long options that are shown."""
        return {word.partition("=")[0] for word in self.words if word.startswith("--")}


def fenced(path: Path, text: str, *, to_run: bool) -> Iterator[Example]:
    """The `$ lapse …` lines of ```console blocks; of those marked `console run`, with the output below each."""
    for block in FENCE.finditer(text):
        if bool(block[1]) != to_run:
            continue
        for shown in re.split(r"^\$ ", block[2], flags=re.MULTILINE)[1:]:
            command, _, output = shown.partition("\n")
            if command.startswith("lapse"):
                yield Example(path.name, command, output if to_run else None)


def inline(path: Path, text: str) -> Iterator[Example]:
    """The commands in backticks within prose, docstrings and messages; those with a variable part are left out."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in INLINE.finditer(line):
            if not re.search(r"[{}|…<>]|\.\.\.", found[1]):
                yield Example(f"{path.name}:{number}", found[1])


def matches(shown: str, printed: str) -> bool:
    """Whether `printed` is what was `shown`; `…` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), flags=re.DOTALL) is not None
