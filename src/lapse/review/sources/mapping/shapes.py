"""Shapes of YAML values that only mappings have. Called by `language`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lapse.policy.shape import Schema, Shape, Sink
from lapse.policy.yaml_tree import Map, Scalar, Tree

T = TypeVar("T")
_SINGLE: Schema = {"type": ["string", "integer", "boolean"]}
_MOST_WORDS = 1_000
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class Single:
    """A text, a whole number, `true` or `false`."""

    def read(self, tree: Tree, sink: Sink) -> Any:
        """The value."""
        if not isinstance(tree, Scalar):
            raise sink.report(tree.place, "this must be a single value")
        if tree.kind == "bool":
            return tree.text.lower() == "true"
        if tree.kind == "int" and tree.text.removeprefix("-").isdecimal() and len(tree.text) <= _LONGEST_NUMBER:
            return int(tree.text)
        if tree.kind != "text":
            hint = f'write it in quotes: "{tree.text}"' if tree.text else "leave the key out"
            raise sink.report(tree.place, "this must be a text, a whole number, `true` or `false`", hint)
        return tree.text

    def schema(self) -> Schema:
        """One of these types."""
        return dict(_SINGLE)


@dataclass(frozen=True)
class Named(Generic[T]):
    """`shape`, which the JSON Schema has once under `name` and refers to."""

    name: str
    shape: Shape[T]

    def read(self, tree: Tree, sink: Sink) -> T:
        """The value."""
        return self.shape.read(tree, sink)

    def schema(self) -> Schema:
        """A reference."""
        return {"$ref": f"#/$defs/{self.name}"}


@dataclass(frozen=True)
class Words:
    """A map of texts to texts. Keys and values are taken as they are written, `1` as the text "1"."""

    def read(self, tree: Tree, sink: Sink) -> dict[str, str]:
        """The map."""
        if not isinstance(tree, Map) or not tree.entries:
            raise sink.report(tree.place, "this must be a map of texts to texts", "e.g. `{login: use, logout: end}`")
        if len(tree.entries) > _MOST_WORDS:
            raise sink.report(tree.place, f"the map has more than {_MOST_WORDS} entries")
        found = {}
        for key, value in tree.entries.values():
            if not isinstance(value, Scalar) or value.kind == "null":
                raise sink.report(value.place, f"`{key.text}` must stand for a text")
            found[key.text] = value.text
        return found

    def schema(self) -> Schema:
        """An object of single values."""
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": _MOST_WORDS,
            "additionalProperties": dict(_SINGLE),
        }
