"""What one statement does to which tables, as its text says: its command on what it changes, `SELECT` on the rest.

Guarantee: only what is written there; tables behind views and functions are not seen, and a name without a schema stays
without one. Called by the kind `pg-stat-statements`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lapse.domain.errors import LapseError
from lapse.protocols.postgres.parser import parse
from lapse.review.sources.postgresql.messages import command_of

_CHANGING = {"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE"}
_READING = frozenset({"SelectStmt", "ExplainStmt", "DeclareCursorStmt", "PrepareStmt", *_CHANGING})
_MOST = 1_000
"""Pairs of one statement; what has more is generated, and the rest of it says nothing new."""


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """A command, and what it was done to; "" where that is not known."""

    command: str
    name: str = ""


def actions_of(text: str) -> tuple[list[Action], bool]:
    """The actions in `text`, in order, and whether it could be parsed; at least one if there is any word in it."""
    command = command_of(text)
    fallback = [Action(command)] if command else []
    try:
        trees = parse(text)
    except LapseError:
        return fallback, False
    found = {action for tree in trees for action in _found(tree, command)}
    return sorted(found) or fallback, True


def _found(tree: Mapping[str, Any], command: str) -> Iterator[Action]:
    """Without recursion: trees may be deep."""
    hidden = _defined(tree)
    waiting: list[tuple[Any, str, str]] = [(tree, "", command)]
    count = 0
    while waiting and count < _MOST:
        node, key, verb = waiting.pop()
        if isinstance(node, list):
            waiting += [(one, "", verb) for one in node]
        elif isinstance(node, dict):
            name = _relation(node, key)
            if name and ("." in name or name not in hidden):
                count += 1
                yield Action(verb, name)
            changed = node.get("relation") if key in _CHANGING else None
            if changed:
                count += 1
                yield Action(_CHANGING[key], _name(changed))
            rest = ((kind, child) for kind, child in node.items() if child is not changed)
            waiting += [(child, kind, "SELECT" if kind in _READING else verb) for kind, child in rest]


def _relation(node: Mapping[str, Any], key: str) -> str:
    """Lists hold `{"RangeVar": {…}}`, fields of statements hold its inside under a name of their own."""
    is_relation = key == "RangeVar" or (key in {"relation", "rel", "view"} and "relname" in node)
    return _name(node) if is_relation else ""


def _name(relation: Mapping[str, Any]) -> str:
    name, schema = relation.get("relname", ""), relation.get("schemaname", "")
    return f"{schema}.{name}" if schema and name else name


def _defined(tree: Mapping[str, Any]) -> set[str]:
    """Names that WITH gives to parts of the statement: no tables."""
    names: set[str] = set()
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if "ctename" in node:
                names.add(node["ctename"])
            waiting += node.values()
    return names
