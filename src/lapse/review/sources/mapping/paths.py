"""Paths into a record: `$.actor.user.name`, `$.resources[0]`, `$['a name']`; `$.items[*]` goes through a list.

`$` is the record, `@` what `from` selected of it. There are no filters and no search, so that following a path takes
no longer than it is. Called by everything in `mapping`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

Step: TypeAlias = str | int | None
"""A name, a place in a list (from 0; from the end if negative), or None for every item."""
MISSING: Final = object()
"""There is nothing at the path."""
_LONGEST = 500
_STEP = re.compile(r"""\.([^\s.\[\]'"*$@]+)|\['([^']*)'\]|\["([^"]*)"\]|\[(-?\d{1,9})\]|\[(\*)\]""", re.ASCII)
PATTERN = "^[$@]"


@dataclass(frozen=True, slots=True)
class Path:
    """A path as it was written, its root (`$` or `@`), and its steps."""

    text: str
    root: str
    steps: tuple[Step, ...]

    @property
    def is_many(self) -> bool:
        """Whether it goes through lists."""
        return None in self.steps


def parse_path(text: str) -> Path:
    """The path that `text` writes.

    Raises:
        InvalidInput: it is none; the message says where it goes wrong.
    """
    if text[:1] not in {"$", "@"} or len(text) > _LONGEST:
        hint = f"a path begins with `$`; a value that is always the same is written `{{value: {shown(text, 20)}}}`"
        raise InvalidInput(f"`{shown(text)}` is no path", hint=hint)
    steps: list[Step] = []
    at = 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            hint = "steps are `.name`, `['name']`, `[0]` and `[*]`"
            raise InvalidInput(f"`{shown(text)}` is no path: see character {at + 1}", hint=hint)
        steps.append(_step(found))
        at = found.end()
    return Path(text, text[0], tuple(steps))


def parse_single(text: str) -> Path:
    """The same, for a path to one value.

    Raises:
        InvalidInput: it is none, or it goes through lists.
    """
    path = parse_path(text)
    if path.is_many:
        raise InvalidInput(
            f"`{shown(text)}` leads to many values", hint="go through lists by `from`, and write `@` here"
        )
    return path


def value_at(record: Any, item: Any, path: Path) -> Any:
    """What is there, or `MISSING`."""
    value = item if path.root == "@" else record
    for step in path.steps:
        if isinstance(step, str):
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
        elif isinstance(step, int):
            value = _item(value, step)
        if value is MISSING:
            return MISSING
    return value


def values_at(record: Any, path: Path) -> Iterator[Any]:
    """Everything that is there; a path that does not go through lists gives one value, or none."""
    waiting: list[tuple[Any, Sequence[Step]]] = [(record, path.steps)]
    while waiting:
        value, steps = waiting.pop()
        if not steps:
            yield value
            continue
        step, rest = steps[0], steps[1:]
        if step is None:
            waiting += [(one, rest) for one in reversed(value)] if isinstance(value, list) else []
        elif isinstance(step, str):
            waiting += [(value[step], rest)] if isinstance(value, dict) and step in value else []
        elif (found := _item(value, step)) is not MISSING:
            waiting.append((found, rest))


def _item(value: Any, place: int) -> Any:
    if not isinstance(value, list) or not -len(value) <= place < len(value):
        return MISSING
    return value[place]


def _step(found: re.Match[str]) -> Step:
    name, single, double, place, every = found.groups()
    if every:
        return None
    return int(place) if place is not None else next(one for one in (name, single, double) if one is not None)
