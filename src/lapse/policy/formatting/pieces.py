"""A YAML text as pieces that can be laid out anew: every value as it was written, with the comments that belong to it.

Comments on lines of their own belong to what follows, unless they are indented with what went before; a comment at the
end of a line belongs to that line. Made from the parser's events; called by `format` on texts that are policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lapse.policy.yaml_tree import events_of

BLANK = ""
_COMMENT = re.compile(r"#[^\n]*")
_HEADER = re.compile(r"([|>][-+0-9]*)[ \t]*(#[^\n]*)?")


@dataclass
class Leaf:
    """A single value as it was written."""

    source: str


@dataclass
class Branch:
    """A list or a map. `after` are comments behind its last entry."""

    is_map: bool
    flow: bool
    column: int
    entries: list[Twig] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def commented(self) -> bool:
        """Whether there is any comment in it."""
        return bool(self.after) or any(twig.commented for twig in self.entries)


@dataclass
class Twig:
    """One entry: of a map with its `key`. `before` are comments and blank lines above it, `end` that of its line."""

    key: str
    before: list[str]
    value: Leaf | Branch | None = None
    end: str = ""

    @property
    def commented(self) -> bool:
        """Whether there is any comment on it or in it."""
        here = bool(self.end) or any(line != BLANK for line in self.before)
        return here or (isinstance(self.value, Branch) and self.value.commented)

    def note(self, comment: str) -> None:
        """A comment at the end of its line; of several only the last stays there."""
        if self.end:
            self.before.append(self.end)
        self.end = comment


@dataclass(frozen=True)
class _Pending:
    text: str
    column: int


class Reader:
    """Takes in the events of one text; then `root` is its content, and `after` the comments at its end."""

    def __init__(self, name: str, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[Branch] = []
        self._holders: list[Twig | None] = []
        self._pending: list[_Pending] = []
        self._last: Twig | None = None
        self.root: Leaf | Branch | None = None
        for event in events_of(name, text):
            self._take(event)
        self._gap(len(text))
        self.after = [one.text for one in self._pending]

    def _take(self, event: Any) -> None:
        match type(event).__name__:
            case "ScalarEvent":
                self._gap(event.start_mark.index)
                self._leaf(event)
            case "MappingStartEvent" | "SequenceStartEvent":
                self._gap(event.start_mark.index)
                self._begin(event)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._gap(event.start_mark.index)
                self._end(event)

    def _gap(self, end: int) -> None:
        """Keep the comments and blank lines between what was taken last and `end`."""
        if end <= self._at:
            return
        between = self._text[self._at : end]
        line_start = self._text.rfind("\n", 0, self._at) + 1
        for number, line in enumerate(between.split("\n")):
            found = _COMMENT.search(line)
            before = (self._text[line_start : self._at] if number == 0 else "") + line[
                : found.start() if found else None
            ]
            if found is None:
                last = number == between.count("\n")
                if number and not line.strip() and not last:
                    self._pending.append(_Pending(BLANK, -1))
            elif before.strip(" \t-"):
                self._at_end(found.group().rstrip())
            else:
                self._pending.append(_Pending(found.group().rstrip(), len(before)))
        self._at = end

    def _at_end(self, comment: str) -> None:
        inside = self._open and self._open[-1].flow and not self._open[-1].entries
        if self._last is None or inside:
            self._pending.append(_Pending(comment, 0))
        else:
            self._last.note(comment)

    def _leaf(self, event: Any) -> None:
        source = self._text[event.start_mark.index : event.end_mark.index]
        self._at = max(self._at, event.end_mark.index)
        comment = ""
        header = _HEADER.match(source)
        if event.style in {"|", ">"} and header is not None:
            comment = header[2] or ""
            body, trailing = _split_end(source[header.end() :], header[1])
            source = header[1] + body
            self._pending += [_Pending(BLANK, -1)] * trailing
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.is_map and (self._last_key_is_taken(parent)):
            self._twig(parent, source)
            return
        self._place(Leaf(source))
        if comment and self._last is not None:
            self._last.before.append(comment)

    @staticmethod
    def _last_key_is_taken(parent: Branch) -> bool:
        return not parent.entries or parent.entries[-1].value is not None

    def _twig(self, parent: Branch, key: str) -> Twig:
        twig = Twig(key, [one.text for one in self._pending])
        self._pending.clear()
        parent.entries.append(twig)
        self._last = twig
        return twig

    def _place(self, value: Leaf | Branch) -> Twig | None:
        """Put a value where it belongs: into the document, behind the last key, or as the next item."""
        if not self._open:
            self.root = value
            return None
        parent = self._open[-1]
        twig = parent.entries[-1] if parent.is_map else self._twig(parent, "")
        twig.value = value
        return twig

    def _begin(self, event: Any) -> None:
        flow = bool(event.flow_style)
        branch = Branch(type(event).__name__ == "MappingStartEvent", flow, event.start_mark.column)
        self._holders.append(self._place(branch))
        self._open.append(branch)
        if flow:
            self._at = event.start_mark.index + 1

    def _end(self, event: Any) -> None:
        branch, holder = self._open.pop(), self._holders.pop()
        if branch.flow:
            self._at = event.end_mark.index
            branch.after, self._pending = [one.text for one in self._pending if one.text], []
            self._last = holder or self._last
            return
        # A block ends where the next thing begins.
        follows = event.start_mark.column if self._text[event.start_mark.index :].strip() else -1
        inner, outermost = 0, max(branch.column - 1, follows)
        if self._open and not self._open[-1].flow and self._open[-1].column == branch.column:
            outermost = max(outermost, branch.column)  # a list may stand right below its key
        for place, one in enumerate(self._pending, start=1):
            if one.text and one.column <= outermost:
                break
            inner = place if one.text else inner
        branch.after += [one.text for one in self._pending[:inner]]
        del self._pending[:inner]


def _split_end(body: str, header: str) -> tuple[str, int]:
    """A block's lines without blank ones behind, where those mean nothing; and 1 if there were any."""
    if "+" in header:
        return body.removesuffix("\n"), 0
    kept = body.rstrip(" \n")
    return kept, int(body[len(kept) :].count("\n") > 1)


def comments_in(text: str, name: str = "") -> Iterator[str]:
    """Every comment of a text, in order of the pieces it belongs to."""
    reader = Reader(name, text)
    if isinstance(reader.root, Branch):
        yield from _comments(reader.root)
    yield from filter(None, reader.after)


def _comments(branch: Branch) -> Iterator[str]:
    for twig in branch.entries:
        yield from filter(None, (*twig.before, twig.end))
        if isinstance(twig.value, Branch):
            yield from _comments(twig.value)
    yield from filter(None, branch.after)
