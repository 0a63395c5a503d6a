"""Whether a justification says anything: long enough, no boilerplate, not the one from last time. Pure text."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 2
_FEWEST_LETTERS = 3
_EMPTY_WORDS = frozenset(
    """
    a access again an and asap asdf bar baz because blah check db debug debugging do doing fix fixing foo for from
    get give have i in investigate investigation issue it just maintenance me my n na need needed needs none now
    of ok on permission please pls prod production reason reasons request requested required some something stuff
    task temp temporary test testing the thing things this ticket tmp to todo troubleshooting update urgent want
    we work working x xxx yes you
    """.split()  # noqa: SIM905  a list of words reads better as prose
)
"""Words that a sentence may be made of without saying what for."""


def normal(text: str) -> tuple[str, ...]:
    """The words of `text`, in lower case: two that differ only in spaces, case and marks are the same."""
    return tuple(_WORD.findall(text.casefold()))


def is_boilerplate(text: str) -> bool:
    """Whether `text` would fit any request: no words of its own, the same word or letter again and again."""
    words = normal(text)
    own = {word for word in words if word not in _EMPTY_WORDS and len(set(word)) >= _FEWEST_LETTERS}
    return len(set(words)) < _FEWEST_WORDS or not own


def repeats(text: str, earlier: Iterable[str]) -> bool:
    """Whether `text` is one of `earlier`."""
    words = normal(text)
    return any(normal(other) == words for other in earlier)
