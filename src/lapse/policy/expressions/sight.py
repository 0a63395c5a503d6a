"""Which attributes an expression looks at, so that the engine is given these and no others.

Handing the engine a whole question takes it ten times as long as running a condition. Called when one is compiled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TypeAlias

from lapse.policy.expressions.syntax import Index, Literal, Name, Node, Select
from lapse.policy.expressions.types import VARIABLES

Sight: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Variables with the attributes that are looked at (none for `context`), each in order."""


def sight_of(tree: Node) -> Sight:
    """What the checked expression `tree` looks at; of a variable that is used as a whole, everything."""
    seen: dict[str, set[str]] = defaultdict(set)
    for variable, attributes in _seen(tree):
        seen[variable].update(attributes)
    return _ordered(seen)


def _seen(node: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(node, Name) and node.name in VARIABLES:
        yield node.name, tuple(VARIABLES[node.name].fields)
    elif isinstance(node, Select | Index) and isinstance(node.operand, Name) and (attribute := _attribute(node)):
        yield node.operand.name, (attribute,)
    elif isinstance(node, tuple):
        for item in node:
            yield from _seen(item)
    elif isinstance(node, Node):
        for part in fields(node):
            yield from _seen(getattr(node, part.name))


def _attribute(node: Select | Index) -> str | None:
    """The attribute of a variable that `node` is, if it is one."""
    key = node.field if isinstance(node, Select) else node.key.text if isinstance(node.key, Literal) else None
    variable = VARIABLES.get(node.operand.name) if isinstance(node.operand, Name) else None
    return key if variable is not None and key in variable.fields else None


def _ordered(seen: Mapping[str, set[str]]) -> Sight:
    return tuple((variable, tuple(sorted(seen[variable]))) for variable in sorted(seen))


EVERYTHING: Sight = _ordered({variable: set(kind.fields) for variable, kind in VARIABLES.items()})
