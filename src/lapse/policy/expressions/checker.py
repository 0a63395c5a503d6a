"""Find what can never be right in an expression before anybody is refused because of it.

Names, attributes, functions and types are checked against the one table in `types`. A comparison of things that
can never be equal is an error too: in a limit it would switch the limit off without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lapse.policy.expressions.syntax import (
    Binary,
    Call,
    Choice,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Select,
    Unary,
)
from lapse.policy.expressions.types import (
    ANY,
    BOOL,
    FUNCTIONS,
    INT,
    MACROS,
    METHODS,
    TEXT,
    VARIABLES,
    Type,
)
from lapse.policy.expressions.work import repeats_of
from lapse.policy.problems import nearest

DEEPEST_MACROS = 2
"""`exists` within `exists` and no deeper; `work` bounds how long those take."""

WEIGHT = 1_000
"""The most characters of a pattern times its counted repetitions."""

_ODD_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[^\\\"']")
_SPACED = re.compile(r"\(\?[a-zA-Z-]*x")
_NUMBERS = frozenset({"int", "uint", "double"})
_ORDERED = _NUMBERS | {"string", "timestamp", "duration"}
_SUMS: Mapping[tuple[str, str, str], str] = {
    ("+", "string", "string"): "string",
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("-", "duration", "duration"): "duration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with an expression, at an offset into its text."""

    at: int
    message: str
    hint: str = ""


def check(tree: Node) -> tuple[Fault, ...]:
    """All faults of the whole expression `tree`, which must give true or false; () if there are none."""
    checker = _Checker()
    result = checker.type_of(tree, VARIABLES)
    if not checker.faults and result.name not in {"bool", "dyn"}:
        checker.fault(tree.at, f"the condition gives {result}, not true or false", "compare it with something")
    return tuple(checker.faults)


_Scope = Mapping[str, Type]


