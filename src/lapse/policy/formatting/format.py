"""Format policy files: the result says the same, with all comments, or there is no result.

Whatever the layout does is checked: the rules are read from the new text and compared, and the comments are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lapse.policy.formatting.layout import lay_out
from lapse.policy.formatting.pieces import Branch, Reader, comments_in
from lapse.policy.parser import parse
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.rules import Policy


def format_policy(files: Mapping[str, str]) -> dict[str, str]:
    """The canonical text of each file; formatting it again changes nothing.

    Raises:
        PolicyErrors: the files have errors, or cannot be laid out without changing what they say.
    """
    before = parse(files)
    done = {name: _formatted(name, text) for name, text in files.items()}
    _check_same(before, done)
    return done


def _formatted(name: str, text: str) -> str:
    reader = Reader(name, text)
    if not isinstance(reader.root, Branch):  # pragma: no cover  what is no map is no policy
        raise _cannot(name, "it is no map")
    done = lay_out(reader.root, reader.after)
    if Counter(comments_in(done, name)) != Counter(comments_in(text, name)):
        raise _cannot(name, "a comment would be lost")
    again = Reader(name, done)
    if not isinstance(again.root, Branch) or lay_out(again.root, again.after) != done:
        raise _cannot(name, "its layout would change each time")
    return done


def _check_same(before: Policy, files: Mapping[str, str]) -> None:
    try:
        after = parse(files)
    except PolicyErrors as error:
        raise _cannot(error.problems[0].file, f"it would have errors ({error.problems[0].message})") from None
    old, new = _meaning(before), _meaning(after)
    if old != new:
        different = next(a for a, b in zip(old, new, strict=True) if a != b)
        raise _cannot(next(iter(files)), f"the rule `{getattr(different, 'name', '?')}` would mean something else")


def _meaning(policy: Policy) -> list[Any]:
    """Everything the rules say, without where they stand."""
    rules = (*policy.offers, *policy.limits, *policy.facts, *policy.claims)
    return [replace(rule, line=0) for rule in rules]  # type: ignore[type-var]


def _cannot(name: str, why: str) -> PolicyErrors:
    message = f"this file cannot be formatted: {why}"
    return PolicyErrors([Problem(file=name, line=1, column=1, message=message, hint="it is left as it is")])
