"""Lays pieces out in one way: two spaces, keys in the order of the language, a blank line between rules, none within.

A list or map that was written in one line stays so if it fits and has no comments. Called by `format`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from lapse.policy.formatting.pieces import Branch, Leaf, Twig
from lapse.policy.language import POLICY_FILE
from lapse.policy.shape import Either, Many, OrWord, Record

WIDTH = 120
_INDENT = 2
_APART = "\0"
"""A blank line between entries; one of a text is empty."""

_FOLD = re.compile(r"[ \t]*\n[ \t]*")
_RULES_APART = frozenset({"offers", "limits", "claims"})


def lay_out(root: Branch, after: list[str]) -> str:
    """The text of a policy file; `after` are the comments at its end."""
    lines = [*_map(root, 0, POLICY_FILE, top=True), *_comments(after, 0)]
    kept: list[str] = []
    for line in lines:
        if line != _APART or (kept and kept[-1] != _APART):
            kept.append(line.rstrip(" "))
    while kept and kept[-1] == _APART:
        kept.pop()
    return "\n".join("" if line == _APART else line for line in kept) + "\n"


def _map(branch: Branch, indent: int, shape: Any, *, top: bool = False) -> Iterator[str]:
    record = _record(shape)
    for place, twig in enumerate(_ordered(branch.entries, record)):
        if top and place:
            yield _APART
        kept = twig.before if top and place else _without_blanks(twig.before) if top else filter(None, twig.before)
        yield from _comments(kept, indent)
        inner = _inner(record, twig.key)
        yield from _entry(f"{' ' * indent}{twig.key}:", twig, indent, inner, apart=top and twig.key in _RULES_APART)
    yield from _comments(branch.after, indent)


def _seq(branch: Branch, indent: int, shape: Any, *, apart: bool) -> Iterator[str]:
    item = _item(shape)
    blocks = apart and any(
        isinstance(twig.value, Branch) and not _fits(twig.value, indent + _INDENT) for twig in branch.entries
    )
    for place, twig in enumerate(branch.entries):
        if blocks and place:
            yield _APART
        lines = list(_item_lines(twig, indent + _INDENT, item))
        own = [line for line in lines if _is_comment(line)][: _leading_comments(lines)]
        yield from _comments(
            [*(twig.before if place else _without_blanks(twig.before)), *(line.strip(" \0") for line in own)], indent
        )
        first, *others = lines[len(own) :]
        yield f"{' ' * indent}- {first.strip()}"
        yield from others
    yield from _comments(branch.after, indent)


def _item_lines(twig: Twig, indent: int, shape: Any) -> Iterator[str]:
    """The lines of one item, as if nothing stood before it."""
    value = twig.value
    if isinstance(value, Branch) and not _fits(value, indent) and value.entries:
        if twig.end:
            yield " " * indent + twig.end
        if value.is_map:
            yield from _map(value, indent, shape)
        else:
            yield from _seq(value, indent, shape, apart=False)
        return
    yield from _entry(" " * (indent - 1), twig, indent - _INDENT, shape)


def _entry(head: str, twig: Twig, indent: int, shape: Any, *, apart: bool = False) -> Iterator[str]:
    """A key or a dash, and its value: on the same line if it is one line."""
    end = f"  {twig.end}" if twig.end else ""
    value = twig.value
    if isinstance(value, Branch) and not (_fits(value, len(head) + 1) or not value.entries):
        yield head + end
        inner = indent + _INDENT
        yield from _map(value, inner, shape) if value.is_map else _seq(value, inner, shape, apart=apart)
        return
    if isinstance(value, Branch):
        yield f"{head} {_flow(value, shape)}{end}"
        return
    first, *others = _leaf_lines(value.source if value else "", indent + _INDENT)
    yield f"{head} {first}{end}" if first else f"{head}{end}"
    yield from others


def _leaf_lines(source: str, indent: int) -> list[str]:
    """A value's lines; those after the first are indented anew, which means nothing in any style."""
    first, *others = source.split("\n")
    if not others:
        return [first]
    if first[:1] in {"|", ">"}:
        return _block_lines(first, others, indent)
    return [first.rstrip(), *(" " * indent + line.strip() if line.strip() else "" for line in others)]


def _block_lines(header: str, lines: list[str], indent: int) -> list[str]:
    told = re.search(r"[1-9]", header)
    depths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    depth = min(depths, default=0)
    if told:
        # What is told counts from the parent, which is unknown here; the least indented line may be deeper than it.
        return [header, *lines]
    return [header, *(" " * indent + line[depth:] if line.strip() else "" for line in lines)]


def _fits(branch: Branch, column: int) -> bool:
    """Whether it may stand on one line that begins at `column`."""
    if not branch.flow or branch.commented:
        return False
    text = _flow(branch, None)
    return "\n" not in text and column + len(text) <= WIDTH


def _flow(branch: Branch, shape: Any) -> str:
    if not branch.is_map:
        return f"[{', '.join(_flow_value(twig, _item(shape)) for twig in branch.entries)}]"
    record = _record(shape)
    entries = _ordered(branch.entries, record)
    return f"{{{', '.join(f'{t.key}: {_flow_value(t, _inner(record, t.key))}'.rstrip() for t in entries)}}}"


def _flow_value(twig: Twig, shape: Any) -> str:
    if isinstance(twig.value, Branch):
        return _flow(twig.value, shape)
    source = twig.value.source if twig.value else ""
    blank_line = re.search(r"\n[ \t]*\n", source)
    return source if blank_line or "\\\n" in source else _FOLD.sub(" ", source)


def _comments(lines: Iterable[str], indent: int) -> Iterator[str]:
    for line in lines:
        yield " " * indent + line if line else _APART


def _without_blanks(lines: list[str]) -> list[str]:
    """Without blank lines at the beginning."""
    first = next((place for place, line in enumerate(lines) if line), len(lines))
    return lines[first:]


def _is_comment(line: str) -> bool:
    return line == _APART or line.lstrip().startswith("#")


def _leading_comments(lines: list[str]) -> int:
    return next((place for place, line in enumerate(lines) if not _is_comment(line)), len(lines))


def _ordered(entries: list[Twig], record: Record[Any] | None) -> list[Twig]:
    if record is None:
        return entries
    places = {key.name: place for place, key in enumerate(record.keys)}
    return sorted(entries, key=lambda twig: places.get(twig.key.strip("'\""), len(places)))


def _record(shape: Any) -> Record[Any] | None:
    while not isinstance(shape, Record):
        if isinstance(shape, Either | OrWord):
            shape = shape.other
        elif isinstance(shape, Many):
            shape = shape.item
        else:
            return None
    return shape


def _inner(record: Record[Any] | None, key: str) -> Any:
    if record is None:
        return None
    return next((one.shape for one in record.keys if one.name == key.strip("'\"")), None)


def _item(shape: Any) -> Any:
    while isinstance(shape, Either | OrWord):
        shape = shape.other
    return shape.item if isinstance(shape, Many) else None


__all__ = ["Leaf", "lay_out"]
