"""One transition table per lifecycle, and the only way to follow it.

A lifecycle is a table `(state, event) -> state`. What is not in the table cannot happen; states that no
row leaves are terminal and stay so. The diagrams in `docs/architecture.md` are drawn from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from lapse.domain.errors import Refused

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class Lifecycle(Generic[S, E]):
    """The life of one kind of thing: `what` it is called, where it starts, and every allowed step."""

    what: str
    initial: frozenset[S]
    table: Mapping[tuple[S, E], S]

    def step(self, state: S, event: E) -> S:
        """The state after `event`.

        Raises:
            Refused: the table has no such step; the message names the state and what is possible from it.
        """
        after = self.table.get((state, event))
        if after is None:
            raise Refused(f"a {self.what} that is {_words(state)} cannot be {_PAST.get(event, _words(event))}")
        return after

    def allows(self, state: S, event: E) -> bool:
        """Whether the table has a step for `event` from `state`."""
        return (state, event) in self.table

    @property
    def terminal(self) -> frozenset[S]:
        """States that nothing leaves."""
        left = {state for state, _ in self.table}
        return frozenset(state for state in type(next(iter(self.initial))) if state not in left)

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram, rows in the table's order."""
        rows = [f"    [*] --> {state}" for state in sorted(self.initial)]
        rows += [f"    {before} --> {after}: {event}" for (before, event), after in self.table.items()]
        rows += [f"    {state} --> [*]" for state in sorted(self.terminal)]
        return "\n".join(["stateDiagram-v2", *rows])


_PAST = {
    "approve": "approved",
    "deny": "denied",
    "cancel": "cancelled",
    "expire": "expired",
    "begin": "activated",
    "end": "ended",
    "confirm": "confirmed",
    "activate": "activated",
    "reject": "rejected",
    "withdraw": "withdrawn",
    "undo": "taken back",
}


def _words(name: str) -> str:
    return name.replace("_", " ")
