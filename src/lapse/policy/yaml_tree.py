"""Read YAML text into a tree that knows where every word stands. Refuses what a policy has no use for.

No aliases or anchors (so nothing can grow), no tags, no directives, one document, bounded size and depth, no
duplicate keys. Built from the parser's events, so that no value is ever constructed and nothing recurses.
Called by the policy parser; any other room that needs YAML with places may use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from lapse.domain.names import shown
from lapse.policy.problems import PolicyErrors, Problem

LONGEST_FILE = 262_144
"""Characters in one file."""

DEEPEST = 16
"""Lists and maps within one another; a policy needs 6."""

_NOT_TEXT = (
    ("null", re.compile(r"~|null|Null|NULL|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: its `text`, its `kind` by the core schema (YAML 1.2.2, 10.3.2), and its `source` spelling."""

    place: Place
    text: str
    kind: str
    source: str = ""

    def place_of(self, offset: int) -> Place:
        """Where the character at `offset` of `text` stands in the file; the value's own place if unknown."""
        return _place_in(self, offset)


@dataclass(slots=True)
class Seq:
    """A list."""

    place: Place
    items: list[Tree] = field(default_factory=list)


@dataclass(slots=True)
class Map:
    """A map with text keys: key text to (key, value), in order; duplicates are left out and reported."""

    place: Place
    entries: dict[str, tuple[Scalar, Tree]] = field(default_factory=dict)
    pending: Scalar | None = None


Tree: TypeAlias = Scalar | Seq | Map


def read_tree(file: str, text: str) -> Tree | None:
    """The tree of one file; None if it is empty.

    Raises:
        PolicyErrors: not YAML, or YAML that a policy may not use; the first few problems of the file.
    """
    if len(text) > LONGEST_FILE:
        message = f"the file has {len(text)} characters, {LONGEST_FILE} at most"
        raise PolicyErrors([Problem(file=file, line=1, column=1, message=message, hint="split it into several files")])
    builder = _Builder(file, text)
    for event in events_of(file, text):
        builder.take(event)
    if builder.problems:
        raise PolicyErrors(builder.problems)
    return builder.root


def events_of(file: str, text: str) -> Iterator[Any]:
    """The parser's events, with the places they were found at; `PolicyErrors` where the text is not YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise _not_yaml(file, place, str(error.problem or error.context or "")) from None
    except Exception as error:  # noqa: BLE001  the parser's own failures on broken text are problems of the text
        raise _not_yaml(file, _first_odd_character(text), f"it cannot be read ({type(error).__name__})") from None


def _not_yaml(file: str, place: Place, detail: str) -> PolicyErrors:
    first_line = shown(detail.split("\n", 1)[0], longest=120)
    message = f"this is not YAML: {first_line}"
    return PolicyErrors([Problem(file=file, line=place.line, column=place.column, message=message)])


def _first_odd_character(text: str) -> Place:
    odd = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    before = text[: odd.start()] if odd else ""
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _Builder:
    def __init__(self, file: str, text: str) -> None:
        self.root: Tree | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._text = text
        self._open: list[Seq | Map] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        self._refuse_unused(event, place)
        match type(event).__name__:
            case "DocumentStartEvent":
                self._document(event, place)
            case "ScalarEvent":
                self._add(self._scalar(event, place))
            case "SequenceStartEvent":
                self._begin(Seq(place))
            case "MappingStartEvent":
                self._begin(Map(place))
            case "SequenceEndEvent" | "MappingEndEvent":
                self._open.pop()

    def _refuse_unused(self, event: Any, place: Place) -> None:
        if type(event).__name__ == "AliasEvent" or getattr(event, "anchor", None):
            raise self._stop(place, "anchors and aliases are not used in policies", "write the value out")
        if getattr(event, "tag", None):
            raise self._stop(place, f"the tag `{shown(str(event.tag))}` is not used in policies", "leave the tag out")

    def _document(self, event: Any, place: Place) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._stop(place, "a policy file has one document", "move what follows `---` into another file")
        if event.version or event.tags:
            raise self._stop(Place(1, 1), "directives are not used in policies", "leave the line with `%` out")

    def _begin(self, node: Seq | Map) -> None:
        if len(self._open) == DEEPEST:
            raise self._stop(node.place, f"lists and maps are nested more than {DEEPEST} deep", "")
        self._add(node)
        self._open.append(node)

    def _add(self, node: Tree) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Seq):
            parent.items.append(node)
        elif parent.pending is None:
            self._key(parent, node)
        else:
            self._value(parent, parent.pending, node)

    def _key(self, parent: Map, node: Tree) -> None:
        if not isinstance(node, Scalar):
            raise self._stop(node.place, "a key is a single word", "")
        parent.pending = node

    def _value(self, parent: Map, key: Scalar, node: Tree) -> None:
        parent.pending = None
        if isinstance(node, Scalar) and not node.source:
            node = replace(node, place=key.place)
        first = parent.entries.setdefault(key.text, (key, node))[0]
        if first is not key:
            message = f"the key `{shown(key.text)}` is here twice"
            self._report(key.place, message, f"the first is on line {first.place.line}; keep one")

    def _scalar(self, event: Any, place: Place) -> Scalar:
        source = self._text[event.start_mark.index : event.end_mark.index]
        return Scalar(place, event.value, _kind(event.value) if event.implicit[0] else "text", source)

    def _report(self, place: Place, message: str, hint: str) -> None:
        problem = Problem(file=self._file, line=place.line, column=place.column, message=message, hint=hint)
        self.problems.append(problem)

    def _stop(self, place: Place, message: str, hint: str) -> PolicyErrors:
        self._report(place, message, hint)
        return PolicyErrors(self.problems)


def _kind(text: str) -> str:
    return next((kind for kind, pattern in _NOT_TEXT if pattern.fullmatch(text)), "text")


def _place_in(scalar: Scalar, offset: int) -> Place:
    """Walk the source beside the value: what the value does not have (quotes, indentation, escapes) is skipped."""
    source = scalar.source
    at = source.find("\n") + 1 if source[:1] in {"|", ">"} else 0
    for char in scalar.text[:offset].rstrip():
        if char.isspace():
            continue
        at = source.find(char, at) + 1
        if at == 0:
            return scalar.place
    rest = scalar.text[offset : offset + 1]
    found = source.find(rest, at) if rest.strip() else at
    return _advance(scalar.place, source[: max(found, at)])


def _advance(place: Place, passed: str) -> Place:
    lines = passed.count("\n")
    if lines == 0:
        return Place(place.line, place.column + len(passed))
    return Place(place.line + lines, len(passed) - passed.rfind("\n"))
