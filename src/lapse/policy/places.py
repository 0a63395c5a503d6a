"""Where words of a rule stand in the policy's files. Called by `lint`, for warnings about what was read long ago."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lapse.policy.problems import PolicyErrors
from lapse.policy.rules import Policy
from lapse.policy.yaml_tree import Map, Place, Scalar, Seq, Tree, read_tree


class Written(Protocol):
    """What knows where it stands."""

    @property
    def file(self) -> str:
        """The file's name."""
        ...

    @property
    def line(self) -> int:
        """The line it begins on."""
        ...


class Places:
    """Finds the words of one policy; each file is read at most once."""

    def __init__(self, policy: Policy) -> None:
        self._files = policy.files
        self._rules: dict[str, dict[int, Tree]] = {}

    def of(self, rule: Written, word: str, *, after: int = 0) -> Place:
        """Where `word` first stands as a value of the rule; the rule's own line where it does not.

        `after` is an offset in it, as for a condition.
        """
        node = self._nodes(rule.file).get(rule.line)
        for scalar in _scalars(node):
            if scalar.text == word:
                return scalar.place_of(after) if after else scalar.place
        return Place(rule.line, 1)

    def _nodes(self, file: str) -> dict[int, Tree]:
        if file not in self._rules:
            try:
                tree = read_tree(file, self._files[file])
            except (PolicyErrors, KeyError):  # pragma: no cover  it was read before, or there would be no rule
                tree = None
            self._rules[file] = {node.place.line: node for node in _rules(tree)}
        return self._rules[file]


def _rules(tree: Tree | None) -> Iterator[Tree]:
    if isinstance(tree, Map):
        for _, section in tree.entries.values():
            if isinstance(section, Seq):
                yield from section.items


def _scalars(node: Tree | None) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Seq):
        for item in node.items:
            yield from _scalars(item)
    elif isinstance(node, Map):
        for _, value in node.entries.values():
            yield from _scalars(value)
