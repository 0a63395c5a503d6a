"""How conditions come out for very many questions: each is run once for all questions that look the same to it.

What a condition sees is read off its tree: attributes of the people, the resource and the entitlement, and parts of
the request. Called by `memo`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import partial

from lapse.domain.errors import InvalidInput
from lapse.domain.times import parse_time
from lapse.policy.checks import Question, condition_check
from lapse.policy.expressions.condition import Condition
from lapse.policy.expressions.reader import read
from lapse.policy.expressions.syntax import Binary, Call, Literal, Name, Node, Select
from lapse.policy.expressions.types import VARIABLES
from lapse.policy.features import Feature
from lapse.policy.recorded import RecordedAsk, Whole
from lapse.policy.results import Status

Part = tuple[str, str]
"""A variable and its attribute; an empty attribute is all of it."""

MOST_OUTCOMES = 200_000
"""Outcomes of one condition that are kept at a time, and people and things it has seen."""

_COMPARING = frozenset({"<", "<=", ">", ">=", "==", "!="})
_SIDES = frozenset({"at", "starts_at"})


class Outcomes:
    """One condition, and how it came out for what it sees."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        moments: set[datetime] = set()
        seen = _seen(read(condition.text), moments)
        self._people = sorted(part for part in seen if part[0] not in {"request", "context"} or part[1] == "for_self")
        self._request = tuple(_features(seen, sorted(moments)))
        self._known: dict[Hashable, dict[Hashable, Status]] = {}

    @property
    def fixed(self) -> bool:
        """Whether it sees nothing but who asks for what."""
        return not self._request

    def of_people(self, whole: Whole) -> Callable[[RecordedAsk], Status]:
        """How it comes out for what `whole` asks; people and things that look the same to it share what is known."""
        key = tuple([_attribute(whole, variable, name) for variable, name in self._people])
        if len(self._known) >= MOST_OUTCOMES:
            self._known.clear()
        return partial(self._outcome, self._known.setdefault(key, {}), whole)

    def _outcome(self, known: dict[Hashable, Status], whole: Whole, asked: RecordedAsk) -> Status:
        request = self._request
        key = request[0](asked) if len(request) == 1 else tuple([see(asked) for see in request])
        found = known.get(key)
        if found is None:
            if len(known) >= MOST_OUTCOMES:
                known.clear()
            found = known[key] = condition_check(self._condition, Question(whole.ask(asked))).status
        return found


def _attribute(whole: Whole, variable: str, name: str) -> Hashable:
    if variable == "request":
        return whole.requester.name == whole.beneficiary.name
    thing = getattr(whole, {"principal": "beneficiary"}.get(variable, variable))
    value = getattr(thing, name) if name else tuple(getattr(thing, part.name) for part in fields(thing))
    return _hashable(value)


def _hashable(value: object) -> Hashable:
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    return tuple(map(_hashable, value)) if isinstance(value, tuple) else value


def _features(seen: set[Part], edges: Sequence[datetime]) -> list[Feature]:
    """What is seen of the request and the context."""
    names = sorted({name for variable, name in seen if variable == "request" and name != "for_self"})
    features = [_EVERYTHING if "" in names else _OF_REQUEST[name] for name in names[: 1 if "" in names else None]]
    if any(variable == "context" for variable, _ in seen):
        features.append(lambda asked: bytes(asked.context))
    if edges:
        features.append(lambda asked: (_between(edges, asked.at), _between(edges, asked.begins_at)))
    return features


def _between(edges: Sequence[datetime], at: datetime) -> tuple[int, int]:
    return bisect_left(edges, at), bisect_right(edges, at)


_OF_REQUEST: Mapping[str, Feature] = {
    "duration": lambda asked: asked.duration,
    "total_duration": lambda asked: asked.total_duration,
    "is_extension": lambda asked: asked.is_extension,
    "at": lambda asked: asked.at,
    "starts_at": lambda asked: asked.begins_at,
    "justification": lambda asked: asked.justification,
    "ticket": lambda asked: asked.ticket and (asked.ticket.system, asked.ticket.number),
}
_EVERYTHING: Callable[[RecordedAsk], object] = lambda asked: tuple(see(asked) for see in _OF_REQUEST.values())  # noqa: E731  it stands beside the others


def _seen(node: object, moments: set[datetime]) -> set[Part]:
    """Which parts of a question the tree under `node` looks at.

    Where a time is only compared with a moment that is written down, its side of the moment is all that is seen.
    """
    if isinstance(node, Name):
        return {(node.name, "")} if node.name in VARIABLES else set()
    if isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name in VARIABLES:
        return {(node.operand.name, node.field)}
    if isinstance(node, Binary) and node.operator in _COMPARING:
        moment = _moment(node.left, node.right) or _moment(node.right, node.left)
        if moment is not None:
            moments.add(moment)
            return set()
    if isinstance(node, tuple):
        return set[Part]().union(*(_seen(item, moments) for item in node))
    if isinstance(node, Node):
        return set[Part]().union(*(_seen(getattr(node, part.name), moments) for part in fields(node)))
    return set()


def _moment(time: object, other: object) -> datetime | None:
    """The moment that is written down in `other`, if `time` is a time of the request."""
    is_time = isinstance(time, Select) and isinstance(time.operand, Name) and time.field in _SIDES
    if not is_time or time.operand.name != "request":  # type: ignore[attr-defined]
        return None
    if not isinstance(other, Call) or other.name != "timestamp":
        return None
    written = other.args[0] if other.args else None
    if not isinstance(written, Literal) or written.text is None:
        return None
    try:
        return parse_time(written.text)
    except InvalidInput:
        return None
