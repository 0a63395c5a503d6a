"""How much work an expression is at most, by how many values a question has to go through, known before it is run.

The engine has no bound of its own: going through a thousand groups for each of a thousand groups takes it minutes. One
step is about 0.15 µs of it: a part of the expression looked at, or one value of a list copied. Called when a condition
is compiled (`steps_of`) and each time before it is run (`steps_for`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from lapse.policy.expressions.syntax import Binary, Call, Choice, Index, ListOf, Literal, MapOf, Name, Node, Select
from lapse.policy.expressions.types import MACROS, VARIABLES, Type

Steps: TypeAlias = tuple[int, ...]
"""A polynomial: so many steps, so many for each value, so many for each pair of values, and so on."""

MOST_STEPS = 2_000_000
"""About a third of a second."""

_ONE: Steps = (1,)
_EACH: Steps = (0, 1)
_LOOK_UP, _PATTERN, _CHARACTER, _CLASS = 10, 130, 50, 4_000
_CLASSES = re.compile(r"\\[wWdDsSpP]|\(\?[a-zA-Z]*i")
_REPEATS = re.compile(r"\{\s*([0-9]*)\s*(?:,\s*([0-9]*)\s*)?\}")


def repeats_of(pattern: str) -> int:
    """How often the parts of `pattern` are repeated by numbers, multiplied."""
    return prod(max(int(most or least or 1), 1) for least, most in _REPEATS.findall(pattern))


def steps_of(tree: Node) -> Steps:
    """The steps of the checked expression `tree`."""
    return _work(tree, {}).steps


def steps_for(steps: Steps, values: int) -> int:
    """How many steps they are where no list or map has more than `values` values."""
    return sum(count * values**power for power, count in enumerate(steps))


@dataclass(frozen=True, slots=True)
class _Work:
    """Of one part: the steps to get its value, how long that is, how much there is to copy of it and of one item."""

    steps: Steps = _ONE
    length: Steps = _ONE
    width: Steps = _ONE
    item: Steps = _ONE


_Scope: TypeAlias = Mapping[str, Steps]


def _work(node: Node, scope: _Scope) -> _Work:  # noqa: PLR0911  one case a kind of node
    match node:
        case Name():
            return _name(node, scope)
        case Select() | Index():
            return _part(node, scope)
        case Call():
            return _macro(node, scope) if node.name in MACROS and node.receiver else _call(node, scope)
        case ListOf():
            return _listed([_work(item, scope) for item in node.items])
        case MapOf():
            return _listed([_work(part, scope) for item in node.items for part in item])
        case Binary():
            both = _joined([_work(node.left, scope), _work(node.right, scope)])
            return both if node.operator == "+" else _Work(both.steps)
        case Choice():
            return _joined([_work(part, scope) for part in (node.condition, node.yes, node.no)])
        case Literal():
            return _Work()
        case _:
            return _Work(_sum(_ONE, _work(node.operand, scope).steps))


def _name(node: Name, scope: _Scope) -> _Work:
    width = scope.get(node.name, _EACH)
    return _Work(_sum(_ONE, width), _EACH, width, width)


def _part(node: Select | Index, scope: _Scope) -> _Work:
    kind = _attribute(node)
    key = _work(node.key, scope).steps if isinstance(node, Index) else ()
    if kind is None:
        inner = _attribute(node.operand)
        if inner is not None and inner.name == "map" and inner.of is not None and inner.of.name == "string":
            return _Work(_sum((_LOOK_UP,), key))
        whole = _work(node.operand, scope)
        return _Work(_sum(_ONE, whole.steps, key), whole.length, whole.width, whole.item)
    if kind.name in {"list", "map"}:
        return _Work(_sum(_ONE, _EACH, key), _EACH, _EACH, _ONE)
    return _Work(_sum(_ONE, key))


def _attribute(node: Node) -> Type | None:
    """The type of the attribute of a variable that `node` is, if it is one."""
    if isinstance(node, Select | Index) and isinstance(node.operand, Name) and node.operand.name in VARIABLES:
        name = node.field if isinstance(node, Select) else node.key.text if isinstance(node.key, Literal) else None
        return VARIABLES[node.operand.name].fields.get(name or "")
    return None


def _call(node: Call, scope: _Scope) -> _Work:
    parts = [_work(part, scope).steps for part in (*node.args, *([node.receiver] if node.receiver else []))]
    pattern = node.args[0] if node.name == "matches" else None
    return _Work(_sum(_ONE, *parts, _pattern(pattern.source) if isinstance(pattern, Literal) else ()))


def _pattern(source: str) -> Steps:
    """The engine compiles a pattern each time; classes of characters are large."""
    once = len(source) * _CHARACTER + len(_CLASSES.findall(source)) * _CLASS
    return (_PATTERN + once * repeats_of(source),)


def _macro(node: Call, scope: _Scope) -> _Work:
    through = _work(node.receiver, scope) if node.receiver else _Work()
    name = node.args[0].name if isinstance(node.args[0], Name) else ""
    bodies = [_work(body, {**scope, name: through.item}) for body in node.args[1:]]
    each = _sum(_ONE, *(body.steps for body in bodies))
    if node.name not in {"map", "filter"}:
        return _Work(_sum(through.steps, _product(through.length, each)))
    item = bodies[-1].width if node.name == "map" else through.item
    width = _product(through.length, item)
    # What was found so far is copied with each that is added.
    return _Work(_sum(through.steps, _product(through.length, _sum(each, width))), through.length, width, item)


def _listed(parts: list[_Work]) -> _Work:
    """A list of `parts`."""
    width = _sum(_ONE, *(part.width for part in parts))
    return _Work(_sum(_ONE, *(part.steps for part in parts)), (len(parts),), width, width)


def _joined(parts: list[_Work]) -> _Work:
    """Lists put together, or one of them."""
    return _Work(
        _sum(_ONE, *(part.steps for part in parts)),
        _sum(*(part.length for part in parts)),
        _sum(*(part.width for part in parts)),
        _sum(*(part.item for part in parts)),
    )


def _sum(*all_steps: Steps) -> Steps:
    degree = max(map(len, all_steps), default=0)
    return tuple(sum(steps[power] for steps in all_steps if power < len(steps)) for power in range(degree))


def _product(one: Steps, other: Steps) -> Steps:
    found = [0] * (len(one) + len(other) - 1)
    for power, count in enumerate(one):
        for more, times in enumerate(other):
            found[power + more] += count * times
    return tuple(found)
