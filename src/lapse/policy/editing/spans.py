"""Where in a YAML text every value begins and ends, so that one can be changed without touching the rest. Pure.

Called by `edits`. What is read here was read as a policy before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.policy.yaml_tree import events_of

_ODD_BREAKS = ("\x85", "\u2028", "\u2029")


class CannotEdit(InvalidInput):
    """The change cannot be made without touching more than it should."""

    code = "cannot-edit"


@dataclass(slots=True)
class Value:
    """A scalar, map or list; `start` and `end` are places in the text. `column` is that of `start` in its line.

    The `entries` of a map have keys, those of a list have None.
    """

    start: int
    end: int
    column: int
    text: str = ""
    is_map: bool = False
    is_list: bool = False
    flow: bool = False
    entries: list[tuple[Value | None, Value]] = field(default_factory=list)

    def get(self, key: str) -> Value | None:
        """The value of a key of a map."""
        return next((value for name, value in self.entries if name is not None and name.text == key), None)

    @property
    def items(self) -> list[Value]:
        """The items of a list."""
        return [value for _, value in self.entries]


@lru_cache(maxsize=32)
def spans_of(file: str, text: str) -> Value:
    """The content of one file, which nobody changes.

    Raises:
        CannotEdit: it has line breaks that are none to most tools, or is no map.
    """
    if any(odd in text for odd in _ODD_BREAKS):
        raise CannotEdit(f"`{shown(file)}` has line breaks that are none to most tools")
    root: Value | None = None
    open_values: list[Value] = []
    keys: list[Value | None] = []
    for event in events_of(file, text):
        found = _value(event, text)
        if found is None:
            if type(event).__name__ in {"MappingEndEvent", "SequenceEndEvent"}:
                _close(open_values.pop(), event)
                keys.pop()
            continue
        if not open_values:
            root = found
        elif open_values[-1].is_map and keys[-1] is None:
            keys[-1] = found
            continue
        else:
            open_values[-1].entries.append((keys[-1], found))
            keys[-1] = None
        if found.is_map or found.is_list:
            open_values.append(found)
            keys.append(None)
    if root is None or not root.is_map:
        raise CannotEdit(f"`{shown(file)}` is no map")
    return root


def rules_in(root: Value, part: str) -> Iterator[tuple[str, Value]]:
    """Name and place of each rule in `offers` or `limits`."""
    listed = root.get(part)
    for item in listed.items if listed is not None else ():
        name = item.get("name")
        if name is not None:
            yield name.text, item


def find_rule(files: Mapping[str, str], name: str, parts: tuple[str, ...] = ("offers", "limits")) -> tuple[str, Value]:
    """File and place of the rule called `name`.

    Raises:
        CannotEdit: there is none.
    """
    for file in sorted(files):
        root = spans_of(file, files[file])
        for part in parts:
            for found, item in rules_in(root, part):
                if found == name:
                    return file, item
    raise CannotEdit(f"there is no rule `{shown(name)}` in the policy")


def end_of_line(text: str, at: int) -> int:
    """Where the line of the character before `at` ends: its line break, or the end of the text."""
    if at and text[at - 1] == "\n":
        return at - 1
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def start_of_line(text: str, at: int) -> int:
    """Where the line of the character at `at` begins."""
    return text.rfind("\n", 0, at) + 1


def _value(event: Any, text: str) -> Value | None:
    kind = type(event).__name__
    if kind not in {"ScalarEvent", "MappingStartEvent", "SequenceStartEvent"}:
        return None
    start, end = event.start_mark.index, event.end_mark.index
    return Value(
        start=start,
        end=end,
        column=start - start_of_line(text, start),
        text=event.value if kind == "ScalarEvent" else "",
        is_map=kind == "MappingStartEvent",
        is_list=kind == "SequenceStartEvent",
        flow=kind != "ScalarEvent" and bool(event.flow_style),
    )


def _close(value: Value, event: Any) -> None:
    """A flow collection ends at its bracket; a block one where its last entry does."""
    if value.flow:
        value.end = event.end_mark.index
    elif value.entries:
        key, last = value.entries[-1]
        value.end = max(last.end, key.end if key is not None else 0)
