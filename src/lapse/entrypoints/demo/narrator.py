"""What the demo says, and how: short paragraphs, real commands with their real output, figures that stand out."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

_WIDTH = 96


class Narrator:
    """Prints the demo as it goes. Colour only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, width=None, soft_wrap=False)
        self._started = time.monotonic()
        self._act = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def act(self, title: str, text: str = "") -> None:
        """Open a new part of the story."""
        self._act += 1
        self.console.print()
        self.console.print(f"[bold cyan]{self._act}. {title}[/]  [dim]{self.seconds:.0f} s[/]")
        if text:
            self.say(text)

    def say(self, text: str) -> None:
        """A sentence or two for the reader."""
        self.console.print(Text(text, style="default"), width=min(_WIDTH, self.console.width))

    def place(self, what: str, where: object) -> None:
        """Where something is; not broken over lines, so that it can be copied."""
        self.console.print(Text(f"  {what:<28}{where}"), soft_wrap=True)

    def command(self, words: Sequence[str], output: str) -> None:
        """A command and what it printed."""
        line = "  $ " + " ".join(shlex.quote(word) for word in words)
        self.console.print(Text(line, style="bold"), soft_wrap=True)
        for line in output.rstrip().splitlines():
            self.console.print(Text("    " + line, style="dim"), soft_wrap=True)

    def result(self, text: str, *, good: bool = True) -> None:
        """What was to be seen."""
        mark, style = ("✓", "bold green") if good else ("✗", "bold red")
        self.console.print(Text.assemble((f"  {mark} ", style), (text, "default")))
