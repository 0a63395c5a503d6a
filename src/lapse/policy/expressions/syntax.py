"""The tree of an expression, with the place of every part. Values only; built by `reader`, walked by `checker`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant of CEL type `kind`; `source` is its spelling, `text` its value if it is plain text."""

    at: int
    kind: str
    source: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; `at` is the place of the field's name."""

    at: int
    operand: Node
    field: str


@dataclass(frozen=True, slots=True)
class Index:
    """`operand[key]`."""

    at: int
    operand: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args)` or `receiver.name(args)`; macros such as `exists` are calls too."""

    at: int
    name: str
    receiver: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """`{"k": v}`."""

    at: int
    items: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x` or `-x`; one that is repeated is there once or twice, which comes to the same."""

    at: int
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; `at` is the place of the operator."""

    at: int
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? yes : no`."""

    at: int
    condition: Node
    yes: Node
    no: Node


Node: TypeAlias = Literal | Name | Select | Index | Call | ListOf | MapOf | Unary | Binary | Choice


def calls(node: object) -> Iterator[Call]:
    """Every call in the tree under `node`, outermost first."""
    if isinstance(node, Call):
        yield node
    if isinstance(node, tuple):
        for item in node:
            yield from calls(item)
    elif isinstance(node, Node):
        for part in fields(node):
            yield from calls(getattr(node, part.name))
