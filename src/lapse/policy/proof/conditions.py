"""Conditions (CEL) as formulas: when one is true, and when it cannot be evaluated.

`&&` and `||` take no notice of an error where the other side decides, as the engine does it; everything else passes an
error on. What is not modelled becomes an unknown that may be anything, also an error, and is listed in `unmodelled`:
so what is proved holds, and what is refuted is only believed once the evaluator says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from lapse.policy.expressions.reader import read
from lapse.policy.expressions.syntax import (
    Binary,
    Call,
    Choice,
    Index,
    ListOf,
    Literal,
    Name,
    Node,
    Select,
    Unary,
)
from lapse.policy.proof.asked import MICROSECONDS, AskedModel, PrincipalModel, microseconds
from lapse.policy.proof.cel_values import (
    CLOCK,
    SUMS,
    Amount,
    Anything,
    FullName,
    Group,
    Listed,
    Size,
    Tags,
    Truth,
    Value,
    Word,
    compared,
    conjunction,
    constant_value,
    disjunction,
)
from lapse.policy.proof.logic import Formula, any_of, both, choose, either, implies, no, same
from lapse.policy.proof.texts import NAMES, at_least_long, beginning, containing, ending, exactly
from lapse.policy.proof.vocabulary import Members, Text

_LONGEST_SIZE = 1_000
_MOST_ROUNDS = 20
_TOO_LARGE = 2**62
_TESTS: Mapping[str, Any] = {"startsWith": beginning, "endsWith": ending, "contains": containing}

Scope: TypeAlias = Mapping[str, Text]


@dataclass(frozen=True)
class _Through:
    """`exists` or `all` over a list of the request: told for every text the list is asked about, at the end."""

    result: Truth
    members: Members
    variable: str
    body: Node
    every: bool
    scope: Scope
    text: str


@dataclass
class ConditionModel:
    """Makes formulas of conditions; `finish` gives what must be said besides, once all are made.

    `unmodelled` are conditions with what of them is not modelled, `free` the unknowns that stand for it.
    """

    asked: AskedModel
    unmodelled: dict[str, set[str]] = field(default_factory=dict)
    free: list[Formula] = field(default_factory=list)
    _through: list[_Through] = field(default_factory=list)
    _made: dict[str, Truth] = field(default_factory=dict)
    _text: str = ""
    _free_ones: int = 0

    def truth(self, text: str) -> Truth:
        """When the condition `text` is true, and when it cannot be evaluated."""
        if text not in self._made:
            self._text = text
            self._made[text] = self._truth(self._value(read(text), {}), at=0, what="this condition")
        return self._made[text]

    def finish(self) -> list[Formula]:
        """What `exists` and `all` mean, for every text that the lists they go through were asked about."""
        made: dict[tuple[int, str], Truth] = {}
        for _ in range(_MOST_ROUNDS):
            before = self._size(), len(self._through)
            for one in list(self._through):
                self._text = one.text
                for name, text in list(one.members.asked.items()):
                    key = (id(one), name)
                    if key not in made:
                        scope = {**one.scope, one.variable: text}
                        made[key] = self._truth(self._value(one.body, scope), at=one.body.at, what="this condition")
            if (self._size(), len(self._through)) == before:
                return [part for one in self._through for part in _meaning(one, made)]
        raise RecursionError("conditions go through one another's lists without an end")

    def _size(self) -> int:
        return sum(len(one.members.asked) for one in self._through)

    def _value(self, node: Node, scope: Scope) -> Value:  # noqa: PLR0911  one case a kind of node
        match node:
            case Literal():
                return self._literal(node)
            case Name():
                return self._name(node, scope)
            case Select():
                return self._field(self._value(node.operand, scope), node.field)
            case Index():
                return self._index(node, scope)
            case Call():
                return self._call(node, scope)
            case ListOf():
                return self._list(node, scope)
            case Unary():
                return self._unary(node, scope)
            case Binary():
                return self._binary(node, scope)
            case Choice():
                return self._choice(node, scope)
            case _:
                return self._anything("a map that is written out")

    def _anything(self, what: str) -> Anything:
        self.unmodelled.setdefault(self._text, set()).add(what)
        return Anything()

    def _free(self, at: int, what: str) -> Truth:
        """A yes, a no or an error, of which nothing is known."""
        self._anything(what)
        return self._any_truth(at)

    def _any_truth(self, at: int) -> Truth:
        self._free_ones += 1
        words, name = self.asked.words, f"{self._free_ones} (at {at})"
        truth = Truth(words.boolean(f"free {name}"), words.boolean(f"error {name}"))
        self.free += [truth.holds, truth.error]
        return truth

    def _truth(self, value: Value, *, at: int, what: str) -> Truth:
        if isinstance(value, Anything):
            return self._any_truth(at)  # it was said already what is not modelled
        return value if isinstance(value, Truth) else self._free(at, what)

    def _literal(self, node: Literal) -> Value:
        if node.kind == "bool":
            return Truth(node.source == "true")
        value = constant_value(node.source)
        if isinstance(value, str):
            return Word(self.asked.words.written(value))
        if isinstance(value, int):
            return Amount(value, "int")
        return self._anything("a decimal number")

    def _name(self, node: Name, scope: Scope) -> Value:
        if node.name in scope:
            return Word(scope[node.name])
        if node.name == "context":
            return self._anything("`context`")
        return Group("beneficiary" if node.name == "principal" else node.name)

    def _field(self, owner: Value, name: str) -> Value:  # noqa: PLR0911  one case a kind of owner
        if isinstance(owner, Tags):
            return Word(owner.model.value(name), no(owner.model.has(name)))
        if not isinstance(owner, Group):
            return self._anything("an attribute of what is not modelled")
        asked = self.asked
        match owner.path:
            case "requester":
                return self._of_principal(asked.requester, name)
            case "beneficiary":
                return self._of_principal(asked.beneficiary, name)
            case "resource" if name != "tags":
                return Word(asked.resource(name))
            case "entitlement" if name not in {"tags", "name"}:
                return Word(asked.entitlement(name))
            case "entitlement" if name == "name":
                return FullName()
            case "resource" | "entitlement":
                return Tags(asked.resource_tags if owner.path == "resource" else asked.entitlement_tags)
            case "request.ticket":
                return Word(asked.ticket(name))
            case _:
                return self._of_request(name)

    def _of_principal(self, principal: PrincipalModel, name: str) -> Value:
        if name in principal.lists:
            return Listed(members=principal.lists[name])
        return Truth(holds=True) if name == "active" else Word(principal.text(name))

    def _of_request(self, name: str) -> Value:
        asked = self.asked
        known: dict[str, Value] = {
            "duration": Amount(asked.duration * MICROSECONDS, "duration"),
            "total_duration": Amount(asked.total * MICROSECONDS, "duration"),
            "at": Amount(asked.at, "timestamp"),
            "starts_at": Amount(asked.begins_at, "timestamp"),
            "is_extension": Truth(asked.is_extension),
            "for_self": Truth(asked.for_self),
            "ticket": Group("request.ticket"),
        }
        return known.get(name) or Word(asked.justification)

    def _index(self, node: Index, scope: Scope) -> Value:
        owner = self._value(node.operand, scope)
        key = _written(node.key)
        if key is not None and isinstance(owner, Tags | Group):
            return self._field(owner, key)
        return self._anything("picking with [ ]")

    def _list(self, node: ListOf, scope: Scope) -> Value:
        items = [self._value(item, scope) for item in node.items]
        if all(isinstance(item, Word) and item.error is False for item in items):
            return Listed(texts=tuple(item.text for item in items if isinstance(item, Word)))
        return self._anything("a list of other things than texts")

    def _unary(self, node: Unary, scope: Scope) -> Value:
        operand = self._value(node.operand, scope)
        if node.operator == "!":
            truth = self._truth(operand, at=node.at, what="a negation of what is not modelled")
            return Truth(no(truth.holds), truth.error)
        if isinstance(operand, Amount):
            return Amount(-operand.value, operand.unit, operand.error)
        return self._anything("a negative of what is not modelled")

    def _choice(self, node: Choice, scope: Scope) -> Value:
        condition = self._truth(self._value(node.condition, scope), at=node.at, what="a choice")
        yes, otherwise = self._value(node.yes, scope), self._value(node.no, scope)
        if isinstance(yes, Truth) and isinstance(otherwise, Truth):
            error = either(condition.error, choose(condition.holds, yes.error, otherwise.error))
            return Truth(choose(condition.holds, yes.holds, otherwise.holds), error)
        if isinstance(yes, Word) and isinstance(otherwise, Word):
            error = either(condition.error, choose(condition.holds, yes.error, otherwise.error))
            return Word(self.asked.words.either(condition.holds, yes.text, otherwise.text), error)
        return self._anything("a choice between numbers or lists")

    def _binary(self, node: Binary, scope: Scope) -> Value:
        left, right = self._value(node.left, scope), self._value(node.right, scope)
        match node.operator:
            case "&&" | "||":
                one = self._truth(left, at=node.left.at, what="a part of a condition")
                other = self._truth(right, at=node.right.at, what="a part of a condition")
                return conjunction(one, other) if node.operator == "&&" else disjunction(one, other)
            case "==" | "!=":
                equal = self._equal(left, right, node.at)
                return equal if node.operator == "==" else Truth(no(equal.holds), equal.error)
            case "in":
                return self._within(left, right, node.at)
            case "<" | "<=" | ">" | ">=":
                return self._ordered(node, left, right)
            case _:
                return self._sum(node, left, right)

    def _equal(self, left: Value, right: Value, at: int) -> Truth:
        words = self.asked.words
        match left, right:
            case Word(), Word():
                return Truth(words.compare(left.text, right.text), either(left.error, right.error))
            case (FullName(), Word(text=text, error=error)) | (Word(text=text, error=error), FullName()):
                if text.known is not None:
                    return Truth(self._full_name("is", text.known), error)
            case Amount(), Amount() if left.unit == right.unit:
                return Truth(compared("==", left.value, right.value), either(left.error, right.error))
            case Truth(), Truth():
                return Truth(same(left.holds, right.holds), either(left.error, right.error))
            case (Size() as size, Amount(value=int(count))) | (Amount(value=int(count)), Size() as size):
                at_least, more = self._longer(size, count), self._longer(size, count + 1)
                if at_least is not None and more is not None:
                    return Truth(both(at_least, no(more)), size.error)
        return self._free(at, "a comparison of lists, maps or computed texts")

    def _within(self, left: Value, right: Value, at: int) -> Truth:
        if isinstance(left, Word) and isinstance(right, Tags) and left.text.known is not None:
            return Truth(right.model.has(left.text.known))
        if isinstance(right, Listed) and right.members is None:
            options = [self._equal(left, Word(text), at) for text in right.texts]
            error = any_of([*(option.error for option in options), getattr(left, "error", False)])
            return Truth(any_of(option.holds for option in options), error)
        if isinstance(left, Word) and isinstance(right, Listed) and right.members is not None:
            self.asked.words.compared.update([left.text.name] if left.text.known is None else [])
            return Truth(right.members.has(left.text), left.error)
        return self._free(at, "`in` with what is not modelled")

    def _ordered(self, node: Binary, left: Value, right: Value) -> Truth:
        operator = node.operator
        if isinstance(right, Size):
            left, right, operator = right, left, {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
        if isinstance(left, Size) and isinstance(right, Amount) and isinstance(right.value, int):
            least = right.value + (operator in {">", "<="})
            longer = self._longer(left, least)
            if longer is not None:
                return Truth(longer if operator in {">", ">="} else no(longer), left.error)
        if isinstance(left, Amount) and isinstance(right, Amount) and left.unit == right.unit:
            return Truth(compared(operator, left.value, right.value), either(left.error, right.error))
        return self._free(node.at, "an order of texts or of mixed numbers")

    def _longer(self, size: Size, least: int) -> Formula | None:
        if least > _LONGEST_SIZE:
            return None
        return self.asked.words.is_in(size.text, at_least_long(least)) if least > 0 else True

    def _sum(self, node: Binary, left: Value, right: Value) -> Value:
        if not isinstance(left, Amount) or not isinstance(right, Amount):
            return self._anything(f"`{node.operator}` of what is no number and no time")
        unit = SUMS.get((node.operator, left.unit, right.unit))
        if unit is None:
            return self._anything(f"`{node.operator}` of what is no number and no time")
        value = left.value + right.value if node.operator == "+" else left.value - right.value
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            return self._anything("a number that is too large")
        return Amount(value, unit, either(left.error, right.error))

    def _call(self, node: Call, scope: Scope) -> Value:
        if node.receiver is None:
            return self._function(node, scope)
        if node.name in {"exists", "all"}:
            return self._macro(node, scope)
        receiver = self._value(node.receiver, scope)
        if node.name in _TESTS and len(node.args) == 1:
            argument = self._value(node.args[0], scope)
            if isinstance(argument, Word) and argument.text.known is not None:
                return self._tested(node, receiver, argument.text.known)
        if node.name == "size" and isinstance(receiver, Word):
            return Size(receiver.text, receiver.error)
        if node.name in CLOCK and isinstance(receiver, Amount) and receiver.unit == "timestamp":
            known = self.asked.is_time(receiver.value)
            time = self.asked.phase(receiver.value) if known else receiver.value
            return Amount(CLOCK[node.name](time), "int", receiver.error)
        return self._anything(f"`{node.name}`")

    def _tested(self, node: Call, receiver: Value, argument: str) -> Value:
        if isinstance(receiver, Word):
            return Truth(self.asked.words.is_in(receiver.text, _TESTS[node.name](argument)), receiver.error)
        if isinstance(receiver, FullName):
            return Truth(self._full_name(node.name, argument), receiver.error)
        return self._anything(f"`{node.name}` of a computed text")

    def _full_name(self, test: str, argument: str) -> Formula:  # noqa: PLR0911  one case a test
        """What holds of the resource's name and of the role if it holds of both with a slash between."""
        words, name, role = self.asked.words, self.asked.resource("name"), self.asked.entitlement("role")
        left, slash, right = argument.partition("/")
        match test, bool(slash):
            case "is", True:
                return both(words.is_in(name, exactly(left)), words.is_in(role, exactly(right)))
            case "startsWith", True:
                return both(words.is_in(name, exactly(left)), words.is_in(role, beginning(right)))
            case "endsWith", True:
                return both(words.is_in(name, ending(left)), words.is_in(role, exactly(right)))
            case "contains", True:
                return both(words.is_in(name, ending(left)), words.is_in(role, beginning(right)))
            case "startsWith", False:
                return words.is_in(name, beginning(argument))
            case "endsWith", False:
                return words.is_in(role, ending(argument))
            case "contains", False:
                return either(words.is_in(name, containing(argument)), words.is_in(role, containing(argument)))
            case _:
                return False

    def _function(self, node: Call, scope: Scope) -> Value:
        argument = node.args[0]
        if node.name == "has":
            return self._has(argument, scope, node.at)
        if node.name in {"duration", "timestamp"} and isinstance(argument, Literal):
            value = constant_value(f"{node.name}({argument.source})")
            if isinstance(value, timedelta | datetime):
                return Amount(microseconds(value), node.name)
        if node.name == "size":
            value = self._value(argument, scope)
            if isinstance(value, Word):
                return Size(value.text, value.error)
        return self._anything(f"`{node.name}` of what is not written out")

    def _has(self, argument: Node, scope: Scope, at: int) -> Truth:
        if isinstance(argument, Select):
            owner = self._value(argument.operand, scope)
            if isinstance(owner, Tags):
                return Truth(owner.model.has(argument.field))
            if isinstance(owner, Group):
                return Truth(holds=True)
        return self._free(at, "`has` of what is not modelled")

    def _macro(self, node: Call, scope: Scope) -> Value:
        container = self._value(node.receiver, scope)  # type: ignore[arg-type]
        if not isinstance(container, Listed) or not isinstance(node.args[0], Name):
            return self._free(node.at, f"`{node.name}` over what is not a list of texts")
        variable, body, every = node.args[0].name, node.args[1], node.name == "all"
        if container.members is None:
            return self._each(container.texts, variable, body, every=every, scope=scope)
        words, name = self.asked.words, f"{len(self._through)}:{container.members.name}"
        result = Truth(words.boolean(f"through {name}"), words.boolean(f"through-error {name}"))
        for which in ("that decides", "that fails"):
            container.members.has(words.text(f"member {name} {which}", NAMES))
        self._through.append(_Through(result, container.members, variable, body, every, scope, self._text))
        return result

    def _each(self, texts: tuple[Text, ...], variable: str, body: Node, *, every: bool, scope: Scope) -> Truth:
        """One after the other, as the engine does it: the first that decides or fails ends it."""
        result = Truth(holds=every)
        for text in reversed(texts):
            one = self._truth(self._value(body, {**scope, variable: text}), at=body.at, what="`exists` or `all`")
            goes_on = one.holds if every else no(one.holds)
            holds = choose(goes_on, result.holds, not every)
            result = Truth(holds, either(one.error, both(goes_on, result.error)))
        return result


def _meaning(one: _Through, made: Mapping[tuple[int, str], Truth]) -> list[Formula]:
    """Exact but for one thing: where one member decides and another fails, either may come first."""
    inside = [(one.members.has(text), made[id(one), name]) for name, text in one.members.asked.items()]
    decided = any_of(both(has, truth.no if one.every else truth.yes) for has, truth in inside)
    failed = any_of(both(has, truth.error) for has, truth in inside)
    outcome = no(one.result.holds) if one.every else one.result.holds
    return [
        implies(one.result.error, failed),
        implies(both(failed, no(decided)), one.result.error),
        implies(no(one.result.error), same(outcome, decided)),
    ]


def _written(node: Node) -> str | None:
    if isinstance(node, Literal) and node.kind == "string":
        value = constant_value(node.source)
        return value if isinstance(value, str) else None
    return None
