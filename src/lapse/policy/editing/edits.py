"""The changes that can be made in policy files: a value, a new key, a rule less, an offer more. Pure.

Guarantee: every other character stays, and the policy says the same but for the rule that was to change; else
`CannotEdit` says why not. Files are text by name, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from lapse.domain.names import shown
from lapse.policy.editing.spans import CannotEdit, Value, end_of_line, find_rule, rules_in, spans_of, start_of_line
from lapse.policy.parser import parse
from lapse.policy.problems import PolicyErrors
from lapse.policy.rules import Policy

Files = Mapping[str, str]


def set_value(files: Files, rule: str, key: str, value: str, *, below: tuple[str, str] | None = None) -> dict[str, str]:
    """`files` with another single value of `key` in `rule`; `below` is one more key and its value, to go there."""
    file, item = find_rule(files, rule)
    found = item.get(key)
    if found is None or found.is_map or found.is_list or found.start == found.end:
        raise CannotEdit(f"the rule `{shown(rule)}` has no single value `{shown(key)}`")
    text = files[file] if below is None else _with_key(files[file], item, *below, key)
    return _checked(files, {file: text[: found.start] + value + text[found.end :]}, rule)


def add_to_rule(files: Files, rule: str, key: str, value: str, *, after: str) -> dict[str, str]:
    """`files` with one more key in `rule`, below the key `after`."""
    file, item = find_rule(files, rule)
    return _checked(files, {file: _with_key(files[file], item, key, value, after)}, rule)


def add_to_stage(files: Files, rule: str, stage: int, key: str, value: str) -> dict[str, str]:
    """`files` with one more key in an approval stage of `rule`, counted from 0."""
    file, item = find_rule(files, rule)
    stages = item.get("approvals")
    if stages is None or not stages.is_list or not 0 <= stage < len(stages.items):
        raise CannotEdit(f"the rule `{shown(rule)}` has no such stage")
    return _checked(files, {file: _with_key(files[file], stages.items[stage], key, value, "from")}, rule)


def remove_offer(files: Files, name: str) -> dict[str, str]:
    """`files` without an offer and the comments above it; a file that then says nothing is left out.

    Raises:
        CannotEdit: it is the only rule of all, or stands among others in one line.
    """
    file, item = find_rule(files, name, ("offers",))
    text, root = files[file], spans_of(file, files[file])
    offers = root.get("offers")
    if offers is None or offers.flow:
        raise CannotEdit(f"the offers in `{shown(file)}` are written in one line")
    if len(offers.items) > 1:
        return _checked(files, {file: _without_item(text, offers, item)}, name)
    if any(key is not None and key.text not in {"version", "offers"} for key, _ in root.entries):
        return _checked(files, {file: _without_key(text, root, "offers")}, name)
    if len(files) == 1:
        raise CannotEdit("it is the only rule of the policy")
    return _checked({other: files[other] for other in files if other != file}, {}, name, whole=files)


def add_offer(files: Files, file: str, name: str, lines: Sequence[str]) -> dict[str, str]:
    """`files` with the offer `name`, whose `lines` begin with `- name: …`, behind the other offers of `file`.

    Raises:
        CannotEdit: the file has no offers, or writes them in one line; or the offer is wrong.
    """
    text, offers = files[file], spans_of(file, files[file]).get("offers")
    if offers is None or offers.flow or not offers.items:
        raise CannotEdit(f"`{shown(file)}` has no offers to which another could be added")
    indent = " " * offers.column
    body = "".join(f"{indent}{line}\n" if line else "\n" for line in lines)
    at = _end_of_item(text, offers, offers.items[-1])
    before = text[:at] if text[:at].endswith("\n") else text[:at] + "\n"
    gap = "\n" if len(offers.items) == 1 or _apart(text, offers) else ""
    return _checked(files, {file: before + gap + body + text[at:]}, name)


def _with_key(text: str, item: Value, key: str, value: str, after: str) -> str:
    place = item.get(after)
    if place is None or item.get(key) is not None:
        raise CannotEdit(f"`{shown(key)}` cannot be added: it is there, or `{shown(after)}` is not")
    if item.flow:
        return f"{text[: place.end]}, {key}: {value}{text[place.end :]}"
    at = end_of_line(text, place.end)
    return f"{text[:at]}\n{' ' * item.column}{key}: {value}{text[at:]}"


def _without_item(text: str, offers: Value, item: Value) -> str:
    place = offers.items.index(item)
    start = _start_of_item(text, offers, item)
    if place + 1 < len(offers.items):
        return text[:start] + text[_start_of_item(text, offers, offers.items[place + 1]) :]
    kept = text[:start].rstrip("\n")
    return f"{kept}\n{text[_end_of_item(text, offers, item) :]}"


def _without_key(text: str, root: Value, name: str) -> str:
    keys = [key for key, _ in root.entries if key is not None]
    place = next(n for n, key in enumerate(keys) if key.text == name)
    start = _with_comments(text, start_of_line(text, keys[place].start), 0)
    if place + 1 < len(keys):
        return text[:start] + text[_with_comments(text, start_of_line(text, keys[place + 1].start), 0) :]
    return text[:start].rstrip("\n") + "\n"


def _start_of_item(text: str, offers: Value, item: Value) -> int:
    """Where the line of its dash begins, or the comments above that."""
    start = start_of_line(text, item.start)
    if text[start : item.start].strip(" ") != "-":
        start = start_of_line(text, text.rfind("-", 0, item.start))
    if text[start : item.start].replace("\n", " ").strip(" ") != "-":
        raise CannotEdit("the offer does not stand on lines of its own")
    return _with_comments(text, start, offers.column)


def _with_comments(text: str, start: int, column: int) -> int:
    """Where the comments begin that stand right above `start`, indented no deeper than `column`."""
    while start:
        above = start_of_line(text, start - 1)
        line = text[above : start - 1]
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) > column:
            break
        start = above
    return start


def _end_of_item(text: str, offers: Value, item: Value) -> int:
    """Where the line after it begins, and after comments that are indented with it."""
    end = min(end_of_line(text, item.end) + 1, len(text))
    while end < len(text):
        line = text[end : end_of_line(text, end)] if text[end] != "\n" else ""
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= offers.column:
            break
        end = min(end + len(line) + 1, len(text))
    return end


def _apart(text: str, offers: Value) -> bool:
    """Whether there are blank lines between the offers."""
    first, second = offers.items[:2]
    return "\n\n" in text[first.end : second.start]


def _checked(files: Files, changed: Mapping[str, str], rule: str, *, whole: Files | None = None) -> dict[str, str]:
    """`files` with what is `changed`, if that changes `rule` alone; `whole` are the files before."""
    after = {**files, **changed}
    try:
        old, new = _meaning(_read(tuple(sorted((whole or files).items()))), rule), _meaning(parse(after), rule)
    except PolicyErrors as error:
        raise CannotEdit(f"the policy would have errors: {error.problems[0].message}") from None
    if old != new:
        raise CannotEdit(f"more than the rule `{shown(rule)}` would change")
    return after


@lru_cache(maxsize=4)
def _read(files: tuple[tuple[str, str], ...]) -> Policy:
    """The policy before; many changes are made to the same one, each by itself."""
    return parse(dict(files))


def _meaning(policy: Policy, but: str) -> dict[str, Any]:
    """What each rule but one says, wherever it stands."""
    rules: tuple[Any, ...] = (*policy.offers, *policy.limits, *policy.claims)
    named = {rule.name: replace(rule, line=0) for rule in rules if rule.name != but}
    return {**named, "": [replace(fact, line=0) for fact in policy.facts]}


def offers_of(files: Files) -> dict[str, str]:
    """The file of each offer."""
    return {name: file for file in sorted(files) for name, _ in rules_in(spans_of(file, files[file]), "offers")}
