"""The shapes that YAML values of a policy can have. Each shape reads a tree and describes itself as JSON Schema.

So the parser and the schema that editors use cannot differ: `language` writes every key down once, in shapes.
A shape that cannot read its tree reports why to the `Sink` and raises `Unreadable`; its neighbours are still read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.policy.problems import Problem, nearest
from lapse.policy.yaml_tree import Map, Place, Scalar, Seq, Tree

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, Any]


class Unreadable(Exception):  # noqa: N818  it tells a caller to go on, its reason is in the sink already
    """The value cannot be used; why has been reported."""


@dataclass(slots=True)
class Sink:
    """Where problems of one file are gathered."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def report(self, place: Place, message: str, hint: str = "") -> Unreadable:
        """Note a problem; returns what to raise if nothing can be made of the value."""
        problem = Problem(file=self.file, line=place.line, column=place.column, message=message, hint=hint)
        self.problems.append(problem)
        return Unreadable(message)


class Shape(Protocol[T_co]):
    """How to read one value, and its JSON Schema."""

    def read(self, tree: Tree, sink: Sink) -> T_co:
        """The value, or `Unreadable` after a report to `sink`."""
        ...

    def schema(self) -> Schema:
        """JSON Schema (draft 2020-12) of what `read` accepts, as far as a schema can say it."""
        ...


@dataclass(frozen=True)
class Text(Generic[T]):
    """A text that `parse` turns into a value, raising `InvalidInput`; `says` is its part of the schema."""

    parse: Callable[[str], T]
    says: Mapping[str, Any] = field(default_factory=dict)

    def read(self, tree: Tree, sink: Sink) -> T:
        """What `parse` makes of the text."""
        if not isinstance(tree, Scalar) or tree.kind != "text":
            raise sink.report(tree.place, f"this must be text, not {_what(tree)}", _quote_hint(tree))
        try:
            return self.parse(tree.text)
        except InvalidInput as error:
            raise sink.report(tree.place, error.message, error.hint) from None

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", **self.says}


@dataclass(frozen=True)
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def read(self, tree: Tree, sink: Sink) -> int:
        """The number."""
        if not isinstance(tree, Scalar) or tree.kind != "int":
            raise sink.report(tree.place, f"this must be a whole number, not {_what(tree)}")
        number = int(tree.text, 10) if tree.text.isdecimal() and len(tree.text) < 10 else -1  # noqa: PLR2004  digits
        if not self.least <= number <= self.most:
            raise sink.report(
                tree.place, f"`{shown(tree.text)}` is not a whole number from {self.least} to {self.most}"
            )
        return number

    def schema(self) -> Schema:
        """An integer with bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Flag:
    """`true` or `false`."""

    def read(self, tree: Tree, sink: Sink) -> bool:
        """The truth."""
        if not isinstance(tree, Scalar) or tree.kind != "bool":
            raise sink.report(tree.place, f"this must be `true` or `false`, not {_what(tree)}")
        return tree.text.lower() == "true"

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Word(Generic[T]):
    """The one word `word`, which stands for `value`."""

    word: str
    value: T

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value it stands for."""
        if isinstance(tree, Scalar) and tree.text == self.word and tree.kind == "text":
            return self.value
        raise sink.report(tree.place, f"this must be `{self.word}` or a map, not {_what(tree)}")

    def schema(self) -> Schema:
        """A constant."""
        return {"const": self.word}


