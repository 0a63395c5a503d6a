"""Texts with `*` (any characters, none included) and `?` (exactly one), as IAM policies name actions and resources.

Pure, and in time that grows with the product of the lengths at most, whatever the texts are. `*` reaches over colons
and slashes: AWS says so of a `*` at the end of a segment of an ARN, and elsewhere reading more into an Allow is the
safe side. Called by `iam_policies`.
"""

from __future__ import annotations

import re

_WILD = re.compile(r"[*?]")
_RUN = re.compile(r"[*?]*\*[*?]*")


def is_wild(pattern: str) -> bool:
    """Whether `pattern` stands for more than one text."""
    return _WILD.search(pattern) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is one that `pattern` stands for. `*` and `?` in `text` are ordinary characters."""
    if pattern == "*":
        return True
    if "?" in pattern:
        return _steps(pattern, text, barred="")
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    return text.startswith(first) and _in_order(others, text, len(first))


def covers(outer: str, inner: str) -> bool:
    """Whether `outer` stands for every text that `inner` stands for. Never wrongly true; false where it is not seen."""
    if outer in ("*", inner):
        return True
    if not is_wild(inner):
        return matches(outer, inner)
    if not is_wild(outer):
        return False
    return _steps(_settled(outer), _settled(inner), barred="*")


def overlaps(one: str, other: str) -> bool:
    """Whether there is a text that both stand for."""
    if "*" in (one, other):
        return True
    if not is_wild(one):
        return matches(other, one)
    if not is_wild(other):
        return matches(one, other)
    if _apart(one, other) or _apart(one[::-1], other[::-1]):
        return False
    return _common(one, other)


def _in_order(pieces: list[str], text: str, at: int) -> bool:
    """Whether `pieces` follow one another in `text` from `at` on, the last of them at its end."""
    *middle, last = pieces
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(last) and text.endswith(last)


def _steps(pattern: str, text: str, *, barred: str) -> bool:
    """Match character by character, going back to the last `*`; `?` does not stand for a character in `barred`."""
    p = t = 0
    star, resume = -1, 0
    while t < len(text):
        here = pattern[p] if p < len(pattern) else ""
        if here == "*":
            star, resume = p, t
            p += 1
        elif here and ((here == "?" and text[t] not in barred) or (here == text[t] and here != "?")):
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return not pattern[p:].strip("*")


def _settled(pattern: str) -> str:
    """`pattern` with the `?` of each run before one `*`: then texts that mean the same are the same."""
    return _RUN.sub(lambda run: "?" * run[0].count("?") + "*", pattern)


def _apart(one: str, other: str) -> bool:
    """Whether their beginnings, up to the first wildcard of either, already differ."""
    ends = [found.start() for text in (one, other) if (found := _WILD.search(text))]
    length = min(ends)
    return one[:length] != other[:length]


def _common(one: str, other: str) -> bool:
    """Whether two patterns have a text in common: which ends of `other` can be reached, piece by piece of `one`."""
    reached = [True] + [False] * len(other)
    _over_stars(reached, other)
    for mark in one:
        following = [mark == "*" and reached[0]] + [False] * len(other)
        for at, theirs in enumerate(other):
            if mark == "*":
                following[at + 1] = reached[at + 1] or following[at]
            elif theirs == "*":
                following[at + 1] = reached[at + 1] or reached[at] or following[at]
            else:
                following[at + 1] = reached[at] and (mark == theirs or "?" in {mark, theirs})
        _over_stars(following, other)
        reached = following
    return reached[-1]


def _over_stars(reached: list[bool], pattern: str) -> None:
    """A `*` may stand for nothing."""
    for at, mark in enumerate(pattern):
        if mark == "*" and reached[at]:
            reached[at + 1] = True
