"""How the command line prints: aligned tables, relative times, JSON, and colour only where a terminal shows it.

Everything that came from outside is made printable first: a name must not move the cursor.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lapse.domain.durations import human_duration, parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import is_printable, shown
from lapse.domain.times import parse_time

_PIPE_WIDTH = 400
DASH = "-"
_STYLES = {
    **dict.fromkeys(("active", "approved", "ok", "keep", "clear", "yes"), "green"),
    **dict.fromkeys(
        ("pending", "scheduled", "activating", "revoking", "shorten", "medium", "low", "unknown"), "yellow"
    ),
    **dict.fromkeys(("revoke_failed", "denied", "activation_failed", "critical", "high", "revoke", "no"), "red"),
    **dict.fromkeys(("ended", "cancelled", "expired"), "dim"),
}


def say(text: str = "") -> None:
    """One line for people, on standard output."""
    sys.stdout.write(visible(text) + "\n")


def note(text: str) -> None:
    """One line beside the result, on standard error."""
    sys.stderr.write(visible(text) + "\n")


def visible(text: str) -> str:
    """`text` with everything but line ends and tabs that a terminal would act upon as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or is_printable(c) else c.encode("unicode_escape").decode() for c in text)


def print_json(data: Any) -> None:
    """Data, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def safe(value: Any, longest: int = 200) -> str:
    """Any value as text that only shows what it is."""
    if value is None or value == "":
        return DASH
    return shown(str(value).replace("\n", " "), longest=longest)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, flexible: int | None = None) -> None:
    """Aligned columns; `flexible` is the column that gives way when the terminal is narrow."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    lines = [[safe(cell) for cell in row] for row in rows]
    # The first column holds what the next command needs: it is never cut.
    first = max((len(line[0]) for line in lines), default=0)
    for number, heading in enumerate(headings):
        grid.add_column(heading, no_wrap=number != flexible, overflow="fold", min_width=0 if number else first)
    room = _room(headings, lines, flexible)
    for cells in lines:
        if flexible is not None:
            cells[flexible] = _broken(cells[flexible], room)
        grid.add_row(*(Text(cell, style=_STYLES.get(cell.replace(" ", "_"), "")) for cell in cells))
    _console().print(grid)


def _room(headings: Sequence[str], lines: Sequence[Sequence[str]], flexible: int | None) -> int:
    """Characters that the other columns leave for the flexible one."""
    others = [number for number in range(len(headings)) if number != flexible]
    widest = [max(len(headings[number]), *(len(line[number]) for line in lines), 0) for number in others]
    return int(_console().width) - sum(widest) - 2 * len(headings)


def _broken(name: str, room: int) -> str:
    """A name of several parts that has no room on one line, broken after a slash rather than anywhere."""
    head, slash, tail = name.rpartition("/")
    fits = not slash or len(name) <= room or " " in name or len(head) + 1 > room
    return name if fits else f"{head}{slash}\n{tail}"


def paragraph(text: str, *, first: str = "", rest: str | None = None) -> None:
    """Text on as many lines as the terminal needs; `first` stands before the first line, `rest` before the others."""
    import textwrap

    rest = " " * len(first) if rest is None else rest
    lines = textwrap.wrap(
        safe(text, longest=4_000),
        width=max(40, _width()),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    say("\n".join(lines))


def _width() -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and len(given) < 6:  # noqa: PLR2004  digits of a width
        return int(given)
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else _PIPE_WIDTH


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
    """Names and values in two columns; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        if value not in (None, "", ()):
            text = safe(value, longest=2_000)
            grid.add_row(name, Text(text, style=_STYLES.get(text.replace(" ", "_"), "")))
    _console().print(grid)


def words(state: str) -> str:
    """A state as people write it."""
    return state.replace("_", " ")


def when(text: str | None, *, now: datetime | None = None) -> str:
    """An RFC 3339 time, seen from now: `in 1h59m`, `3m ago`."""
    if not text:
        return DASH
    try:
        apart = parse_time(text) - (now or datetime.now(UTC))
    except InvalidInput:
        return safe(text)
    rounded = _rounded(abs(apart))
    if rounded < timedelta(seconds=1):
        return "now"
    return f"in {human_duration(rounded)}" if apart > timedelta(0) else f"{human_duration(rounded)} ago"


def clock(text: str | None) -> str:
    """An RFC 3339 time as local wall-clock time, with the date if it is another day."""
    if not text:
        return DASH
    local = parse_time(text).astimezone()
    same_day = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S")


def duration(text: str | None) -> str:
    """An ISO 8601 duration for people."""
    if not text:
        return DASH
    try:
        return human_duration(parse_duration(text))
    except InvalidInput:
        return safe(text)


def who(thing: Mapping[str, Any]) -> str:
    """Whose a request or grant is; of an agent also the person it acts for."""
    return f"{thing['beneficiary']} (for {thing['sponsor']})" if thing["sponsor"] else str(thing["beneficiary"])


def marked(thing: Mapping[str, Any], marks: Mapping[str, Any]) -> str:
    """The entitlement of a request or grant, and beside it what is unusual: the names of `marks` that are there."""
    purpose = thing["purpose"] if "purpose" in thing else thing["terms"]["purpose"]
    shown = [name for name, there in marks.items() if there] + ([f"for {purpose}"] if purpose else [])
    return f"{thing['entitlement']} ({', '.join(shown)})" if shown else str(thing["entitlement"])


def plural(count: int, one: str, many: str = "") -> str:
    """`1 grant`, `2 grants`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _rounded(apart: timedelta) -> timedelta:
    """Two units are enough: nobody needs the seconds of a time that is hours away."""
    seconds = int(apart.total_seconds())
    unit = 1 if seconds < 600 else 60 if seconds < 86_400 else 3_600  # noqa: PLR2004  ten minutes, a day
    return timedelta(seconds=seconds // unit * unit)


def _console() -> Any:
    from rich.console import Console

    terminal = sys.stdout.isatty()
    width = None if terminal or os.environ.get("COLUMNS") else _PIPE_WIDTH
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=width)
