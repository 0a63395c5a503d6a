"""Turns a YAML tree into values and remembers where each stood, so that every problem names file, line and column.

A wrong field is reported and left out; reading goes on, so that one pass finds everything there is to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, check_native, check_text, shown
from lapse.domain.times import parse_time
from lapse.policy.problems import Problem, nearest
from lapse.policy.yaml_tree import Map, Place, Scalar, Seq, Tree

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
SHORT_TEXT = 300


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in one of the files."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Reference:
    """At `spot`, `what` of something names `name`, which must be one of `kind`."""

    spot: Spot
    what: str
    kind: str
    name: str


@dataclass
class Reader:
    """Reads one file; collects problems and references to check when everything is known."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def report(self, node: Tree | Place, message: str, hint: str = "") -> None:
        """Note a problem at a node."""
        place = node if isinstance(node, Place) else node.place
        self.problems.append(Problem(file=self.file, line=place.line, column=place.column, message=message, hint=hint))

    def spot(self, node: Tree) -> Spot:
        """Where a node stands."""
        return Spot(self.file, node.place.line, node.place.column)

    def fields(self, node: Tree, readers: Mapping[str, Callable[[Tree], Any]], what: str) -> dict[str, Any]:
        """The known fields of a map, each read by its reader; unknown keys are problems."""
        if not isinstance(node, Map):
            self.report(node, f"a {what} is written as `key: value` lines")
            return {}
        values: dict[str, Any] = {}
        for name, (key, value) in node.entries.items():
            if name in readers:
                values[name] = readers[name](value)
            else:
                self.report(key, f"a {what} has no `{shown(name)}`", nearest(name, readers))
        return {name: value for name, value in values.items() if value is not None}

    def required(self, node: Tree, values: Mapping[str, Any], names: tuple[str, ...], what: str) -> bool:
        """Whether the fields without which there is no such thing are there; the missing ones are problems."""
        written = node.entries if isinstance(node, Map) else {}
        for name in names:
            if isinstance(node, Map) and name not in written:
                self.report(node, f"this {what} has no `{name}`", f"add `{name}: …`")
        return all(name in values for name in names)

    def items(self, node: Tree, what: str) -> Iterator[Tree]:
        """The elements of a list; an empty value is an empty list."""
        if isinstance(node, Seq):
            yield from node.items
        elif not (isinstance(node, Scalar) and node.kind == "null"):
            self.report(node, f"{what} is a list", "write `[a, b]`, or a line with `- ` for each")

    def scalar(self, node: Tree) -> str | None:
        """The text of a single value."""
        if not isinstance(node, Scalar):
            self.report(node, "a single value belongs here")
            return None
        if node.kind == "null":
            self.report(node, "the value is missing", "write one, or leave the key out")
            return None
        if node.kind == "bool":
            self.report(node, f"`{node.text}` is true or false, not text", f'write "{node.text}" in quotes')
            return None
        return node.text

    def checked(self, node: Tree, check: Callable[[str], T]) -> T | None:
        """A single value that passes `check`."""
        text = self.scalar(node)
        if text is None:
            return None
        try:
            return check(text)
        except InvalidInput as error:
            self.report(node, error.message, error.hint)
            return None

    def name(self, node: Tree, what: str) -> str | None:
        """A name."""
        return self.checked(node, lambda text: check_name(text, what=what))

    def native(self, node: Tree) -> str | None:
        """A name as the target spells it."""
        return self.checked(node, check_native)

    def prose(self, node: Tree, what: str) -> str | None:
        """Short text for people."""
        return self.checked(node, lambda text: check_text(text, what=what, longest=SHORT_TEXT))

    def time(self, node: Tree) -> datetime | None:
        """An instant."""
        return self.checked(node, parse_time)

    def duration(self, node: Tree, longest: timedelta) -> timedelta | None:
        """A duration of at most `longest`."""
        return self.checked(node, lambda text: parse_duration(text, longest=longest))

    def count(self, node: Tree, most: int) -> int | None:
        """A whole number from 1 to `most`."""
        if isinstance(node, Scalar) and node.kind == "int" and node.text.isdigit() and 1 <= int(node.text) <= most:
            return int(node.text)
        self.report(node, f"this is a whole number from 1 to {most}")
        return None

    def list_of(self, node: Tree, what: str, read: Callable[[Tree], T | None], most: int) -> tuple[T, ...] | None:
        """A list of at most `most` things, each read by `read`."""
        nodes = list(self.items(node, f"`{what}`"))
        if len(nodes) > most:
            self.report(node, f"`{what}` has {len(nodes)} elements, {most} at most")
            return None
        return tuple(value for item in nodes if (value := read(item)) is not None)

    def flag(self, node: Tree) -> bool | None:
        """True or false."""
        if isinstance(node, Scalar) and node.kind == "bool":
            return node.text.lower() == "true"
        self.report(node, "this is true or false")
        return None

    def choice(self, node: Tree, kind: type[E]) -> E | None:
        """One word of a few."""
        text = self.scalar(node)
        if text is None:
            return None
        if text not in set(kind):
            self.report(node, f"`{shown(text)}` is not possible here", nearest(text, list(kind)))
            return None
        return kind(text)

    def pairs(self, node: Tree, what: str) -> dict[str, str] | None:
        """A map from text to text."""
        if not isinstance(node, Map):
            self.report(node, f"{what} are written as `key: value`")
            return None
        found: dict[str, str] = {}
        for name, (key, value) in node.entries.items():
            text = self.native(value)
            if self.checked(key, check_native) is not None and text is not None:
                found[name] = text
        return found

    def reference(self, node: Tree, what: str, kind: str) -> str | None:
        """The name of something else, which must exist: `kind` is principal, group, resource, or party."""
        text = self.scalar(node)
        if text is None:
            return None
        bare = text.removeprefix("group:") if kind == "party" else text
        try:
            check_name(bare, what="name")
        except InvalidInput as error:
            self.report(node, error.message, error.hint)
            return None
        self.references.append(Reference(self.spot(node), what, kind, text))
        return text

    def references_in(self, node: Tree, what: str, kind: str) -> tuple[str, ...]:
        """A list of names of other things."""
        found = (self.reference(item, what, kind) for item in self.items(node, f"`{what}`"))
        return tuple(name for name in found if name is not None)
