"""The documents of manifest files, YAML or JSON, as maps, lists and texts; nothing is made from them but these.

Guarantee: memory and time are bounded by what a file really holds: aliases are counted as what they stand for, depth
and size have limits, and no tag is followed. A key that is there twice makes its document unreadable, as it does for
the API server. Called by `objects`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lapse.domain.names import shown

MOST_YAML = 64 << 20
"""Bytes of a YAML file; the parser is slow, and what `kubectl` writes as JSON is not."""
MOST_NODES = 4_000_000
"""Values of one document, aliases counted as what they stand for."""
DEEPEST = 100
Value: TypeAlias = Any
"""A map with text keys, a list, a text, or None."""
_SEPARATOR = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_NULL = re.compile(r"~|null|Null|NULL|")
_MERGE = "<<"
_SPACE = re.compile(r"[\s\x1e]*")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that cannot be read, and why."""

    why: str


def documents_of(data: bytes, name: str) -> Iterator[tuple[str, Value | Unreadable]]:
    """(place, value) of each document in `data`, the content of the file `name`."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    if text.lstrip()[:1] in {b"{", b"["}:
        yield from _json_documents(text, name)
    elif len(text) > MOST_YAML:
        yield name, Unreadable(f"it is larger than {MOST_YAML} bytes: export it as JSON")
    else:
        yield from _yaml_documents(text, name)


def _json_documents(data: bytes, name: str) -> Iterator[tuple[str, Value | Unreadable]]:
    text, at, number = _text(data), 0, 0
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    while (at := _after_space(text, at)) < len(text):
        number += 1
        place = name if number == 1 else f"{name}: document {number}"
        try:
            value, at = decoder.raw_decode(text, at)
        except RecursionError:
            yield place, Unreadable("it is nested too deeply; nothing after it could be read")
            return
        except ValueError as error:
            yield place, Unreadable(f"it is no JSON: {error}; nothing after it could be read")
            return
        yield place, value


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # a set
        raise ValueError(f"the key `{shown(twice)}` is there twice")
    return found


def is_utf8(data: bytes) -> bool:
    """Whether `data` is UTF-8; what is not is read as Windows-1252."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _yaml_documents(data: bytes, name: str) -> Iterator[tuple[str, Value | Unreadable]]:
    """Each document is parsed by itself, so that a broken one costs only itself."""
    starts = [found.start() for found in _SEPARATOR.finditer(data)]
    line = 1
    for start, end in zip([0, *starts], [*starts, len(data)], strict=True):
        part = data[start:end]
        text = _text(part.replace(b"---", b"   ", 1) if part.startswith(b"---") else part)
        if _has_content(text):
            yield f"{name}:{line}", _yaml_value(text, line)
        line += part.count(b"\n")


def _has_content(text: str) -> bool:
    lines = (line.strip() for line in text.splitlines())
    return any(line and not line.startswith(("#", "%")) and line != "..." for line in lines)


def _yaml_value(text: str, line: int) -> Value | Unreadable:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    builder = _Builder(line)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + line}" if mark else ""
        return Unreadable(f"it is no YAML{where}: {str(error.problem or error.context or '').splitlines()[0]}")
    except _Refused as refused:
        return Unreadable(str(refused))
    except Exception as error:  # noqa: BLE001  the parser's own failures on broken text are of the text
        return Unreadable(f"it is no YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    return builder.root


class _Refused(Exception):  # noqa: N818  it ends one document
    """Why a document is not read."""


@dataclass(slots=True)
class _Node:
    """A value that is being built: how many values it counts as, its pending key, what is merged into it."""

    value: Value
    size: int = 1
    anchor: str | None = None
    key: str | None = None
    merged: list[Value] = field(default_factory=list)


class _Builder:
    """Makes values out of the parser's events, without recursion."""

    def __init__(self, line: int) -> None:
        self.root: Value = None
        self._line = line
        self._open: list[_Node] = []
        self._anchors: dict[str, _Node] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """The next event."""
        match type(event).__name__:
            case "ScalarEvent":
                self._put(_Node(_scalar(event), anchor=event.anchor), event)
            case "SequenceStartEvent":
                self._begin(_Node([], anchor=event.anchor), event)
            case "MappingStartEvent":
                self._begin(_Node({}, anchor=event.anchor), event)
            case "SequenceEndEvent" | "MappingEndEvent":
                self._end(event)
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise self._refusal(event, "a second document without `---` at the beginning of a line")

    def _begin(self, node: _Node, event: Any) -> None:
        if len(self._open) >= DEEPEST:
            raise self._refusal(event, f"it is nested more than {DEEPEST} deep")
        self._open.append(node)

    def _end(self, event: Any) -> None:
        node = self._open.pop()
        for source in node.merged:
            for key, value in source.items():
                node.value.setdefault(key, value)
        self._put(node, event)

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise self._refusal(event, f"the alias `{shown(str(event.anchor))}` stands for nothing that is complete")
        self._put(_Node(found.value, size=found.size), event)

    def _put(self, node: _Node, event: Any) -> None:
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        if not self._open:
            self.root = node.value
            return
        parent = self._open[-1]
        parent.size += node.size
        if parent.size > MOST_NODES:
            raise self._refusal(event, f"it has more than {MOST_NODES} values")
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        elif parent.key is None:
            self._key(parent, node, event)
        else:
            self._member(parent, parent.key, node, event)

    def _key(self, parent: _Node, node: _Node, event: Any) -> None:
        key = "null" if node.value is None else node.value
        if not isinstance(key, str):
            raise self._refusal(event, "a key is no text")
        if key in parent.value:
            raise self._refusal(event, f"the key `{shown(key)}` is there twice")
        parent.key = key

    def _member(self, parent: _Node, key: str, node: _Node, event: Any) -> None:
        parent.key = None
        if key != _MERGE:
            parent.value[key] = node.value
            return
        sources = node.value if isinstance(node.value, list) else [node.value]
        if not all(isinstance(source, dict) for source in sources):
            raise self._refusal(event, "`<<` merges something that is no map")
        parent.merged += sources

    def _refusal(self, event: Any, why: str) -> _Refused:
        return _Refused(f"{why}, in line {event.start_mark.line + self._line}")


def _scalar(event: Any) -> str | None:
    """Texts stay as they are written: all that is read of these documents are names."""
    is_null = event.implicit[0] and _NULL.fullmatch(event.value)
    return None if is_null else str(event.value)