@dataclass(frozen=True)
class OrWord(Generic[T]):
    """The value of `word` where that stands, else `other`."""

    word: Word[T]
    other: Shape[T]

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value, by whichever fits."""
        stands = isinstance(tree, Scalar) and tree.kind == "text" and tree.text == self.word.word
        return (self.word if stands else self.other).read(tree, sink)

    def schema(self) -> Schema:
        """One of both."""
        return {"anyOf": [self.word.schema(), self.other.schema()]}


@dataclass(frozen=True)
class Many(Generic[T]):
    """A list of 1 to `most` items without repetition; with `or_one` a single item may stand for a list of it."""

    item: Shape[T]
    most: int
    or_one: bool = False

    def read(self, tree: Tree, sink: Sink) -> tuple[T, ...]:
        """All items, in order."""
        if not isinstance(tree, Seq):
            if self.or_one:
                return (self.item.read(tree, sink),)
            raise sink.report(tree.place, f"this must be a list, not {_what(tree)}", "begin each item with `- `")
        if not 1 <= len(tree.items) <= self.most:
            message = f"the list has {len(tree.items)} items; it must have 1 to {self.most}"
            raise sink.report(tree.place, message)
        return self._items(tree, sink)

    def _items(self, tree: Seq, sink: Sink) -> tuple[T, ...]:
        values: list[T] = []
        broken = False
        for node in tree.items:
            try:
                value = self.item.read(node, sink)
            except Unreadable:
                broken = True
                continue
            if value in values:
                sink.report(node.place, "this is in the list twice", "keep one")
            values.append(value)
        if broken:
            raise Unreadable
        return tuple(values)

    def schema(self) -> Schema:
        """An array, or one item."""
        array = {"type": "array", "items": self.item.schema(), "minItems": 1, "maxItems": self.most}
        return {"anyOf": [self.item.schema(), array]} if self.or_one else array


@dataclass(frozen=True)
class Either(Generic[T]):
    """`scalar` where there is a single value, else `other`."""

    scalar: Shape[T]
    other: Shape[T]

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value, by whichever shape fits."""
        return (self.scalar if isinstance(tree, Scalar) else self.other).read(tree, sink)

    def schema(self) -> Schema:
        """One of both."""
        return {"anyOf": [self.scalar.schema(), self.other.schema()]}


@dataclass(frozen=True)
class Key:
    """One key of a map: its shape, what it means, and whether it must be there."""

    name: str
    shape: Shape[object]
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class Found:
    """The values read from a map, and where they stand, for the checks that need several of them."""

    place: Place
    values: Mapping[str, Any]
    places: Mapping[str, Place]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of the key `name`, or `default`."""
        return self.values.get(name, default)

    def place_of(self, name: str) -> Place:
        """Where the value of `name` stands; the whole map where it is not there."""
        return self.places.get(name, self.place)


@dataclass(frozen=True)
class Record(Generic[T]):
    """A map with known keys; `build` makes the value and reports what does not fit together."""

    title: str
    keys: tuple[Key, ...]
    build: Callable[[Found, Sink], T]
    says: Mapping[str, Any] = field(default_factory=dict)

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value; unknown, missing and unreadable keys are all reported."""
        if not isinstance(tree, Map):
            raise sink.report(tree.place, f"this must be a map ({self.title}), not {_what(tree)}")
        before = len(sink.problems)
        known = {key.name: key for key in self.keys}
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        for scalar, node in tree.entries.values():
            if scalar.text not in known:
                message = f"there is no key `{shown(scalar.text)}` in {self.title}"
                sink.report(scalar.place, message, nearest(scalar.text, known))
                continue
            self._value(known[scalar.text], node, sink, values)
            places[scalar.text] = node.place
        self._report_missing(tree, sink)
        if len(sink.problems) > before:
            raise Unreadable
        return self.build(Found(tree.place, values, places), sink)

    @staticmethod
    def _value(key: Key, node: Tree, sink: Sink, values: dict[str, Any]) -> None:
        try:
            values[key.name] = key.shape.read(node, sink)
        except Unreadable:
            return

    def _report_missing(self, tree: Map, sink: Sink) -> None:
        for key in self.keys:
            if key.required and key.name not in tree.entries:
                sink.report(tree.place, f"the key `{key.name}` is missing in {self.title}", key.meaning)

    def schema(self) -> Schema:
        """An object that allows no other keys."""
        return {
            "type": "object",
            "description": f"{self.title[0].upper()}{self.title[1:]}.",
            "additionalProperties": False,
            "required": [key.name for key in self.keys if key.required],
            "properties": {key.name: {**key.shape.schema(), "description": key.meaning} for key in self.keys},
            **self.says,
        }


def _what(tree: Tree) -> str:
    if isinstance(tree, Seq):
        return "a list"
    if isinstance(tree, Map):
        return "a map"
    return f"`{shown(tree.text)}`" if tree.text else "nothing"


def _quote_hint(tree: Tree) -> str:
    return f'write it in quotes: "{shown(tree.text)}"' if isinstance(tree, Scalar) and tree.text else ""