class _Checker:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._macros = 0

    def fault(self, at: int, message: str, hint: str = "") -> Type:
        self.faults.append(Fault(at=at, message=message, hint=hint))
        return ANY

    def type_of(self, node: Node, scope: _Scope) -> Type:  # noqa: PLR0911  one case a kind of node
        match node:
            case Literal():
                return Type(node.kind)
            case Name():
                return self._name(node, scope)
            case Select():
                return self._field(node, self.type_of(node.operand, scope))
            case Index():
                return self._index(node, scope)
            case Call():
                return self._call(node, scope)
            case ListOf():
                return Type("list", of=self._common([self.type_of(item, scope) for item in node.items]))
            case MapOf():
                return self._map_of(node, scope)
            case Unary():
                return self._unary(node, scope)
            case Binary():
                return self._binary(node, scope)
            case _:
                return self._choice(node, scope)

    def _name(self, node: Name, scope: _Scope) -> Type:
        if node.name in scope:
            return scope[node.name]
        return self.fault(node.at, f"there is no variable `{node.name}`", nearest(node.name, scope))

    def _field(self, node: Select, owner: Type) -> Type:
        if owner.name == "object":
            if node.field in owner.fields:
                return owner.fields[node.field]
            return self.fault(node.at, f"there is no attribute `{node.field}` here", nearest(node.field, owner.fields))
        if owner.name in {"map", "dyn"}:
            return owner.of or ANY
        return self.fault(node.at, f"{owner} has no attribute `{node.field}`")

    def _index(self, node: Index, scope: _Scope) -> Type:
        owner, key = self.type_of(node.operand, scope), self.type_of(node.key, scope)
        if owner.name == "object" and isinstance(node.key, Literal) and node.key.text is not None:
            return self._field(Select(node.key.at, node.operand, node.key.text), owner)
        wanted = {"list": INT, "map": TEXT}.get(owner.name)
        if wanted is None:
            return ANY if owner.name == "dyn" else self.fault(node.at, f"{owner} has nothing to pick with [ ]")
        if not _may_equal(key, wanted):
            self.fault(node.key.at, f"{owner} is picked from with {wanted}, not {key}")
        return owner.of or ANY

    def _unary(self, node: Unary, scope: _Scope) -> Type:
        operand = self.type_of(node.operand, scope)
        allowed = {"bool"} if node.operator == "!" else {"int", "double"}
        if operand.name not in allowed | {"dyn"}:
            operand = self.fault(node.at, f"`{node.operator}` cannot be put before {operand}")
        return BOOL if node.operator == "!" else operand

    def _choice(self, node: Choice, scope: _Scope) -> Type:
        condition = self.type_of(node.condition, scope)
        if condition.name not in {"bool", "dyn"}:
            self.fault(node.at, f"`?` needs true or false before it, not {condition}")
        return self._common([self.type_of(node.yes, scope), self.type_of(node.no, scope)])

    def _map_of(self, node: MapOf, scope: _Scope) -> Type:
        for key, _ in node.items:
            self.type_of(key, scope)
        return Type("map", of=self._common([self.type_of(value, scope) for _, value in node.items]))

    @staticmethod
    def _common(types: list[Type]) -> Type:
        names = {t.name for t in types}
        return replace(types[0], choices=()) if len(names) == 1 else ANY

    def _binary(self, node: Binary, scope: _Scope) -> Type:
        left, right = self.type_of(node.left, scope), self.type_of(node.right, scope)
        if node.operator in {"&&", "||"}:
            self._logic(node, left, right)
            return BOOL
        if node.operator == "in":
            self._membership(node, left, right)
            return BOOL
        if node.operator in {"==", "!="}:
            self._equality(node, left, right)
            return BOOL
        if node.operator in {"<", "<=", ">", ">="}:
            self._order(node, left, right)
            return BOOL
        return self._sum(node, left, right)

    def _logic(self, node: Binary, left: Type, right: Type) -> None:
        for side, operand in ((node.left, left), (node.right, right)):
            if operand.name not in {"bool", "dyn"}:
                self.fault(side.at, f"`{node.operator}` joins conditions, and this is {operand}")

    def _membership(self, node: Binary, item: Type, container: Type) -> None:
        if container.name == "dyn":
            return
        if container.name not in {"list", "map"}:
            self.fault(node.at, f"`in` needs a list or a map after it, not {container}")
            return
        inside = TEXT if container.name == "map" else container.of or ANY
        if not _may_equal(item, inside):
            self.fault(node.at, f"{item} is never in {container}")
        if isinstance(node.right, ListOf):
            for element in node.right.items:
                self._known_choice(element, item)

    def _equality(self, node: Binary, left: Type, right: Type) -> None:
        if not _may_equal(left, right):
            self.fault(node.at, f"{left} is never equal to {right}", _comparison_hint(left, right))
        self._known_choice(node.right, left)
        self._known_choice(node.left, right)

    def _known_choice(self, node: Node, compared_with: Type) -> None:
        if isinstance(node, Literal) and compared_with.choices and node.text not in compared_with.choices:
            self.fault(node.at, f"{node.source} is never the value", nearest(str(node.text), compared_with.choices))

    def _order(self, node: Binary, left: Type, right: Type) -> None:
        both = {left.name, right.name} - {"dyn"}
        if not both <= _ORDERED or (len(both) > 1 and not both <= _NUMBERS):
            self.fault(node.at, f"{left} cannot be ordered against {right}", _comparison_hint(left, right))

    def _sum(self, node: Binary, left: Type, right: Type) -> Type:
        if "dyn" in {left.name, right.name}:
            return ANY
        if left.name == right.name and left.name in _NUMBERS:
            return Type(left.name)
        if node.operator == "+" and left.name == right.name == "list":
            return Type("list", of=self._common([left.of or ANY, right.of or ANY]))
        result = _SUMS.get((node.operator, left.name, right.name))
        if result is None:
            return self.fault(node.at, f"`{node.operator}` does not work on {left} and {right}")
        return Type(result)

    def _call(self, node: Call, scope: _Scope) -> Type:
        if node.receiver is None:
            return self._function(node, scope)
        if node.name in MACROS:
            return self._macro(node, scope)
        receiver = self.type_of(node.receiver, scope)
        args = [self.type_of(arg, scope) for arg in node.args]
        if node.name not in METHODS:
            return self.fault(node.at, f"there is no method `{node.name}`", nearest(node.name, {*METHODS, *MACROS}))
        receivers, wanted, result = METHODS[node.name]
        if receiver.name not in {*receivers, "dyn"}:
            self.fault(node.at, f"{receiver} has no method `{node.name}`")
        if len(args) != len(wanted) or not all(map(_may_equal, args, wanted)):
            self.fault(node.at, f"`{node.name}` takes {_listed(wanted)}, not {_listed(tuple(args))}")
        elif node.name == "matches":
            self._pattern(node)
        return result

    def _pattern(self, node: Call) -> None:
        """A pattern is written out, so that no requester chooses it, and small: the engine compiles it each time."""
        pattern = node.args[0]
        if not isinstance(pattern, Literal):
            self.fault(pattern.at, "a pattern must be written out", 'as in `matches("^OPS-")`')
        elif pattern.source[0] not in "rR" and _ODD_ESCAPE.search(pattern.source):
            self.fault(pattern.at, "a pattern with escapes must be a raw text", 'as in `matches(r"^OPS-\\d+$")`')
        elif _SPACED.search(pattern.source):
            self.fault(pattern.at, "a pattern is written without the flag `x`", "leave the flag out")
        elif len(pattern.source) * repeats_of(pattern.source) > WEIGHT:
            self.fault(pattern.at, "the pattern is too long or repeats too much", "use `startsWith` or `contains`")
        elif self._macros > 1:
            self.fault(node.at, "`matches` is not used in nested `exists` and the like", "use `startsWith`")

    def _function(self, node: Call, scope: _Scope) -> Type:
        if node.name == "has":
            return self._has(node, scope)
        args = [self.type_of(arg, scope) for arg in node.args]
        if node.name not in FUNCTIONS:
            return self.fault(node.at, f"there is no function `{node.name}`", nearest(node.name, {*FUNCTIONS, "has"}))
        accepted, result = FUNCTIONS[node.name]
        if len(args) != 1 or args[0].name not in {*accepted, "dyn"}:
            self.fault(node.at, f"`{node.name}` does not take {_listed(tuple(args))}")
        return result

    def _has(self, node: Call, scope: _Scope) -> Type:
        if len(node.args) == 1 and isinstance(node.args[0], Select):
            self.type_of(node.args[0], scope)
        else:
            self.fault(node.at, "`has` takes one attribute", "write it as `has(resource.tags.env)`")
        return BOOL

    def _macro(self, node: Call, scope: _Scope) -> Type:
        container = self.type_of(node.receiver, scope) if node.receiver else ANY
        inside = {"map": TEXT, "dyn": ANY}.get(container.name, container.of or ANY)
        if container.name not in {"list", "map", "dyn"}:
            self.fault(node.at, f"`{node.name}` goes through lists and maps, not {container}")
        allowed = {2, 3} if node.name == "map" else {2}
        if len(node.args) not in allowed or not isinstance(node.args[0], Name):
            return self.fault(node.at, f"`{node.name}` takes a name and a condition", 'as in `exists(g, g == "dba")`')
        return self._macro_body(node, {**scope, self._bound(node.args[0], scope): inside}, inside)

    def _bound(self, variable: Name, scope: _Scope) -> str:
        if variable.name in scope:
            self.fault(variable.at, f"`{variable.name}` is the name of something else", "choose another name")
        return variable.name

    def _macro_body(self, node: Call, scope: _Scope, inside: Type) -> Type:
        if self._macros == DEEPEST_MACROS:
            return self.fault(node.at, f"`{node.name}` is nested more than {DEEPEST_MACROS} deep")
        self._macros += 1
        bodies = [self.type_of(arg, scope) for arg in node.args[1:]]
        self._macros -= 1
        conditions = bodies[:-1] if node.name == "map" else bodies
        if any(body.name not in {"bool", "dyn"} for body in conditions):
            self.fault(node.at, f"`{node.name}` needs a condition that gives true or false")
        if node.name == "map":
            return Type("list", of=bodies[-1])
        return Type("list", of=inside) if node.name == "filter" else BOOL


def _may_equal(left: Type, right: Type) -> bool:
    if "dyn" in {left.name, right.name} or {left.name, right.name} <= _NUMBERS:
        return True
    if left.name != right.name:
        return False
    return left.of is None or right.of is None or _may_equal(left.of, right.of)


def _comparison_hint(left: Type, right: Type) -> str:
    if {left.name, right.name} == {"duration", "string"}:
        return 'write it as `duration("2h")`'
    if {left.name, right.name} == {"timestamp", "string"}:
        return 'write it as `timestamp("2026-03-01T00:00:00Z")`'
    if {left.name, right.name} == {"list", "string"}:
        return 'write it as `"dba" in principal.groups`'
    return ""


def _listed(types: tuple[Type, ...]) -> str:
    return " and ".join(str(t) for t in types) or "nothing"
